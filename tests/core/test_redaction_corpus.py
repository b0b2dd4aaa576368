"""Redaction held against a corpus: tokens in the formats of today (made up here), and text that only looks like them.

What is found and what is masked by mistake is printed (`pytest -s`); the test wants all of the one, none of the other.
"""

from __future__ import annotations

import base64
import json
import random
import string
import textwrap
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slackbot.core.redaction import _TOKENS, MASK, drop_cut_words, redact

_RANDOM = random.Random(7)
_HEX = "0123456789abcdef"
_WORD = string.ascii_letters + string.digits


def some(count: int, alphabet: str = _WORD) -> str:
    return "".join(_RANDOM.choice(alphabet) for _ in range(count))


def jwt() -> str:
    parts = (json.dumps({"alg": "RS256", "typ": "JWT"}), json.dumps({"iss": some(8), "exp": 1795700000}))
    return ".".join([base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts] + [some(86)])


TOKENS = {
    "GitHub personal": "ghp_" + some(36),
    "GitHub OAuth": "gho_" + some(36),
    "GitHub user to server": "ghu_" + some(36),
    "GitHub refresh": "ghr_" + some(76),
    "GitHub installation": "ghs_" + some(36),
    "GitHub installation, stateless": f"ghs_123456_{jwt()}",
    "GitHub fine-grained": "github_pat_" + some(22) + "_" + some(59),
    "Slack bot": f"xoxb-{some(12, string.digits)}-{some(13, string.digits)}-{some(24)}",
    "Slack browser": f"xoxc-{some(12, string.digits)}-{some(12, string.digits)}-{some(64, _HEX)}",
    "Slack browser's cookie": f"xoxd-{some(40)}%2B{some(40)}%3D%3D",
    "Slack user": f"xoxp-{some(12, string.digits)}-{some(12, string.digits)}-{some(32, _HEX)}",
    "Slack app": f"xapp-1-A{some(10)}-{some(13, string.digits)}-{some(64, _HEX)}",
    "Slack rotated": "xoxe.xoxb-1-" + some(160),
    "Slack webhook": f"https://hooks.slack.com/services/T{some(9)}/B{some(9)}/{some(24)}",
    "AWS key id": "AKIA" + some(16, string.ascii_uppercase + "234567"),
    "AWS temporary key id": "ASIA" + some(16, string.ascii_uppercase + "234567"),
    "Anthropic": f"sk-ant-api03-{some(93)}AA",
    "OpenAI": "sk-" + some(48),
    "OpenAI project": "sk-proj-" + some(120),
    "OpenRouter": "sk-or-v1-" + some(64, _HEX),
    "Google API": "AIza" + some(35),
    "Google OAuth": "ya29." + some(120),
    "Google client secret": "GOCSPX-" + some(28),
    "Groq": "gsk_" + some(52),
    "xAI": "xai-" + some(80),
    "Hugging Face": "hf_" + some(34, string.ascii_letters),
    "Replicate": "r8_" + some(37),
    "GitLab": "glpat-" + some(20),
    "npm": "npm_" + some(36),
    "PyPI": "pypi-AgEIcHlwaS5vcmc" + some(150),
    "RubyGems": "rubygems_" + some(48, _HEX),
    "Docker Hub": "dckr_pat_" + some(27),
    "Atlassian": "ATATT3xFfGF0" + some(170),
    "DigitalOcean": "dop_v1_" + some(64, _HEX),
    "Vault": "hvs." + some(90),
    "Terraform Cloud": f"{some(14)}.atlasv1.{some(67)}",
    "Databricks": "dapi" + some(32, _HEX),
    "Grafana": "glsa_" + some(32) + "_" + some(8, _HEX),
    "Sentry": "sntrys_" + some(120),
    "Stripe": "sk_live_" + some(24),
    "Stripe restricted": "rk_live_" + some(24),
    "Stripe webhook": "whsec_" + some(32),
    "SendGrid": f"SG.{some(22)}.{some(43)}",
    "Twilio": "SK" + some(32, _HEX),
    "Shopify": "shpat_" + some(32, _HEX),
    "Linear": "lin_api_" + some(40),
    "Notion": "ntn_" + some(46),
    "Postman": f"PMAK-{some(24, _HEX)}-{some(34, _HEX)}",
    "New Relic": "NRAK-" + some(27, string.ascii_uppercase),
    "Figma": "figd_" + some(40),
    "Telegram": f"{some(10, '123456789')}:AA{some(33)}",
    "age": "AGE-SECRET-KEY-1" + some(58, string.ascii_uppercase),
    "JWT": jwt(),
    "private key": "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "\n".join(some(70) for _ in range(4))
    + "\n-----END OPENSSH PRIVATE KEY-----",
}  # fmt: skip

PLACES = (
    "{}", "token={}", "export TOKEN='{}'", '{{"token": "{}"}}', "Authorization: token {}", "see {}, and go on",
    "<{}>", "`{}`", "https://x-access-token:{}@github.com/acme/shop.git", "a\\n{}\\nb", "\x1b[1m{}\x1b[0m",
    "/login?next=%2Fhome%3Ftoken%3D{}%26a%3D1",
)  # fmt: skip

