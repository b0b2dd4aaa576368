"""What people do with forms and with the agent's questions: fill in, send, send again, answer, answer twice at once.

`Crowd` lets them act; `verdict.py` holds what is noted here against what the world then shows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from slackbot.sandbox.slack.faults import PersonRefusedError
from slackbot.views import action_ids
from slackbot.views.permission import PERMISSION_EVENT_TYPE
from slackbot.views.pull_request_form import BASE, OPEN_CALLBACK, REVIEWERS
from tests.wire.bot_world import Person, SessionThread, words


@dataclass
class StartForm:
    """A form that lies open before somebody, or lay there; sent until it is taken, as people do."""

    person: Person
    view_id: str
    repository: str
    prompt: str
    is_taken: bool = False
    """Whether its sending was acknowledged, and so is a promise."""
    revived: int = 0
    """How many of its roots that had no session began one because somebody replied there."""


@dataclass
class Answer:
    """A press on one of the buttons of a question; it may have come to nothing."""

    permission_id: str
    label: str
    is_yes: bool


@dataclass
class Notes:
    """What was done in one thread with the agent's questions and with the form of the pull request."""

    answers: list[Answer] = field(default_factory=list)
    open_forms: list[str] = field(default_factory=list)
    """View ids of forms "Open PR" that nobody sent yet."""


def elements(message: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(block_id, element) of what may be pressed in a message."""
    for block in message.get("blocks") or ():
        for element in block.get("elements") or () if block["type"] == "actions" else ():
            yield block["block_id"], element


def questions(thread: SessionThread) -> list[dict[str, Any]]:
    """The messages in which the agent asks leave, or asked for it."""
    return thread.of_type(PERMISSION_EVENT_TYPE)


def permission_id(message: Mapping[str, Any]) -> str:
    return str(message["metadata"]["event_payload"]["permission_id"])


async def open_start_form(person: Person, repository: str, prompt: str) -> StartForm | None:
    """`/devflow` alone; None when no form came."""
    await person.world.slack.people.command(person.user_id, person.channel_id, "/devflow", "")
    view = person.form()
    return StartForm(person, view["id"], repository, prompt) if view is not None else None


async def send_start_form(form: StartForm, rng: random.Random) -> bool:
    """Types in the list of repositories at times, and sends the form; whether it was taken."""
    people = form.person.world.slack.people
    if rng.random() < 0.5:
        await _types(form.person, form.view_id, action_ids.FORM_REPOSITORY)
    outcome = await form.person.submits({"id": form.view_id}, repository=form.repository, prompt=form.prompt)
    form.is_taken = form.is_taken or bool(outcome["ok"])
    assert not outcome["ok"] or all(view["id"] != form.view_id for view in people.open_views(form.person.user_id))
    return form.is_taken


def pull_request_form(person: Person) -> str | None:
    """The form "Open PR" that lies before this person."""
    views = reversed(person.world.slack.people.open_views(person.user_id))
    return next((view["id"] for view in views if view["callback_id"] == OPEN_CALLBACK), None)


async def close_what_only_shows(person: Person) -> None:
    """Closes the windows that hold nothing to send."""
    people = person.world.slack.people
    for view in reversed(people.open_views(person.user_id)):
        if not view.get("submit"):
            await people.close_view(person.user_id, view["id"])


async def send_pull_request_form(person: Person, view_id: str, rng: random.Random) -> None:
    """As it came, filled in; it stays open when it was not taken."""
    if rng.random() < 0.5:
        await _types(person, view_id, rng.choice((BASE, REVIEWERS)))
    await person.world.slack.people.submit_view(person.user_id, view_id)


async def _types(person: Person, view_id: str, name: str) -> None:
    try:
        await person.world.slack.people.options(person.user_id, name, "", block_id=name, view_id=view_id)
    except PersonRefusedError:
        return  # nothing came, and the person goes on without


async def answer_question(
    person: Person, thread: SessionThread, message: Mapping[str, Any], rng: random.Random
) -> list[Answer]:
    """Presses one of the buttons, at times two at once; what was pressed."""
    offered = list(elements(message))
    pressed = [rng.choice(offered)] if rng.random() < 0.7 else rng.sample(offered, 2)
    made = [
        Answer(permission_id(message), element["text"]["text"], not element["text"]["text"].startswith("Do not"))
        for _, element in pressed
    ]
    await asyncio.gather(*(press(person, thread, message, block_id, element) for block_id, element in pressed))
    return made


async def press(
    person: Person, thread: SessionThread, message: Mapping[str, Any], block_id: str, element: Mapping[str, Any]
) -> bool:
    """Whether it could be pressed at all: the message may go, or lose the button, between the look and the press."""
    try:
        await person.world.slack.people.press(
            person.user_id,
            element["action_id"],
            block_id=block_id,
            channel_id=thread.channel_id,
            message_ts=message["ts"],
        )
    except PersonRefusedError:
        return False
    return True


def questions_that_do_not_hold(thread: SessionThread, notes: Notes) -> list[str]:
    """Each question stands once, was answered by a button that somebody pressed, or by nobody, and is open no more."""
    faults = []
    seen: set[str] = set()
    for message in questions(thread):
        name, said = permission_id(message), words(message)
        if name in seen:
            faults.append(f"question {name} stands in the thread twice")
        seen.add(name)
        if list(elements(message)):
            faults.append(f"question {name} is still open: {said[:200]}")
        elif "answered *" in said:
            label = said.partition("answered *")[2].partition("*")[0]
            if label not in [answer.label for answer in notes.answers if answer.permission_id == name]:
                faults.append(f"question {name} shows an answer that nobody gave: {said[:200]}")
    return faults


def allowed_times(thread: SessionThread, token: str) -> int:
    """How often somebody allowed the command that holds `token`."""
    return sum("🟢" in (said := words(message)) and token in said for message in questions(thread))


def is_always_allowed(thread: SessionThread) -> bool:
    """Whether the agent needs to ask no more in this session."""
    return any("answered *Always" in words(message) for message in questions(thread))
