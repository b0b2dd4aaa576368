"""The main job on a sandbox of real processes: page, git, SQLite and ps agree on every step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sandbox_process import ADA, GRACE, SandboxProcess, fetch, turn, until, words

GIVEN_ATTRIBUTES = {
    "session_id", "user_id", "repository_url", "repository_owner", "repository_name", "branch_name", "status",
    "initial_prompt", "history", "github_installation_id", "created_at", "updated_at", "ttl",
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("main-job") / "state") as running:
        yield running


def test_the_ready_line_names_every_address(sandbox: SandboxProcess) -> None:
    """With --json one line of JSON says where everything is, and everything answers there."""
    assert set(sandbox.addresses) == {"slack_url", "slack_api_url", "github_url", "gateway_url", "store"}
    assert sandbox.addresses["store"] == f"sqlite:{sandbox.state_dir}/sessions.sqlite3"
    for name, path in (("slack_url", "/"), ("github_url", "/demo/hello"), ("gateway_url", "/readyz")):
        status, text = fetch(sandbox.addresses[name] + path)
        assert status == 200, (name, text)
    assert sandbox.addresses["slack_api_url"] == sandbox.addresses["slack_url"] + "/api/"


def test_the_main_job(sandbox: SandboxProcess) -> None:
    """Command, session, running, answered, pushed, pull request, reply, stop: each seen where it stands."""
    prompt = "echo made by a test >> README.md && git diff --stat"
    thread_ts = sandbox.start_session(f"start demo/hello {prompt}")
    item = sandbox.item_with(
        thread_ts, "an answer", lambda i: i["history"] and i["history"][0].get("response_ts") and i["status"]
    )
    assert set(item) >= GIVEN_ATTRIBUTES
    assert item["status"] == "running"
    assert item["user_id"] == ADA
    assert (item["repository_owner"], item["repository_name"]) == ("demo", "hello")
    assert item["repository_url"] == f"{sandbox.addresses['github_url']}/demo/hello"
    assert item["initial_prompt"] == prompt
    assert item["ttl"] == item["updated_at"] + 24 * 3600
    first = turn(item, prompt)
    assert first["state"] == "answered"
    assert (first["files_changed"], first["additions"], first["deletions"]) == (1, 1, 0)
    assert sandbox.ls_remote(item) == first["commit_sha"]
    assert sandbox.task_state(item["ecs_task_arn"])["last_status"] == "RUNNING"
    assert sandbox.task_pids()
    sandbox.thread_says(thread_ts, "README.md", first["commit_sha"][:7])

    sandbox.open_pull_request(thread_ts)
    item = sandbox.item_with(thread_ts, "a pull request", lambda i: "pr_number" in i)
    status, page = fetch(item["pr_url"])
    assert status == 200
    assert "made by a test" in page

    second = "printf 'more\\n' > more.txt"
    sandbox.reply(thread_ts, "!listen all", ADA)
    sandbox.item_with(thread_ts, "that every reply is meant", lambda i: i["slack"].get("listen"))
    sandbox.reply(thread_ts, second, GRACE)
    item = sandbox.item_with(thread_ts, "a second answer", lambda i: turn(i, second).get("response_ts"))
    assert turn(item, second)["user_id"] == GRACE
    assert sandbox.ls_remote(item) == turn(item, second)["commit_sha"]

    sandbox.press(thread_ts, "session_stop")
    item = sandbox.item_with(thread_ts, "the stop", lambda i: i["status"] == "stopped" and "ecs_task_arn" not in i)
    sandbox.thread_says(thread_ts, "stopped this session")
    until("the end of every process of the task", lambda: not sandbox.task_pids())
    assert sandbox.ls_remote(item) == turn(item, second)["commit_sha"], "what was pushed stays"


def test_prompts_that_change_nothing_leave_no_branch_behind(sandbox: SandboxProcess) -> None:
    """A session that pushed nothing takes its branch with it when it ends."""
    thread_ts = sandbox.start_session("demo/hello ls")
    sandbox.item_with(thread_ts, "an answer", lambda i: i["history"] and i["history"][0].get("response_ts"))
    sandbox.reply(thread_ts, "!stop")
    item = sandbox.item_with(thread_ts, "the stop", lambda i: i["status"] == "stopped" and "ecs_task_arn" not in i)
    assert until("the end of the branch", lambda: sandbox.ls_remote(item) is None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("start demo/none ls", "demo/none"),
        ("start demo/private-uninstalled ls", "not installed"),
        ("start demo/archived ls", "archived"),
        ("start demo/empty ls", "commit"),
        ("start ../../etc/passwd ls", "passwd"),
        ("start https://evil.example/demo/hello ls", "evil.example"),
    ],
)
def test_what_cannot_be_started_is_told_to_the_person_alone(sandbox: SandboxProcess, text: str, sentence: str) -> None:
    """A command that cannot work ends in a sentence that only its author sees, and in no session."""
    before = len(sandbox.items())
    assert sentence in sandbox.refused(text, GRACE)
    assert len(sandbox.items()) == before


def test_one_who_did_not_start_a_session_may_not_stop_it(sandbox: SandboxProcess) -> None:
    """The second person's Stop is refused for their eyes only; the session goes on."""
    thread_ts = sandbox.start_session("demo/hello true")
    sandbox.item_with(thread_ts, "an answer", lambda i: i["history"] and i["history"][0].get("response_ts"))
    sandbox.press(thread_ts, "session_stop", GRACE)

    def refusal() -> bool:
        return any(m.get("is_ephemeral") and "Only" in words(m) for m in sandbox.thread(thread_ts, GRACE))

    until("a refusal", refusal)
    assert not any(message.get("is_ephemeral") for message in sandbox.thread(thread_ts, ADA))
    assert (sandbox.item(thread_ts) or {})["status"] == "running"
    sandbox.reply(thread_ts, "!stop")
    sandbox.item_with(thread_ts, "the stop", lambda i: i["status"] == "stopped")


def test_the_state_holds_what_it_says_and_no_secret_is_in_the_log(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """Tokens and keys of the sandbox stand in sandbox.json, readable by its owner only, and nowhere in the log."""
    path = sandbox.state_dir / "sandbox.json"
    assert path.stat().st_mode & 0o077 == 0
    content = path.read_text()
    log = sandbox.log()
    for secret in (part for part in content.split('"') if len(part) > 30):
        assert secret not in log
    assert "PRIVATE KEY" not in log
