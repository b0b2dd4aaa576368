"""The table of rights at the desk where people ask: every verb there is, by everyone there is."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from slackbot.admission import Admission
from slackbot.audit import AuditLog
from slackbot.core.access import MATRIX, AccessPolicy, Action, Role
from slackbot.core.errors import DevflowError, NotAdmitted, Refused
from slackbot.core.repository_policy import Policies
from slackbot.core.session import Session
from slackbot.core.wishes import EVENTS
from slackbot.desks import Desks, Workspace, open_desks
from slackbot.front_desk import Reply
from slackbot.session_start import StartLimits
from tests.engine.engine_world import EngineWorld
from tests.fakes.chat import BOT_USER_ID, TEAM_ID

PEOPLE = {
    "U1": Role.OWNER,
    "U2": Role.PARTICIPANT,
    "U3": Role.ADMIN,
    "U4": Role.VIEWER,
    "U5": Role.VIEWER,
    "U6": Role.VIEWER,
    "U7": Role.VIEWER,
}
VERBS = {verb: action for verb, (action, _) in EVENTS.items()}
VERBS |= {"status": Action.STATUS, "forget": Action.FORGET, "raise_limit": Action.RAISE_LIMIT}


async def desk_of(world: EngineWorld) -> tuple[Desks, Session, list[str]]:
    """A running session of U1's, the desks, and whose limits were raised."""
    chat = world.chat
    for user_id in ("U2", "U3", "U5"):
        chat.add_person(user_id)
    chat.add_person("U4", is_guest=True)
    chat.add_person("U6", is_stranger=True)
    chat.add_person("U7", is_bot=True)
    engine = world.engine()
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    named = frozenset({"U1", "U2", "U4", "U6", "U7"})
    raised: list[str] = []

    async def raise_limit(session: Session, user_id: str, press_id: str) -> None:
        raised.append(user_id)

    policy = AccessPolicy(users=named, admins=frozenset({"U3"}))
    given: dict[str, Any] = {
        "engine": engine,
        "store": world.store,
        "chat": chat,
        "code_host": world.code_host,
        "admission": Admission(chat, policy),
        "audit": AuditLog(lambda line: None, now=world.now),
        "workspace": Workspace(TEAM_ID, BOT_USER_ID, "https://acme.example/", frozenset({"github.com"})),
        "limits": StartLimits(max_sessions=9, max_sessions_per_user=9, default_agent="shell", agents=("shell",)),
        "policies": Policies(),
        "raise_limit": raise_limit,
    }
    # What other rooms the desks have is not asked for here.
    others: dict[str, Any] = {name: None for name in inspect.signature(open_desks).parameters if name not in given}
    desks = open_desks(**given, **others)
    return desks, session, raised


@pytest.mark.parametrize("user_id", PEOPLE)
@pytest.mark.parametrize("verb", sorted(VERBS))
async def test_a_cell_at_the_desk(world: EngineWorld, verb: str, user_id: str) -> None:
    """By button and by word: refused where the table has no place, and then nothing changed."""
    desks, session, raised = await desk_of(world)
    thread, role = session.thread, PEOPLE[user_id]
    allowed = role in MATRIX[VERBS[verb]]
    before = await world.load(session.session_id)

    async def asks(how: str) -> Any:
        try:
            if how == "button":
                return await desks.front.press(verb, user_id, thread.channel_id, thread.thread_ts, f"press:{user_id}")
            ts = world.chat.say(user_id, thread.channel_id, f"!{verb}", thread.thread_ts)
            return await desks.front.reply(Reply(thread.channel_id, thread.thread_ts, ts, user_id, f"!{verb}", True))
        except Refused as error:
            return error
        except DevflowError:
            return None  # let in, and there is nothing to be done

    for how in ("button", "word") if verb in ("stop", "cancel", "retry", "pr", "status", "forget") else ("button",):
        outcome = await asks(how)
        assert isinstance(outcome, Refused) == (not allowed), (how, outcome)
        if not allowed:
            assert isinstance(outcome, NotAdmitted) == (role is Role.VIEWER)
            after = await world.load(session.session_id)
            assert (after.status, after.history, after.heard) == (before.status, before.history, before.heard)
            assert raised == []


@pytest.mark.parametrize("user_id", PEOPLE)
async def test_replies_and_starts_by_everyone(world: EngineWorld, user_id: str) -> None:
    """Who is let in prompts, in anyone's session; nobody else does, nor begins one."""
    desks, session, _ = await desk_of(world)
    thread, allowed = session.thread, PEOPLE[user_id] in MATRIX[Action.REPLY]
    ts = world.chat.say(user_id, thread.channel_id, f"<@{BOT_USER_ID}> more", thread.thread_ts)
    reply = Reply(thread.channel_id, thread.thread_ts, ts, user_id, f"<@{BOT_USER_ID}> more", True)
    if allowed:
        await desks.front.reply(reply)
        await desks.commands.command(user_id, "C1", "start demo/hello echo hi", "press:1")
    else:
        with pytest.raises(NotAdmitted):
            await desks.front.reply(reply)
        with pytest.raises(NotAdmitted):
            await desks.commands.command(user_id, "C1", "start demo/hello echo hi", "press:1")
    assert len((await world.load(session.session_id)).history) == (2 if allowed else 1)
    assert len(world.store.items) == (2 if allowed else 1)
