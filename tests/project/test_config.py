"""Settings: every fault at once, secrets never shown, what is derived."""

from __future__ import annotations

from pathlib import Path

import pytest

from slackbot.config import load_settings
from slackbot.core.errors import ConfigError

PEM = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"
GOOD = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "GITHUB_APP_ID": "1",
    "GITHUB_APP_PRIVATE_KEY": PEM,
    "DEVFLOW_SECRET": "s" * 32,
    "DEVFLOW_ALLOWED_USERS": "U012AB, S0GROUP",
    "DEVFLOW_STORE": "sqlite:/tmp/x.sqlite3",
    "DEVFLOW_TASKS": "local",
    "DEVFLOW_STATE_DIR": "/tmp/x",
}


def faults(**changed: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings({**GOOD, **changed})
    return caught.value.faults


def test_good_settings_load() -> None:
    """The least that is needed, with what follows from it."""
    settings = load_settings(GOOD)
    assert settings.gateway_url_on(8402) == "http://127.0.0.1:8402"
    assert settings.sqlite_path == Path("/tmp/x.sqlite3")
    assert settings.access_policy.users == {"U012AB"}
    assert settings.access_policy.groups == {"S0GROUP"}
    assert settings.is_real_slack


def test_nothing_set_names_everything_that_must_be() -> None:
    """One start tells all that is missing."""
    with pytest.raises(ConfigError) as caught:
        load_settings({})
    named = {fault.split(" ")[0] for fault in caught.value.faults}
    assert named == {
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
        "GITHUB_APP_ID",
        "GITHUB_APP_PRIVATE_KEY",
        "DEVFLOW_SECRET",
        "DEVFLOW_ALLOWED_USERS",
        "DEVFLOW_ECS_CLUSTER",
        "DEVFLOW_ECS_TASK_DEFINITION",
        "DEVFLOW_ECS_SUBNETS",
        "DEVFLOW_GATEWAY_URL",
    }


def test_malformed_and_missing_are_told_together() -> None:
    """A wrong number does not hide a missing token."""
    told = faults(DEVFLOW_IDLE_SECONDS="soon", SLACK_BOT_TOKEN=" ")
    assert [fault for fault in told if fault.startswith("DEVFLOW_IDLE_SECONDS")]
    assert [fault for fault in told if fault.startswith("SLACK_BOT_TOKEN")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVFLOW_SECRET", "short"),
        ("DEVFLOW_ALLOWED_USERS", "ada"),
        ("DEVFLOW_ADMINS", "C0CHANNEL"),
        ("DEVFLOW_ALLOWED_CHANNELS", "#general"),
        ("DEVFLOW_ALLOWED_REPOSITORIES", "shop"),
        ("SLACK_API_URL", "slack.com/api"),
        ("GITHUB_API_URL", "ftp://github.example"),
        ("DEVFLOW_GATEWAY_LISTEN", "8402"),
        ("DEVFLOW_PUBLIC_LISTEN", "8403"),
        ("DEVFLOW_STORE", "postgres:x"),
        ("DEVFLOW_TASKS", "docker"),
        ("DEVFLOW_MAX_SESSIONS", "0"),
        ("GITHUB_APP_PRIVATE_KEY", "/no/such/file.pem"),
    ],
)
def test_each_malformed_setting_is_named(name: str, value: str) -> None:
    """Exactly the one that is wrong."""
    assert [fault.split(":")[0] for fault in faults(**{name: value})] == [name]


def test_ecs_needs_a_gateway_that_tasks_can_reach() -> None:
    """A loopback address is of no use to a task on another machine."""
    ecs = {"DEVFLOW_ECS_CLUSTER": "c", "DEVFLOW_ECS_TASK_DEFINITION": "w", "DEVFLOW_ECS_SUBNETS": "subnet-1"}
    told = faults(DEVFLOW_TASKS="ecs", DEVFLOW_GATEWAY_URL="http://localhost:8402", **ecs)
    assert [fault.split(" ")[0] for fault in told] == ["DEVFLOW_GATEWAY_URL"]


def test_no_secret_is_shown_in_faults_or_repr(tmp_path: Path) -> None:
    """Neither a fault nor the settings' repr holds a value that is secret."""
    shown = repr(load_settings(GOOD)) + "".join(faults(DEVFLOW_SECRET="hunter2-hunter2", DEVFLOW_IDLE_SECONDS="x"))
    for secret in ("xoxb-1", "xapp-1", "AAAA", "s" * 32, "hunter2"):
        assert secret not in shown


def test_the_private_key_may_be_a_file(tmp_path: Path) -> None:
    """A path is read when the key is needed."""
    path = tmp_path / "key.pem"
    path.write_text(PEM)
    assert load_settings({**GOOD, "GITHUB_APP_PRIVATE_KEY": str(path)}).private_key_pem() == PEM


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("edit.example.com", "is not an http or https address"),
        ("https://edit.example.com/devflow", "must end after the host"),
        ("https://user@edit.example.com", "is not an http or https address"),
        ("https://edit.{session}.example.com", "in the first part of its host"),
        ("https://{session}.{session}.example.com", "more than once"),
        ("https://[::1", "is not an http or https address"),
    ],
)
def test_a_public_url_that_cannot_be_one_is_told(url: str, why: str) -> None:
    """With the reason: nothing of it could be seen before a person presses a button."""
    (fault,) = faults(DEVFLOW_PUBLIC_URL=url, DEVFLOW_PUBLIC_LISTEN="127.0.0.1:8403")
    assert fault.startswith("DEVFLOW_PUBLIC_URL: ")
    assert why in fault


def test_the_public_address() -> None:
    """Both settings or neither, but for a listener on loopback; a session's origin follows from them."""
    assert load_settings(GOOD).public_listen_address is None
    assert "DEVFLOW_PUBLIC_LISTEN is not set" in faults(DEVFLOW_PUBLIC_URL="https://e.example.com")[0]
    assert "DEVFLOW_PUBLIC_URL is not set" in faults(DEVFLOW_PUBLIC_LISTEN="0.0.0.0:8403")[0]
    local = load_settings({**GOOD, "DEVFLOW_PUBLIC_LISTEN": "127.0.0.1:0"})
    assert local.public_address_on(8403).origin_of("s1") == "http://127.0.0.1:8403"
    url = "https://edit-{session}.Example.com:443/"
    shared = load_settings({**GOOD, "DEVFLOW_PUBLIC_LISTEN": "0.0.0.0:8403", "DEVFLOW_PUBLIC_URL": url})
    address = shared.public_address_on(8403)
    assert address.origin_of("s1") == "https://edit-s1.example.com"
    assert address.has_session_hosts
    assert address.is_secure


def test_a_webhook_needs_a_secret_worth_the_name_and_a_place_to_be_reached_at() -> None:
    """Both are told at once; the secret is one that no log may hold."""
    told = faults(GITHUB_WEBHOOK_SECRET="short")
    assert [fault.split(" ")[0].rstrip(":") for fault in told] == ["GITHUB_WEBHOOK_SECRET", "DEVFLOW_PUBLIC_LISTEN"]
    good = load_settings(
        {**GOOD, "GITHUB_WEBHOOK_SECRET": "w" * 16, "DEVFLOW_PUBLIC_LISTEN": "127.0.0.1:8403"},
    )
    assert "w" * 16 in good.secrets()
