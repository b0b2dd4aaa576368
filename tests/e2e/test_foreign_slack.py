"""The main job on a Slack that is not the project's own, given by the settings that name the real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.foreign_slack import ALICE, MALLORY, ForeignSlack
from tests.e2e.sandbox_process import Json, SandboxProcess, fetch, turn, until


@pytest.fixture
def slack() -> Iterator[ForeignSlack]:
    with ForeignSlack() as running:
        yield running


@pytest.fixture
def sandbox(tmp_path: Path, slack: ForeignSlack) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path / "state", **slack.environment) as running:
        yield running


def started(sandbox: SandboxProcess) -> Json:
    def look() -> Json | None:
        items = sandbox.items()
        return items[0] if items else None

    return until("a session", look)


def test_the_main_job_with_another_slack(slack: ForeignSlack, sandbox: SandboxProcess) -> None:
    """Session, prompt, answer, reply (delivered twice, run once), pull request and stop; SQLite and git agree."""
    assert sandbox.addresses["slack_api_url"] == f"{slack.url}/api/"
    assert sandbox.addresses["slack_url"] == slack.url

    slack.command("start demo/hello echo from elsewhere >> README.md")
    thread_ts = started(sandbox)["slack"]["thread_ts"]
    item = sandbox.item_with(thread_ts, "an answer", lambda i: i["history"][0].get("response_ts"))
    assert item["user_id"] == ALICE
    assert item["history"][0]["state"] == "answered"
    assert sandbox.ls_remote(item) == item["history"][0]["commit_sha"]

    reply = "echo twice told >> README.md"
    reply_ts = slack.reply(thread_ts, reply)
    item = sandbox.item_with(thread_ts, "a second answer", lambda i: turn(i, reply).get("response_ts"))
    assert [entry["prompt"] for entry in item["history"]].count(reply) == 1
    assert turn(item, reply)["additions"] == 1
    assert sum(turn(item, reply)["commit_sha"][:7] in text for text in slack.texts(thread_ts)) == 1
    until("the check mark", lambda: ("add", reply_ts, "white_check_mark") in slack.reactions)

    until("the button", lambda: slack.has_button("session_open_pr"))
    slack.press("session_open_pr")
    until("the form", lambda: slack.form)
    assert slack.submit() == {}
    item = sandbox.item_with(thread_ts, "a pull request", lambda i: "pr_url" in i)
    assert "twice told" in fetch(item["pr_url"])[1]
    until("word of it", lambda: any("Pull request #1" in text for text in slack.texts(thread_ts)))

    slack.press("session_stop")
    sandbox.item_with(thread_ts, "the stop", lambda i: i["status"] == "stopped" and "ecs_task_arn" not in i)
    until("word of it", lambda: any("stopped this session" in text for text in slack.texts(thread_ts)))
    until("the end of every process of the task", lambda: not sandbox.task_pids())
    assert sandbox.end() == 0


def test_forms_mentions_and_home_with_another_slack(slack: ForeignSlack, sandbox: SandboxProcess) -> None:
    """A session by the form with its type-aheads, one by a mention, one by the shortcut; Home shows them."""

    def prompts() -> set[str]:
        return {item["initial_prompt"] for item in sandbox.items()}

    slack.command("")
    until("the form", lambda: slack.form)
    assert slack.choose("form_repository", "hel") == ["demo/hello"]
    assert until("its branches", lambda: slack.choose("form_base", "ma")) == ["main"]
    assert slack.submit("")["response_action"] == "errors"
    assert slack.submit("echo by form") == {}
    assert prompts() == {"echo by form"}
    slack.form = None

    ts = slack.call("echo by mention")
    until("a session by the mention", lambda: "echo by mention" in prompts())
    until("its answer", lambda: any("Asked by" in text for text in slack.texts(ts)))
    assert sum("devflow/echo-by-mention" in text for text in slack.texts(ts)) == 1, "one card"

    ts = slack.reply(None, "echo by shortcut")
    slack.work_on(ts)
    until("the form", lambda: slack.form)
    assert slack.submit("echo by shortcut") == {}
    assert len(prompts()) == 3
    slack.open_home()
    home = until("Home", lambda: slack.homes.get(ALICE))
    assert all(prompt in json.dumps(home) for prompt in prompts())
    assert slack.unknown_methods == set()


def test_a_stranger_gets_nothing_there(slack: ForeignSlack, sandbox: SandboxProcess) -> None:
    """Who is not on the list is told so, alone, and nothing is started or run."""
    answer = slack.command("start demo/hello ls", MALLORY)
    said = until("a refusal", lambda: json.dumps([answer, slack.ephemeral]) if answer or slack.ephemeral else None)
    assert "not on the list" in said
    assert sandbox.items() == []

    slack.command("start demo/hello true")
    thread_ts = started(sandbox)["slack"]["thread_ts"]
    sandbox.item_with(thread_ts, "an answer", lambda i: i["history"][0].get("response_ts"))
    slack.ephemeral.clear()
    slack.reply(thread_ts, "touch stolen", MALLORY)
    until("a refusal", lambda: any("not on the list" in json.dumps(said) for said in slack.ephemeral))
    assert [entry["prompt"] for entry in (sandbox.item(thread_ts) or {})["history"]] == ["true"]