HARMLESS = (
    "The commit 3f2a9c1d5e7b8a6f4c2d1e0f9a8b7c6d5e4f3a2b is on main.",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "id 123e4567-e89b-42d3-a456-426614174000 at 2026-11-26T15:04:05.123Z",
    "https://github.com/acme/shop/pull/12#discussion_r1234567890",
    "https://hooks.slack.com/ is where webhooks live",
    "pip install agent-client-protocol==0.12.1 --hash=sha256:" + "ab" * 32,
    "sk-learn and scikit-learn, task-runner-with-a-long-name, disk-usage-of-the-whole-machine",
    "The function risk_live_update_of_the_dashboard(a, b) calls mask_test_values_before_shipping().",
    "xoxo, ghost_writer, gho, github_patience, npm_config_registry=https://registry.npmjs.org/",
    "AKIA is the prefix of an access key id; ASIA is a continent, and ASIAN markets opened.",
    "integrity sha512-" + base64.b64encode(bytes(range(64))).decode(),
    "Bearer tokens are sent in a header; basic auth is older.",
    "http://127.0.0.1:8400/?thread=1795705644.643834",
    "git@github.com:acme/shop.git and ssh://git@example.com:22/acme/shop.git",
    "postgres://localhost:5432/shop and redis://cache:6379/0",
    "class Sk(Base): pass  # SK, the state key; SG.name, SG.size",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----",
    "secret_santa_list, client_secret: see the vault, account_key = None",
    "U0ADA said in C0SANDBOX at 1795705644.643834: ship it",
    "eyJust a word. A version such as 1.2.3-beta.4+build.5, and a range 1.2.3 - 2.3.4",
)


def test_recall_and_false_alarms() -> None:
    """Every format in every place is masked whole; nothing harmless is touched."""
    seen = [(name, place) for name, token in TOKENS.items() for place in PLACES if _left(token, place)]
    total = len(TOKENS) * len(PLACES)
    touched = [text for text in HARMLESS if redact(text) != text]
    print(f"\nredaction: {total - len(seen)} of {total} placed tokens of {len(TOKENS)} formats masked, "
          f"{len(touched)} of {len(HARMLESS)} harmless texts touched")  # fmt: skip
    assert seen == []
    assert touched == []


def _left(token: str, place: str) -> bool:
    """Whether a telling part of it is still there."""
    shown = redact(place.format(token))
    pieces = [token[index : index + 12] for index in range(len(token) // 3, len(token) - 12, 6)] or [token[4:]]
    return any(piece in shown for piece in pieces)


@pytest.mark.parametrize(
    "secret", ['a"b\\c/d é\tπ-12345', "plain-secret-value-of-no-shape", "x" * 8, "p@ss w0rd:with/odd?"]
)
def test_a_known_value_in_every_form(secret: str) -> None:
    """As it is, in a URL, in JSON and JSON in JSON, as hex, and as base64 wherever it begins."""
    raw = secret.encode()
    forms = [secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], raw.hex()]
    forms += [json.dumps(json.dumps({"token": secret})), json.dumps({"t": secret}, ensure_ascii=False)]
    for form in forms:
        shown = redact(f"before {form} after", [secret])
        assert MASK in shown
        assert secret not in shown
        assert secret not in json.dumps(shown)
    for before in ("", "a", "ab", "user:", "x-access-token:"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(before.encode() + raw + b":tail").decode()
            shown = redact(f"Authorization: {text}", [secret])
            if len(raw) >= 12:
                assert MASK in shown
                left = shown.rpartition(" ")[2].replace(MASK, "")
                assert len(left) <= len(text) - len(raw)


@pytest.mark.parametrize("secret", ["plain-secret-value-of-no-shape", "ghs_123456_" + "aZ09-_." * 60])
def test_a_known_value_over_several_lines(secret: str) -> None:
    """As base64(1), openssl and xxd print it: lines of 64 or 76 characters, hex in groups; also inside JSON."""
    raw = f"x-access-token:{secret}:and what follows it".encode()
    plain, url = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
    for text in (plain, url, raw.hex()):
        for width, end in ((76, "\n"), (64, "\r\n"), (60, "\n  ")):
            broken = end.join(textwrap.wrap(text, width))
            for shown in (redact(broken, [secret]), redact(json.dumps(broken), [secret])):
                assert MASK in shown
                assert len(shown) <= len(broken) - len(secret) + 20
    assert redact(f"{secret.encode().hex(' ')} .", [secret]) == f"{MASK} ."


def test_a_token_cut_in_two_is_dropped() -> None:
    """Where a text was cut, the word at the cut goes: neither half of a token is shown."""
    token = TOKENS["GitHub installation, stateless"]
    text = f"begin {token} end"
    for at in range(len("begin "), len("begin ") + len(token), 37):
        assert drop_cut_words(text[:at], at_end=True) == "begin "
        assert drop_cut_words(text[at:], at_start=True) == " end"
    assert drop_cut_words("one word", at_end=False) == "one word"


@pytest.mark.parametrize(("letters", "shape"), _TOKENS)
def test_no_token_is_without_the_letters_that_are_looked_for_first(letters: str, shape: str) -> None:
    """A shape is tried only on texts that hold them."""

    @settings(max_examples=20)
    @given(st.from_regex(shape))
    def holds(token: str) -> None:
        assert letters in token

    holds()


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"Authorization: BeaRer {'a' * 20}", "a" * 20),
        (f"authorization: BASIC {'b' * 20}", "b" * 20),
        ("git clone https://me:secret-word@host/", "secret-word"),
        ("x-access-token:abcdef@github.com", "abcdef"),
        (f"AWS_SECRET_ACCESS_KEY={'c' * 40}", "c" * 40),
        (f"AccountKey: {'d' * 40}", "d" * 40),
        (f"awsSessionToken = '{'e' * 40}'", "e" * 40),
        (f'"Client_Secret": "{"f" * 40}"', "f" * 40),
        (f"SharedAccessKey={'g' * 40}", "g" * 40),
        (f"client_\N{LATIN SMALL LETTER LONG S}ecret={'h' * 40}", "h" * 40),
    ],
)
def test_what_stands_behind_a_name_is_found_whatever_the_case(text: str, hidden: str) -> None:
    """The name is looked for in small letters first."""
    assert hidden not in redact(text)
    assert MASK in redact(text)
