"""Takes secrets out of text on its way to people and logs. Pure. A seat belt, not a boundary.

Known values come first, in every form in which they are written down (base64 wherever it begins, URL, JSON, hex); then
the shapes of tokens in use today. Done on whole texts, before they are cut: `drop_cut_words` is for the others.
GitHub's: https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
Slack's: https://docs.slack.dev/authentication/tokens
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "[redacted]"
LONGEST_TOKEN = 4_096
"""A word longer than this is no token; it is not dropped whole where a text was cut."""

_TOKENS = (
    # What each holds in any case, and its shape.
    # GitHub. Since 2026 an installation token may be ghs_<app id>_<JWT>, some 520 characters with dots and dashes.
    ("gh", r"gh[opsur]_[A-Za-z0-9._-]{16,}"),
    ("github_pat_", r"github_pat_\w{20,}"),
    # Slack
    ("xox", r"xox[abceoprs](?:\.xox[a-z])?-[A-Za-z0-9-]{8,}"),
    ("xoxd-", r"xoxd-[A-Za-z0-9%+/=_-]{20,}"),
    ("xapp-", r"xapp-[A-Za-z0-9-]{8,}"),
    ("hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}"),
    # Amazon: key ids, and Bedrock's API keys
    ("AKIA", r"AKIA[A-Z0-9]{16}(?![A-Z0-9])"),
    ("ASIA", r"ASIA[A-Z0-9]{16}(?![A-Z0-9])"),
    ("ABIA", r"ABIA[A-Z0-9]{16}(?![A-Z0-9])"),
    ("ACCA", r"ACCA[A-Z0-9]{16}(?![A-Z0-9])"),
    ("ABSK", r"ABSK[A-Za-z0-9+/]{60,}={0,2}"),
    # Models: Anthropic, OpenAI and those who copy their shape; Google, Groq, xAI, Hugging Face, Replicate, Perplexity
    ("sk-", r"sk-[A-Za-z0-9_-]{20,}"),
    ("AIza", r"AIza[A-Za-z0-9_-]{30,}"),
    ("gsk_", r"gsk_[A-Za-z0-9]{40,}"),
    ("xai-", r"xai-[A-Za-z0-9]{40,}"),
    ("hf_", r"hf_[A-Za-z]{30,}"),
    ("r8_", r"r8_[A-Za-z0-9]{30,}"),
    ("pplx-", r"pplx-[A-Za-z0-9]{40,}"),
    # Google's OAuth
    ("ya29.", r"ya29\.[A-Za-z0-9_-]{20,}"),
    ("GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{20,}"),
    # Forges and registries: GitLab, npm, PyPI, RubyGems, Docker Hub, crates.io, Bitbucket and Atlassian
    ("gl", r"gl(?:pat|cbt|dt|ft|ptt|rt|soat|agent|oas|imt|ffct)-[A-Za-z0-9_.-]{20,}"),
    ("npm_", r"npm_[A-Za-z0-9]{36}"),
    ("pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{50,}"),
    ("rubygems_", r"rubygems_[a-f0-9]{48}"),
    ("dckr_", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    ("cio", r"cio[A-Za-z0-9]{32}(?![A-Za-z0-9])"),
    ("AT", r"AT(?:ATT3|CTT3|BB)[A-Za-z0-9_=-]{20,}"),
    # Clouds and tools: DigitalOcean, HashiCorp, Databricks, Fly, Heroku, Supabase, Terraform, Pulumi, Grafana, Sentry
    ("_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    ("hv", r"hv[sbr]\.[A-Za-z0-9_-]{24,}"),
    ("dapi", r"dapi[a-f0-9]{32}"),
    ("fo1_", r"fo1_[A-Za-z0-9_-]{40,}"),
    ("HRKU-", r"HRKU-[A-Za-z0-9_-]{30,}"),
    ("sb", r"sb(?:p|_secret)_[A-Za-z0-9_-]{30,}"),
    (".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}"),
    ("pul-", r"pul-[a-f0-9]{40}"),
    ("gl", r"gl(?:c|sa)_[A-Za-z0-9+/=_-]{32,}"),
    ("sntry", r"sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
    # Services: Stripe, SendGrid, Twilio, Mailchimp, Shopify, Square, Linear, Notion, Postman, New Relic, Figma
    ("k_", r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}"),
    ("whsec_", r"whsec_[A-Za-z0-9+/=]{24,}"),
    ("SG.", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("SK", r"SK[a-f0-9]{32}"),
    ("-us", r"[a-f0-9]{32}-us\d{1,2}"),
    ("shp", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    ("sq0", r"sq0[a-z]{3}-[A-Za-z0-9_-]{22,}"),
    ("lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    ("ntn_", r"ntn_[A-Za-z0-9]{40,}"),
    ("secret_", r"secret_[A-Za-z0-9]{40,}"),
    ("PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    ("NRAK-", r"NRAK-[A-Z0-9]{27}"),
    ("figd_", r"figd_[A-Za-z0-9_-]{36,}"),
    (":AA", r"\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    ("AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    # JSON Web Tokens, whoever made them
    ("eyJ", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
)

_TOKEN = re.compile(
    # Not in the middle of a word, but after an escape such as \n, \u0022 or %3D, and after a terminal's colour.
    r"(?:(?<![A-Za-z0-9_])|(?<=\\[ntr])|(?<=\\u00[0-9a-fA-F]{2})|(?<=%[0-9a-fA-F]{2})|(?<=[\[;]\dm)|(?<=[\[;]\d\dm))"
    r"(?:" + "|".join(pattern for _, pattern in _TOKENS) + ")"
)

_IN_PLACES = (
    (
        "-----BEGIN ",
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
        ),
    ),
    ("x-access-token:", re.compile(r"(?<=x-access-token:)[^@\s/]+(?=@)")),
    ("://", re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")),
)

_NAMED = (
    ("bearer ", re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{16,}")),
    ("basic ", re.compile(r"(?i)(?<=basic )[A-Za-z0-9+/]{16,}={0,2}(?![A-Za-z0-9+/])")),
    # A name that says what the value is: AWS's secret key has no shape of its own, nor has Azure's.
    *(
        (
            last_word,
            re.compile(
                rf"""(?ix)(?:{name})
                ["']?\s{{0,3}}[:=]\s{{0,3}}["']?(?P<value>[A-Za-z0-9/+_~.=-]{{20,}})"""
            ),
        )
        for last_word, name in (
            ("key", "aws_?secret_?(?:access_?)?key|account_?key|shared_?access_?key"),
            ("token", "aws_?session_?token"),
            ("secret", "client_?secret"),
        )
    ),
)
"""Whatever the case; their first column is in small letters."""


