"""What GitHub and the network answer when they say no -> the errors of `core.errors`, in sentences.

`adapters/github.py` hands in exceptions of PyGithub and requests; nothing else may let them out.
"""

from __future__ import annotations

import time

import requests
from github import GithubException
from github.GithubException import BadAttributeException

from slackbot.core.errors import DevflowError, NotFound, PermanentError, TemporaryError
from slackbot.core.ports import Repository

_SECONDARY_LIMIT_WAIT_SECONDS = 60.0
"""GitHub's advice for a secondary limit without `retry-after`."""


_USUAL_PERMISSIONS = "Contents: write and Pull requests: write"


def github_messages(error: GithubException) -> list[str]:
    """What GitHub says in words: the messages of `errors`, else `message`; each flat and bounded."""
    data = error.data if isinstance(error.data, dict) else {}
    errors = data.get("errors")
    found = [
        str(one.get("message") or f"{one.get('field', 'a field')} is {one.get('code', 'invalid')}")
        if isinstance(one, dict)
        else str(one)
        for one in (errors if isinstance(errors, list) else [])
    ]
    found = found or [str(data.get("message") or f"HTTP status {error.status}")]
    return [" ".join(text.split())[:300] for text in found]


def outcome_is_unknown(error: BaseException) -> bool:
    """Whether a write that ended so may have taken effect."""
    if isinstance(error, GithubException):
        return error.status >= 500
    return isinstance(error, requests.RequestException) and not isinstance(
        error, requests.ConnectTimeout | requests.exceptions.SSLError
    )


def translate(error: Exception, subject: str, *, write: bool = False, permission: str = "") -> DevflowError:
    """An exception of PyGithub or requests -> what a person reads. `subject` names what was asked for.

    `permission` is what the App needs for it, as `Checks: read`.
    """
    if isinstance(error, GithubException):
        return _translate_answer(error, subject, write, permission)
    if isinstance(error, requests.exceptions.SSLError):
        return PermanentError(
            "GitHub's certificate could not be checked.",
            "Where a company's own authority signs it, name its file in REQUESTS_CA_BUNDLE.",
        )
    if isinstance(error, requests.RequestException):
        return TemporaryError(
            f"GitHub did not answer when DevFlow asked for {subject}.",
            "DevFlow tries again; if it goes on, look at https://www.githubstatus.com and at the network.",
            outcome_unknown=write and outcome_is_unknown(error),
        )
    if isinstance(error, RuntimeError | AssertionError | ValueError | LookupError | TypeError | BadAttributeException):
        return PermanentError(
            f"What answered for {subject} does not speak GitHub's API ({type(error).__name__}).",
            "Check GITHUB_API_URL: `https://api.github.com`, or `https://HOST/api/v3` for an Enterprise Server.",
        )
    raise error


def _translate_answer(error: GithubException, subject: str, write: bool, permission: str) -> DevflowError:
    said = "; ".join(github_messages(error))
    wait = _rate_limit_wait(error)
    if wait is not None:
        return TemporaryError("GitHub asks DevFlow to slow down.", retry_after_seconds=wait)
    if error.status >= 500:
        return TemporaryError(
            f"GitHub could not answer for {subject} just now (status {error.status}).",
            outcome_unknown=write,
        )
    if error.status == 401:
        return PermanentError(
            f"GitHub does not accept DevFlow's App credentials ({said}).",
            "Check GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY (is the key still listed on GitHub?) and this machine's "
            "clock.",
        )
    if error.status == 403 and "suspended" in said.lower():
        return PermanentError(
            f"The DevFlow GitHub App is suspended for {subject}.",
            "Ask an owner of the organisation to unsuspend it in its settings, under GitHub Apps.",
        )
    if error.status == 403 and "archived" in said.lower():
        return PermanentError(
            f"{subject} cannot be changed, because the repository is archived.",
            "Unarchive it on GitHub first.",
        )
    if (error.status == 403 and "not accessible by integration" in said.lower()) or (
        error.status == 422 and "permissions" in said.lower()
    ):
        return PermanentError(
            f"The DevFlow GitHub App lacks a permission it needs for {subject}.",
            f"Give the App {permission or _USUAL_PERMISSIONS} in its settings on GitHub, and let an owner of the "
            "organisation accept it.",
        )
    if "rule violations" in said.lower() or "protected branch" in said.lower():
        return against_the_rules(subject, said)
    if error.status in {404, 410, 451}:
        return NotFound(f"{subject[:1].upper()}{subject[1:]} was not found on GitHub.")
    return PermanentError(f"GitHub refused {subject}: {said}")


