"""What Slack refused, in words: exceptions of slack_sdk and aiohttp become errors of `core.errors`.

Called by the Slack adapters for every failed call; what comes out is shown to people and decides on repeats.
Error names: https://docs.slack.dev/reference/methods/chat.postMessage#errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from slackbot.core.errors import DevflowError, NotFound, PermanentError, TemporaryError, ThreadUnreachable

FOREIGN_ERRORS = (SlackClientError, aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError, AttributeError)
"""What a call through slack_sdk raises. The last three come of answers that are not Slack's JSON at all."""

_INVITE = "Invite DevFlow with /invite in the channel, or start a session elsewhere."
_REINSTALL = "Install the app into the workspace again and put the new bot token into SLACK_BOT_TOKEN."
_CHECK_SETTING = "Check SLACK_BOT_TOKEN: it is the bot token (xoxb-...) on the app's page OAuth & Permissions."

# Nothing can be posted there any more; `not_in_channel` is mended by an invitation, and the remedy says so.
_UNREACHABLE: dict[str, tuple[str, str]] = {
    "channel_not_found": ("the channel does not exist any more, or DevFlow cannot see it", _INVITE),
    "is_archived": ("the channel is archived", "Unarchive the channel, or start a session in another one."),
    "not_in_channel": ("DevFlow is not a member of the channel", _INVITE),
    "is_inactive": ("the channel is frozen", "Start a session in another channel."),
    # Of a bot token: "the app has been removed". https://docs.slack.dev/reference/methods/chat.postMessage#errors
    "account_inactive": ("the app was removed from the workspace, or the workspace is gone", _REINSTALL),
    "team_not_found": ("the workspace is gone", ""),
    "thread_not_found": ("the thread was deleted", "Start a new session."),
    "thread_locked": ("the thread is locked", "Unlock the thread, or start a new session."),
    "restricted_action_thread_locked": ("the thread is locked", "Unlock the thread, or start a new session."),
    "cannot_reply_to_message": ("the message cannot have replies", "Start a session with /devflow."),
    "restricted_action_read_only_channel": (
        "the channel is read-only for DevFlow",
        "Allow DevFlow to post in the channel's settings, or start a session elsewhere.",
    ),
    "restricted_action_non_threadable_channel": (
        "the channel allows no threads",
        "Start a session in a channel that allows threads.",
    ),
}

# It is the bot that Slack refuses, not the thread: somebody rotates the token, say, and gives DevFlow the new one soon.
_TOKEN_REFUSED: dict[str, tuple[str, str]] = {
    "token_revoked": ("the bot token was revoked", _REINSTALL),
    "token_expired": ("the bot token has expired", _REINSTALL),
    "invalid_auth": ("the token is not valid", _CHECK_SETTING),
    "not_authed": ("no token was sent", _CHECK_SETTING),
    "not_allowed_token_type": ("this kind of token is not allowed for the call", _CHECK_SETTING),
}

_ASKED_AT_START = frozenset({"auth.test", "apps.connections.open"})
"""A start with a token that is refused ends with a sentence; later calls are tried again until a good one is there."""

_PERMANENT: dict[str, tuple[str, str]] = {
    "restricted_action": (
        "a setting of the workspace forbids it",
        "Ask an administrator of the workspace to allow the app to post here.",
    ),
    "msg_too_long": ("the text is too long", "This is a fault of DevFlow; please report it."),
    "msg_blocks_too_long": ("the blocks are too long", "This is a fault of DevFlow; please report it."),
    "invalid_blocks": ("Slack cannot show the blocks", "This is a fault of DevFlow; please report it."),
    "invalid_blocks_format": ("Slack cannot show the blocks", "This is a fault of DevFlow; please report it."),
    "expired_trigger_id": ("the press is too old to open a form", "Press again."),
    "exchanged_trigger_id": ("the press has opened a form already", "Press again."),
    "no_text": ("the message is empty", "This is a fault of DevFlow; please report it."),
    "user_not_in_channel": ("the person is not in the channel", "Ask them to join the channel first."),
    "messages_tab_disabled": (
        "direct messages to the app are switched off",
        "Switch on the Messages tab on the app's page App Home.",
    ),
    "access_denied": ("access is denied", "Ask an administrator of the workspace."),
    "no_permission": ("the token may not do this", _REINSTALL),
    "unknown_method": (
        "it does not know this method",
        "Check SLACK_API_URL: what answers there does not speak the whole of Slack's Web API.",
    ),
}

_NOT_FOUND: dict[str, str] = {
    "message_not_found": "the message is gone",
    "cant_update_message": "the message cannot be changed (it is gone, or not DevFlow's)",
    "edit_window_closed": "the message can no longer be changed",
    "user_not_found": "there is no such person",
    "user_not_visible": "DevFlow cannot see this person",
    "file_not_found": "there is no such file",
    "file_deleted": "the file was deleted",
    "not_found": "the form is closed",
    "no_such_subteam": "there is no such user group",
    "subteam_not_found": "there is no such user group",
}

# True: Slack says that part of the call may have been done.
_TEMPORARY: dict[str, bool] = {
    "ratelimited": False,
    "rate_limited": False,
    "message_limit_exceeded": False,
    "service_unavailable": False,
    "request_timeout": False,
    "team_added_to_org": False,
    "org_login_required": False,
    "accesslimited": False,
    "internal_error": True,
    "fatal_error": True,
}


