"""Text as Slack stores it <-> text as people mean it. Pure.

Slack escapes `&`, `<` and `>` in messages and wraps links and mentions in angle brackets.
https://docs.slack.dev/messaging/formatting-message-text/
"""

from __future__ import annotations

import re

_LINK = re.compile(r"<((?:https?://|mailto:|ssh://|tel:)[^<>|\s]+)(?:\|([^<>]*))?>")
_SPECIAL = re.compile(r"<!(here|channel|everyone)(?:\|[^<>]*)?>")
_CHANNEL = re.compile(r"<#[A-Z0-9]+\|([^<>]+)>")
_LEADING_MENTION = re.compile(r"\s*<@([A-Z0-9]+)(?:\|[^<>]*)?>[\s,:]*")
# Everything below space but tab and newline, DEL, and lone surrogates: no agent, log or JSON parser wants them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def plain_text(escaped: str) -> str:
    """A message's text as the person meant it: links bare, entities undone, control characters gone."""
    text = escaped
    if "<" in text:
        text = _LINK.sub(lambda match: _bare_link(match.group(1), match.group(2)), text)
        text = _SPECIAL.sub(r"@\1", text)
        text = _CHANNEL.sub(r"#\1", text)
    if "&" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return clean(text)


def clean(text: str) -> str:
    """Without control characters and lone surrogates; line ends are `\\n`."""
    if text.isprintable():
        return text  # most messages have neither
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def escape(text: str) -> str:
    """Plain text for a `mrkdwn` or `text` field: shown as it is, never a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def leading_mention(escaped: str) -> tuple[str | None, str]:
    """Who a message begins by naming, and the rest of it; (None, the text) when it names nobody."""
    match = _LEADING_MENTION.match(escaped) if "<@" in escaped else None
    return (match.group(1), escaped[match.end() :]) if match else (None, escaped)


def without_mention(escaped: str, user_id: str) -> str:
    """The text without the mentions of one user: what is said to a bot that is called in the middle of a sentence."""
    if "<@" not in escaped:
        return escaped.strip()
    return re.sub(rf"[ \t]*<@{re.escape(user_id)}(?:\|[^<>]*)?>[,:]*", "", escaped).strip()


def harmless_markdown(text: str) -> str:
    """An agent's Markdown, unable to notify anybody: `<!channel>`, `<@U1>` and `@here` lose their power.

    A zero-width space is put behind the first character; code stays readable.
    """
    text = re.sub(r"<(?=[!@#])", "<\u200b", text)
    return re.sub(r"@(?=(?:here|channel|everyone)\b)", "@\u200b", text)


def _bare_link(url: str, label: str | None) -> str:
    if url.startswith("mailto:") and label:
        return label
    if label and url in (f"http://{label}", f"https://{label}"):
        # Slack made a link of something like `example.com` that the person typed bare.
        return label
    return url
