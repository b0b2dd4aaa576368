"""A Slack that is not the project's own, on a bad day: what people asked for is done once, and told once.

Longer and worse, with seeds of one's own: `BAD_DAY_SEED=7 BAD_DAY_TROUBLE=0.5 BAD_DAY_THREADS=4
BAD_DAY_REPLIES=6 python -m pytest -s tests/e2e/bad_day.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e import sandbox_process
from tests.e2e.bad_day_slack import BadDaySlack
from tests.e2e.sandbox_process import Json, SandboxProcess, until

SEED = int(os.environ.get("BAD_DAY_SEED", "1"))
THREADS = int(os.environ.get("BAD_DAY_THREADS", "2"))
REPLIES = int(os.environ.get("BAD_DAY_REPLIES", "3"))
TROUBLE = float(os.environ.get("BAD_DAY_TROUBLE", "0.15"))


def sandbox_on(slack: BadDaySlack, state_dir: Path) -> SandboxProcess:
    return SandboxProcess(state_dir, **slack.environment, DEVFLOW_MAX_SESSIONS_PER_USER="50")


@pytest.mark.timeout(600)
def test_each_prompt_is_answered_once_whatever_slack_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions, replies, and the end, while a part of all calls goes wrong and sockets drop."""
    monkeypatch.setattr(sandbox_process, "PATIENCE_SECONDS", 60.0 + 240.0 * TROUBLE)
    with BadDaySlack(SEED, TROUBLE) as slack, sandbox_on(slack, tmp_path / "state") as sandbox:
        roots = [slack.insists(f"start demo/hello echo t{number} >> t{number}.txt") for number in range(THREADS)]
        replies: dict[str, str] = {}
        for number in range(REPLIES):
            for thread_ts in roots:
                replies[slack.reply(thread_ts, f"echo r{number} >> r.txt")] = thread_ts

        def untold() -> list[Json]:
            items = {item["slack"]["thread_ts"]: item for item in sandbox.items()}
            missing = [ts for ts, root in replies.items() if ts not in str(items.get(root, {}).get("history"))]
            turns = [turn for item in items.values() for turn in item["history"]]
            return [*missing, *(turn for turn in turns if not turn.get("response_ts") and not turn.get("told_by"))]

        try:
            until("the end of every prompt", lambda: not untold())
        except AssertionError as error:
            acknowledged = {ts: slack.acknowledged[ts] for ts in replies}
            raise AssertionError(f"left: {untold()}; {dict(slack.went_wrong)}; acknowledged: {acknowledged}") from error
        slack.trouble = 0.0
        for item in sandbox.items():
            slack.reply(item["slack"]["thread_ts"], "!stop")
        until("the end", lambda: all(i["status"] == "stopped" and "lease" not in i for i in sandbox.items()))
        print(dict(slack.went_wrong))
        for item in sandbox.items():
            thread_ts = item["slack"]["thread_ts"]
            turn_ids = [turn["turn_id"] for turn in item["history"]]
            assert len(turn_ids) == len(set(turn_ids))
            told = [m["metadata"]["event_payload"]["turn_id"] for m in slack.of_type(thread_ts, "devflow_answer")]
            leads = [turn["turn_id"] for turn in item["history"] if "joined_to" not in turn]
            assert sorted(told) == sorted(leads), "each answer stands once"
            assert [turn["state"] for turn in item["history"]] == ["answered"] * len(turn_ids)
            assert not slack.of_type(thread_ts, "devflow_progress")
            assert len(slack.of_type(thread_ts, "devflow_notice")) == 1, "the stop"
            for ts, root in replies.items():
                assert root != thread_ts or slack.marks(ts) == {"white_check_mark"}
        prompts = [ts for item in sandbox.items() for ts in (turn.get("prompt_ts") for turn in item["history"]) if ts]
        assert sorted(prompts) == sorted(replies)
        assert "Traceback" not in sandbox.log()
