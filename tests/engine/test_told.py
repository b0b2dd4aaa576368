"""What one person alone is told: that a prompt was not taken is said again where Slack asks to wait."""

from __future__ import annotations

from typing import Any

import pytest

from slackbot.core.errors import PermanentError, TemporaryError
from slackbot.listeners.told import Told
from slackbot.views.view import View
from tests.engine.engine_world import until
from tests.fakes.chat import FakeChat

PLACE: dict[str, Any] = {"channel_id": "C1", "user_id": "U1", "thread_ts": None}


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slackbot.listeners.told.FIRST_PAUSE_SECONDS", 0.001)


async def test_it_is_told_once_slack_takes_it() -> None:
    chat = FakeChat()
    chat.fail("post_ephemeral", TemporaryError("Wait.", retry_after_seconds=0.01))
    chat.fail("post_ephemeral", TemporaryError("Slack failed."))
    told = Told(chat)
    told.tell(View("not taken"), **PLACE)
    await until(lambda: [said.text for said in chat.ephemerals] == ["not taken"], "the word")


async def test_what_slack_refuses_or_never_takes_ends() -> None:
    chat = FakeChat()
    chat.fail("post_ephemeral", PermanentError("No."))
    chat.fail("post_ephemeral", TemporaryError("Wait."), times=100)
    told = Told(chat)
    told.tell(View("refused"), **PLACE)
    told.tell(View("not taken"), **PLACE)
    await told.drain(20.0)
    assert not told._tasks
    assert len(chat.called("post_ephemeral")) == 5