def _rate_limit_wait(error: GithubException) -> float | None:
    """Seconds to wait when this answer is a rate limit, else None.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    if error.status not in {403, 429}:
        return None
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if str(headers.get("retry-after", "")).isdigit():
        return float(headers["retry-after"])
    if headers.get("x-ratelimit-remaining") == "0" and str(headers.get("x-ratelimit-reset", "")).isdigit():
        return max(1.0, float(headers["x-ratelimit-reset"]) - time.time() + 1)
    if error.status == 429 or "rate limit" in "; ".join(github_messages(error)).lower():
        return _SECONDARY_LIMIT_WAIT_SECONDS
    return None


def nothing_to_open(head: str, base: str) -> PermanentError:
    return PermanentError(
        f"There is nothing to open yet: `{head}` has no commits that `{base}` does not have.",
        "Ask for a change first; once it is pushed, open the pull request.",
    )


def no_commits_yet(repository: Repository) -> PermanentError:
    return PermanentError(
        f"`{repository.name}` has no commits yet, so no branch can begin there.",
        "Push a first commit (a README will do), then start again.",
    )


def against_the_rules(subject: str, said: str) -> PermanentError:
    return PermanentError(
        f"A rule of the repository is against {subject}: {said}",
        "Do what the rule asks for, or let whoever administers the repository change it or allow the DevFlow App "
        "to bypass it.",
    )


def pull_request_refused(error: Exception, head: str, base: str) -> PermanentError | None:
    """Why no pull request could be made, where the reason is one of its two branches; else None."""
    if not isinstance(error, GithubException) or error.status != 422:
        return None
    data = error.data if isinstance(error.data, dict) else {}
    errors = data.get("errors")
    invalid = {
        str(one.get("field"))
        for one in (errors if isinstance(errors, list) else [])
        if isinstance(one, dict) and one.get("code") == "invalid"
    }
    said = "; ".join(github_messages(error)).lower()
    if "base" in invalid or "base is invalid" in said or "base does not exist" in said:
        return PermanentError(
            f"There is no branch `{base}` on GitHub that the pull request could go into: it was renamed or deleted.",
            "Choose another base branch.",
        )
    if "head" in invalid or "head is invalid" in said:
        return PermanentError(
            f"The branch `{head}` is not on GitHub: it was never pushed, or it was deleted.",
            "Ask for a change first; once it is pushed, open the pull request.",
        )
    if "no history in common" in said:
        return PermanentError(
            f"`{head}` and `{base}` have no history in common, so GitHub opens no pull request between them.",
            "Choose the base branch that the session began from.",
        )
    return None


def not_merged(error: Exception, number: int) -> PermanentError | None:
    """Why GitHub did not merge (405, 409, or a rule), in words; None for other errors.

    https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request
    """
    if not isinstance(error, GithubException):
        return None
    said = "; ".join(github_messages(error))
    lower = said.lower()
    if error.status == 409 and "head branch" in lower:
        return PermanentError(
            f"Pull request #{number} has newer commits than those that were to be merged.",
            "Look at what is new, then merge again.",
        )
    if error.status == 409 or "base branch was modified" in lower:
        return PermanentError(f"The base of pull request #{number} has just moved.", "Merge again.")
    if error.status not in {405, 422} and not (error.status == 403 and "rule" in lower):
        return None
    if "not mergeable" in lower or "conflict" in lower:
        return PermanentError(
            f"GitHub cannot merge pull request #{number}: it conflicts with its base, or it is closed.",
            "Resolve the conflicts first.",
        )
    if "draft" in lower:
        return PermanentError(f"Pull request #{number} is still a draft.", "Mark it ready for review first.")
    if "not allowed" in lower:
        return PermanentError(
            f"The repository does not allow this way of merging pull request #{number}: {said}", "Choose another one."
        )
    return against_the_rules(f"merging pull request #{number}", said)
