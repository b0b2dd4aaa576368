"""What the worker asks a person, what it allows by itself, and the clock that stands still meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from acp.schema import FileEditToolCallContent, PermissionOption, ToolCallStart, ToolCallUpdate

from slackbot.core.errors import PermanentError
from slackbot.worker.permission import Asker, TurnClock
from slackbot.worker.progress import TurnView
from slackbot.worker.tool_calls import detail_of
from slackbot.worker_protocol import PermissionAsk, PermissionReply

OPTIONS = [
    PermissionOption(option_id="ever", name="Always allow", kind="allow_always"),
    PermissionOption(option_id="once", name="Allow", kind="allow_once"),
    PermissionOption(option_id="never", name="Reject", kind="reject_once"),
]


class Person:
    """Answers with `replies`, one after the other; None = nobody has answered yet."""

    def __init__(self, *replies: PermissionReply | Exception | None) -> None:
        self.replies = list(replies)
        self.asked: list[PermissionAsk] = []

    async def __call__(self, question: PermissionAsk) -> PermissionReply | None:
        self.asked.append(question)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def call(kind: Any = None, **more: Any) -> ToolCallUpdate:
    return ToolCallUpdate(tool_call_id="call-1", title="Do it", kind=kind, **more)


def asker(policy: str, person: Person, view: TurnView | None = None) -> Asker:
    view = view or TurnView(lambda text: text.replace("hunter22", "[redacted]"))
    return Asker(policy, view, TurnClock(60), person, lambda text: text.replace("hunter22", "[redacted]"))


@pytest.mark.parametrize(
    ("policy", "kind", "is_asked"),
    [
        ("all", "execute", False),
        ("all", None, False),
        ("edits", "read", False),
        ("edits", "edit", False),
        ("edits", "execute", True),
        ("edits", "delete", True),
        ("edits", None, True),
        ("ask", "read", True),
        ("from_the_future", "read", True),
    ],
)
async def test_what_the_policy_allows(policy: str, kind: str | None, is_asked: bool) -> None:
    """Allowed unasked is allowed once, never for ever; whatever else is asked, and the answer is the person's."""
    person = Person(PermissionReply(outcome="selected", option_id="ever"))
    chosen = await asker(policy, person)(call(kind), OPTIONS)
    assert chosen == ("ever" if is_asked else "once")
    assert bool(person.asked) is is_asked


async def test_the_same_question_is_repeated_until_somebody_answers() -> None:
    person = Person(None, None, PermissionReply(outcome="selected", option_id="once"))
    view = TurnView(str)
    view.update(ToolCallStart(session_update="tool_call", tool_call_id="call-1", title="Run it", kind="execute",
                              raw_input={"command": "rm -rf build"}))  # fmt: skip
    bare = ToolCallUpdate(tool_call_id="call-1")
    assert await asker("edits", person, view)(bare, OPTIONS) == "once"
    assert len({question.permission_id for question in person.asked}) == 1
    question = person.asked[0]
    assert (question.title, question.kind, question.detail) == ("Run it", "execute", "rm -rf build")
    assert [offer.option_id for offer in question.options] == ["ever", "once", "never"]


@pytest.mark.parametrize(
    ("reply", "chosen"),
    [
        (PermissionReply(outcome="timed_out"), "never"),
        (PermissionReply(outcome="cancelled"), None),
        (PermissionReply(outcome="selected", option_id="forged"), None),
        (PermanentError("No."), None),
    ],
)
async def test_what_means_no(reply: PermissionReply | Exception, chosen: str | None) -> None:
    assert await asker("ask", Person(reply))(call("execute"), OPTIONS) == chosen


async def test_no_secret_leaves_in_a_question() -> None:
    person = Person(PermissionReply(outcome="cancelled"))
    await asker("ask", person)(call("execute", raw_input={"command": "login hunter22 " + "x" * 9000}), OPTIONS)
    assert "hunter22" not in person.asked[0].detail
    assert person.asked[0].shortened
    assert len(person.asked[0].detail.encode()) <= 4096


def test_what_exactly_is_asked() -> None:
    """A change as a diff, a command as it is typed, anything else as it was given."""
    edit = FileEditToolCallContent(type="diff", path="/a.py", old_text="one\ntwo\n", new_text="one\n2\n")
    detail, is_diff = detail_of(call("edit", content=[edit]))
    assert is_diff
    assert "-two" in detail
    assert "+2" in detail
    assert detail_of(call(raw_input={"command": ["git", "push"]})) == ("git push", False)
    assert detail_of(call(raw_input={"url": "https://example.org"}))[0] == '{\n  "url": "https://example.org"\n}'
    assert detail_of(call()) == ("", False)


async def test_the_clock_stands_still() -> None:
    clock = TurnClock(60)
    with clock.stopped():
        before = clock.seconds_left
        await asyncio.sleep(0.01)
        assert clock.seconds_left == before
    assert clock.seconds_left <= before
