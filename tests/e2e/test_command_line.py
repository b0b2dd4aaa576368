"""What the command line refuses, and with which words: each names what is wrong and what to do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sandbox_process import SandboxProcess, devflow
from tests.ports import lasting_port

REAL_SLACK = {"SLACK_BOT_TOKEN": "xoxb-1-abcdefgh", "SLACK_APP_TOKEN": "xapp-1-abcdefgh"}


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_named_with_what_to_do(tmp_path: Path, taken_port: int) -> None:
    """Which port, for what, and how to choose another one."""
    ended = devflow("sandbox", "--state", str(tmp_path / "state"), "--port", str(taken_port))
    assert ended.returncode == 1
    assert f"Port {taken_port}" in ended.stderr
    assert "--port 8500" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_port_of_a_stand_in_behind_the_page_is_named_too(tmp_path: Path) -> None:
    """The second and third port are DevFlow's own choice, so the sentence says what they are for."""
    first = lasting_port(2)
    with socket.create_server(("127.0.0.1", first + 1)):
        ended = devflow("sandbox", "--state", str(tmp_path / "state"), "--port", str(first))
    assert ended.returncode == 1
    assert f"Port {first + 1}, for GitHub's stand-in" in ended.stderr


def test_a_second_sandbox_on_the_same_state_is_refused(tmp_path: Path) -> None:
    """Two would fight for one workspace: the sentence names the directory, the process, and the way out."""
    with SandboxProcess(tmp_path / "state") as first:
        ended = devflow("sandbox", "--state", str(tmp_path / "state"), "--port", "0")
        assert ended.returncode == 1
        assert f"process {first.pid}" in ended.stderr
        assert str(tmp_path / "state") in ended.stderr
        assert "--state OTHER_DIR" in ended.stderr


def test_a_real_slack_without_an_allow_list_is_refused(tmp_path: Path) -> None:
    """Anyone in that Slack could run commands on this machine."""
    ended = devflow("sandbox", "--state", str(tmp_path / "state"), **REAL_SLACK)
    assert ended.returncode == 2
    assert "DEVFLOW_ALLOWED_USERS is not set" in ended.stderr
    assert "runs commands on this machine" in ended.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"SLACK_BOT_TOKEN": "xoxb-1-abcdefgh"}, "SLACK_APP_TOKEN"),
        ({"SLACK_APP_TOKEN": "xapp-1-abcdefgh"}, "SLACK_BOT_TOKEN"),
        ({"GITHUB_APP_ID": "1"}, "GITHUB_APP_PRIVATE_KEY"),
        ({"SLACK_API_URL": "http://127.0.0.1:1/api/"}, "SLACK_BOT_TOKEN"),
    ],
)
def test_half_given_credentials_are_named(tmp_path: Path, given: dict[str, str], missing: str) -> None:
    """Neither the real system nor its stand-in was meant: say which one is missing, never show a value."""
    ended = devflow("sandbox", "--state", str(tmp_path / "state"), **given)
    assert ended.returncode == 2
    assert missing in ended.stderr
    assert "abcdefgh" not in ended.stdout + ended.stderr


def test_once_is_refused_with_a_real_slack(tmp_path: Path) -> None:
    """It starts and stops a session by itself, which nobody wants in a workspace of people."""
    ended = devflow("sandbox", "--once", "ls", "--state", str(tmp_path / "s"), DEVFLOW_ALLOWED_USERS="U1", **REAL_SLACK)
    assert ended.returncode == 1
    assert "`--once`" in ended.stderr
    assert "Unset SLACK_BOT_TOKEN" in ended.stderr


def test_run_without_settings_names_all_of_them_at_once() -> None:
    """Exit status 2, and a line for each setting that is missing."""
    ended = devflow("run")
    assert ended.returncode == 2
    for name in (
        "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY", "DEVFLOW_SECRET",
        "DEVFLOW_ALLOWED_USERS", "DEVFLOW_ECS_CLUSTER", "DEVFLOW_ECS_TASK_DEFINITION", "DEVFLOW_ECS_SUBNETS",
        "DEVFLOW_GATEWAY_URL",
    ):  # fmt: skip
        assert f"- {name} " in ended.stderr, name
    assert "Traceback" not in ended.stderr


def test_the_state_directory_cannot_be_made(tmp_path: Path) -> None:
    """A file stands where the directory should be."""
    (tmp_path / "file").write_text("")
    ended = devflow("sandbox", "--state", str(tmp_path / "file" / "state"), "--port", "0")
    assert ended.returncode == 1
    assert "cannot be used" in ended.stderr
    assert "--state" in ended.stderr