_BREAK = r"(?:\s|\\[nr])*"
_BROKEN = re.compile(r"[A-Za-z0-9+/_-]{40}(?:\s|\\[nr])+[A-Za-z0-9+/_-]|(?:[0-9a-fA-F]{2}\s){8}")
"""Where base64(1), openssl and the like broke their lines, and where hex stands in groups."""
_SPACE = re.compile(r"[\s\\]")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given values (those of 8 characters and more), their encodings, and known token shapes."""
    known = tuple(secrets)
    for value in _known(known):
        if value in text:
            text = text.replace(value, MASK)
    if known and _SPACE.search(text) and _BROKEN.search(text):
        for pattern in _broken(known):
            text = pattern.sub(MASK, text)
    # Most texts hold no part of any: looking for a few letters is much quicker than for a shape.
    if any(letters in text for letters, _ in _TOKENS):
        text = _TOKEN.sub(MASK, text)
    for letters, pattern in _IN_PLACES:
        if letters in text:
            text = pattern.sub(MASK, text)
    # Beyond ASCII there are letters that count as others of the same name, in another case.
    small = text.lower() if text.isascii() else None
    for letters, pattern in _NAMED:
        if small is None or letters in small:
            text = pattern.sub(_masked, text)
    return text


def drop_cut_words(text: str, *, at_start: bool = False, at_end: bool = False) -> str:
    """`text` without the word that it begins or ends with: where a text was cut, that may be half a token."""
    if at_start:
        head = text[:LONGEST_TOKEN]
        begin = next((index for index, character in enumerate(head) if character.isspace()), len(head))
        text = text[begin:]
    if at_end:
        tail = text[-LONGEST_TOKEN:]
        end = next((index for index, character in enumerate(reversed(tail)) if character.isspace()), len(tail))
        text = text[: len(text) - end]
    return text


def _masked(match: re.Match[str]) -> str:
    value = match.groupdict().get("value")
    return match[0].replace(value, MASK) if value else MASK


@functools.lru_cache(maxsize=32)
def _known(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Every form of these, longest first. Kept: a process asks about the same few for every line of its log."""
    return tuple(sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True))


@functools.lru_cache(maxsize=8)
def _broken(secrets: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """The encodings that programs print in several lines, with breaks anywhere."""
    forms = set[str]()
    for secret in secrets:
        if len(secret) >= 8:
            raw = secret.encode()
            forms |= _within_base64(raw) | {raw.hex(), raw.hex().upper()}
    return tuple(re.compile(_BREAK.join(map(re.escape, form))) for form in sorted(forms, key=len, reverse=True))


def _forms(secret: str) -> set[str]:
    if len(secret) < 8:
        return set()
    raw = secret.encode()
    escaped = json.dumps(secret)[1:-1]
    plain = json.dumps(secret, ensure_ascii=False)[1:-1]
    forms = {secret, escaped, plain, escaped.replace("/", "\\/"), plain.replace("/", "\\/")}
    # JSON in JSON, as in a log line that holds a request.
    forms |= {json.dumps(form)[1:-1] for form in tuple(forms)}
    forms |= {quote(secret, safe=""), quote(secret), quote_plus(secret), raw.hex(), raw.hex().upper()}
    forms |= {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in tuple(forms)}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        forms |= {encode(raw).decode(), encode(raw).decode().rstrip("=")}
    return forms | _within_base64(raw)


def _within_base64(raw: bytes) -> set[str]:
    """In something longer it may begin at any of three places; the characters at its ends hold neighbours' bits."""
    forms = set[str]()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            whole = encode(b"\0" * before + raw).decode().rstrip("=")
            first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
            if last - first >= 12:
                forms.add(whole[first:last])
    return forms