def error_code(error: BaseException) -> str | None:
    """Slack's own name of a refusal, such as `channel_not_found`; None when there is none."""
    code = _answer(error).get("error")
    return code if isinstance(code, str) and code else None


def translate(error: BaseException, method: str) -> DevflowError:
    """The failure of one call of `method` (`chat.postMessage`) as an error of ours.

    `outcome_unknown` is set whenever the request may have reached Slack: callers of reading methods ignore it.
    """
    if isinstance(error, DevflowError):
        return error
    if isinstance(error, SlackApiError):
        return _refusal(error, method)
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        # Raised before a byte of the request was sent.
        return TemporaryError(f"Slack could not be reached for {method} ({type(error).__name__}).", _NETWORK)
    if isinstance(error, aiohttp.InvalidURL):
        return PermanentError("The address of Slack's API is not an address.", "Check SLACK_API_URL.")
    if isinstance(error, (TimeoutError, aiohttp.ClientError, OSError)):
        return TemporaryError(
            f"Slack did not answer {method} in time or cut the connection ({type(error).__name__}).",
            _NETWORK,
            outcome_unknown=True,
        )
    if isinstance(error, SlackClientError):
        # slack_sdk says so when the upload of a file was not answered with 200.
        return TemporaryError(f"Slack did not take {method}.", "It is tried again.", outcome_unknown=True)
    return PermanentError(
        f"The answer to {method} is not of Slack's form ({type(error).__name__}).",
        "Check SLACK_API_URL and any proxy on the way.",
    )


_NETWORK = "It is tried again; if this lasts, check the network and https://status.slack.com."


def _refusal(error: SlackApiError, method: str) -> DevflowError:
    code = error_code(error)
    status = _status(error)
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return TemporaryError(
            f"Slack asks to wait before the next {method}.",
            "It is tried again by itself.",
            retry_after_seconds=retry_after_seconds(error),
        )
    if code in _TEMPORARY:
        return TemporaryError(
            f"Slack could not do {method} just now ({code}).", _NETWORK, outcome_unknown=_TEMPORARY[code]
        )
    if code in _UNREACHABLE:
        reason, remedy = _UNREACHABLE[code]
        return ThreadUnreachable(f"Slack refused {method}: {reason} ({code}).", remedy)
    if code in _NOT_FOUND:
        return NotFound(f"Slack refused {method}: {_NOT_FOUND[code]} ({code}).")
    if code in _TOKEN_REFUSED:
        reason, remedy = _TOKEN_REFUSED[code]
        kind = PermanentError if method in _ASKED_AT_START else TemporaryError
        return kind(f"Slack refused {method}: {reason} ({code}).", remedy)
    if code == "missing_scope":
        needed = _answer(error).get("needed") or "a scope that the app does not have"
        # Without `chat:write` nothing can be told in any thread; what another scope is for can be done without.
        kind = TemporaryError if method.startswith("chat.") else PermanentError
        return kind(
            f"Slack refused {method}: the app lacks the scope {needed} (missing_scope).",
            f"Add {needed} on the app's page OAuth & Permissions and install the app again.",
        )
    if code in _PERMANENT:
        reason, remedy = _PERMANENT[code]
        return PermanentError(f"Slack refused {method}: {reason} ({code}).{_details(error)}", remedy)
    if code is not None:
        return PermanentError(
            f"Slack refused {method} ({code}).{_details(error)}",
            f"https://docs.slack.dev/reference/methods/{method} says what it means.",
        )
    if status is None or status >= 500 or status == 200:
        # 200 without an `ok`: cut off or not JSON; whether the call was done cannot be known.
        return TemporaryError(
            f"Slack answered {method} with a fault of its own (HTTP {status}).", _NETWORK, outcome_unknown=True
        )
    return PermanentError(
        f"{method} was answered with HTTP {status}, not by Slack's API.",
        "Check SLACK_API_URL and any proxy on the way.",
    )


def retry_after_seconds(error: BaseException) -> float | None:
    """What the answer's `Retry-After` asks for, or None."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    if not isinstance(headers, Mapping):
        return None
    for name, value in headers.items():
        if str(name).lower() == "retry-after":
            try:
                return max(0.0, float(value))
            except ValueError:
                return None
    return None


def _status(error: SlackApiError) -> int | None:
    response: Any = error.response
    # slack_sdk hands over aiohttp's own response when the body was not JSON.
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    return status if isinstance(status, int) else None


def _answer(error: BaseException) -> Mapping[str, Any]:
    response: Any = getattr(error, "response", None)
    data = response if isinstance(response, dict) else getattr(response, "data", None)
    return data if isinstance(data, Mapping) else {}


def _details(error: SlackApiError) -> str:
    """Slack's own words on bad arguments, as far as it gave any; they repeat parts of our blocks, so only a few."""
    notes = _answer(error).get("response_metadata")
    messages = notes.get("messages") if isinstance(notes, Mapping) else None
    if not isinstance(messages, list):
        return ""
    return " " + "; ".join(str(message)[:200] for message in messages[:3]) if messages else ""
