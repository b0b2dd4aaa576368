"""Home on fakes: who sees what, and that it is drawn again only while it may be looked at."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from slackbot.admission import Admission
from slackbot.core.access import AccessPolicy
from slackbot.core.errors import TemporaryError
from slackbot.home_desk import LOOKED_AT_SECONDS, HomeDesk
from slackbot.session_finder import SessionFinder
from tests.engine.engine_world import EngineWorld
from tests.fakes.chat import FakeChat


class Silent:
    """A command desk that nobody comes to here."""

    async def ask(self, *_: Any) -> None:
        raise AssertionError("nothing was pressed")


def home_desk(world: EngineWorld, engine: Any) -> HomeDesk:
    policy = AccessPolicy(users=frozenset({"U1", "U2"}), admins=frozenset({"U9"}))
    admission = Admission(world.chat, policy)
    finder = SessionFinder(engine=engine, store=world.store, admission=admission, workspace_url="https://x.slack.com")
    return HomeDesk(
        engine=engine,
        chat=world.chat,
        admission=admission,
        commands=Silent(),  # type: ignore[arg-type]
        finder=finder,
        pause_seconds=0.0,
    )


async def test_a_person_sees_their_own_an_administrator_all_a_stranger_none() -> None:
    """What others prompt is theirs."""
    world = EngineWorld(chat=FakeChat(people=("U1", "U2", "U3", "U9")))
    engine = world.engine()
    await world.begin(engine, "echo of-u1")
    desk = home_desk(world, engine)
    for user_id in ("U1", "U2", "U3", "U9"):
        await desk.opened(user_id)
    shown = {user_id: json.dumps(view) for user_id, view in world.chat.homes.items()}
    assert {user_id: "of-u1" in text for user_id, text in shown.items()} == {
        "U1": True,
        "U2": False,
        "U3": False,
        "U9": True,
    }
    assert "home_stop" in shown["U9"]
    assert "not on the list" in shown["U3"]


async def test_it_is_drawn_again_while_it_may_be_looked_at() -> None:
    """By the first change; not for who never looked, and not for who looked long ago."""
    world = EngineWorld(chat=FakeChat(people=("U1", "U9")))
    engine = world.engine()
    desk = home_desk(world, engine)
    await desk.opened("U1")
    session_id = await world.begin(engine, "echo drawn")
    desk.saved(None, await world.load(session_id))
    while "drawn" not in json.dumps(world.chat.homes["U1"]):
        await asyncio.sleep(0.001)
    assert "U9" not in world.chat.homes
    await desk.close()
    await desk.opened("U1")
    drawn = len(world.chat.called("publish_home"))
    world.clock += LOOKED_AT_SECONDS + 1
    desk.saved(None, await world.load(session_id))
    await asyncio.sleep(0)
    assert len(world.chat.called("publish_home")) == drawn


async def test_one_session_that_cannot_be_read_hides_no_other() -> None:
    """Neither on Home nor in the list."""
    world = EngineWorld(chat=FakeChat(people=("U1", "U9")))
    engine = world.engine()
    broken = await world.begin(engine, "echo broken")
    await world.begin(engine, "echo whole")
    await world.quiet(engine)
    world.store.items[broken]["status"] = "dreaming"
    desk = home_desk(world, engine)
    for user_id in ("U1", "U9"):
        await desk.opened(user_id)
        assert "whole" in json.dumps(world.chat.homes[user_id])
    assert "whole" in json.dumps((await desk._finder.page("U1", None)).blocks)


async def test_a_change_at_the_very_end_of_a_drawing_is_drawn() -> None:
    """Between a drawing's last look at what came meanwhile and its end nothing is lost."""
    world = EngineWorld(chat=FakeChat(people=("U1", "U9")))
    engine = world.engine()
    desk = home_desk(world, engine)
    await desk.opened("U1")
    session = await world.load(await world.begin(engine, "echo drawn"))
    drawn = desk._drawn
    desk._drawn = lambda user_id, task: None  # type: ignore[method-assign]
    desk.saved(None, session)
    (drawing,) = desk._drawing.values()
    await drawing
    # As the loop may have it: another write is noted after the drawing returned and before its end was noted.
    shown = len(world.chat.called("publish_home"))
    desk.saved(None, session)
    drawn("U1", drawing)
    await asyncio.gather(*desk._drawing.values())
    assert len(world.chat.called("publish_home")) == shown + 1
    await desk.close()


async def test_a_press_that_was_done_does_not_fail_for_a_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack tells who pressed that the button failed where the press is not acknowledged: only if it did."""
    world = EngineWorld(chat=FakeChat(people=("U1", "U9")))
    engine = world.engine()
    desk = home_desk(world, engine)

    async def cannot(*_: Any) -> None:
        raise TemporaryError("Slack asks DevFlow to slow down.")

    async def done(*_: Any) -> None:
        return None

    monkeypatch.setattr(world.chat, "publish_home", cannot)
    monkeypatch.setattr(desk._commands, "ask", done)
    await desk.press("stop", "U1", "session", "press")
    monkeypatch.setattr(desk._commands, "ask", cannot)
    with pytest.raises(TemporaryError):
        await desk.press("stop", "U1", "session", "press")
