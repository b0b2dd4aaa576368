"""People at work, by a seed: they start, reply, press, cancel, stop, retry, and remember what was acknowledged.

`crash_run.py` lets them act; `verdict.py` holds what they remember against what the world then shows.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slackbot.sandbox.slack.faults import PersonRefusedError
from slackbot.views import action_ids
from tests.faults import desk_work
from tests.faults.crash_world import CrashWorld
from tests.faults.desk_work import Notes, StartForm
from tests.wire.bot_world import Person, SessionThread

MAX_OPEN_PROMPTS = 6
"""Fewer than a session lets wait, so that no prompt is refused for that."""

WORDS = ("!stop", "!cancel", "!retry", "!pr")
MORE = {
    "pull_request": ["!pr"] * 9,
    "stop": ["!stop"] * 6,
    "odd": ["revive", "!cancel"] * 4,
    "long": ["long"] * 9,
    "slow": ["slow"] * 6,
    "start": ["!retry"] * 5,
    "home": ["home"] * 9,
    "button": ["button"] * 9,
    "look": ["look"] * 9,
    "form": ["form"] * 9 + ["send"] * 9,
    "pull_request_form": ["open_pr"] * 9 + ["send"] * 9,
    "forget": ["forget"] * 9 + ["!stop"] * 4,
}
"""What is done more often where a certain call is waited for (`kill_points.NEEDS`)."""

BUTTONS = {action_ids.SESSION_STOP: "!stop", action_ids.SESSION_RETRY: "!retry", action_ids.SESSION_OPEN_PR: "!pr"}


@dataclass
class Talk:
    """One thread, and all that people asked for in it."""

    person: Person
    thread: SessionThread
    repository: str
    first_prompt: str
    is_acknowledged: bool
    """Whether the command that began it was; else its session may or may not be there."""
    prompts: dict[str, str] = field(default_factory=dict)
    """`ts` of each reply that is a prompt -> its text."""
    edited: dict[str, str] = field(default_factory=dict)
    """`ts` of a reply -> what it says now; the bot may have heard of that too late."""
    deleted: set[str] = field(default_factory=set)
    """`ts` of replies that their author took away again; the bot may have begun them."""
    is_forgotten: bool = False
    """Whether somebody asked for that; it is so once the item is gone."""
    notes: Notes = field(default_factory=Notes)
    form: StartForm | None = None
    """The form it began from."""
    asked: Counter[str] = field(default_factory=Counter)
    """`!stop` and the like, whether by word or by button: how often, each delivery of the same one not counted."""

    @property
    def open_prompts(self) -> int:
        """How many may still wait."""
        turns = {turn["turn_id"]: turn["state"] for turn in self.thread.turns()}
        ids = [f"{self.thread.channel_id}:{ts}" for ts in self.prompts]
        return sum(turns.get(turn_id, "queued") in ("queued", "working") for turn_id in ids)


class Crowd:
    """`acts` does one thing that somebody might do now."""

    def __init__(self, crash: CrashWorld, rng: random.Random, repositories: list[str]) -> None:
        self._crash = crash
        self._rng = rng
        self._repositories = repositories
        self._numbers = itertools.count(1)
        self.talks: list[Talk] = []
        self.forms: list[StartForm] = []
        self._late: list[tuple[Person, str, str]] = []
        self.done: Counter[str] = Counter()

    @property
    def live(self) -> list[Talk]:
        return [talk for talk in self.talks if talk.thread.item().get("status") in ("starting", "running")]

    def notice_late_roots(self) -> None:
        """Of commands and forms that nobody heard of in time, and that a slow bot carried out after all."""
        known = {(talk.thread.channel_id, talk.thread.thread_ts) for talk in self.talks}
        late = [(*start, None) for start in self._late]
        late += [(form.person, form.repository, form.prompt, form) for form in self.forms]
        for person, repository, prompt, form in late:
            for root in person.public():
                thread = SessionThread(self._crash.world, person.channel_id, str(root["ts"]))
                if (thread.channel_id, thread.thread_ts) not in known:
                    self.talks.append(Talk(person, thread, repository, prompt, False, form=form))

    async def acts(self, wish: str | None = None) -> None:
        """`wish`: one of `MORE`, where a certain call is waited for."""
        self.notice_late_roots()
        live = self.live
        if not self.talks or len(live) < 3 or (wish == "start" and len(live) < 6):
            await self._starts()
            return
        choices = ["reply"] * 7 + ["!cancel", "!retry", "!retry", "!pr", "!stop", "button", "button", "revive"]
        choices += ["edit", "delete", "home", "form", "send", "send", "answer", "answer", "look"]
        choices += MORE.get(wish or "", [])
        choice = self._rng.choice(choices)
        talk = self._rng.choice(live if live and self._rng.random() < 0.8 else self.talks)
        if choice in ("button", "open_pr"):
            await self._presses(talk, action_ids.SESSION_OPEN_PR if choice == "open_pr" else None)
        elif choice == "home":
            await self._crash.world.slack.people.open_home(talk.person.user_id)
            self.done["home"] += 1
        elif choice in ("edit", "delete"):
            await self._changes_mind(talk, choice)
        elif choice == "forget":
            await self._forgets()
        elif choice == "form":
            await self._opens_form()
        elif choice == "send":
            await self._sends_form()
        elif choice == "answer":
            await self.answers()
        elif choice == "look":
            await self._looks()
        elif choice in WORDS:
            await self._says_word(talk, choice)
        elif choice == "revive":
            half = [talk for talk in self.talks if not talk.thread.item()]
            chosen = self._rng.choice(half) if half else talk
            if half and chosen.form is not None:
                chosen.form.revived += 1
            await self._replies(chosen, self._prompt())
        elif choice in ("long", "slow"):
            await self._replies(talk, self._prompt(choice))
        else:
            for _ in range(self._rng.choice((1, 1, 2, 3))):
                await self._replies(talk, self._prompt())

    def _prompt(self, kind: str = "") -> str:
        """A command that leaves a line of its own on the branch, each time it is run."""
        token = f"p{next(self._numbers)}q"
        kind = kind or self._rng.choice(("quick", "quick", "quick", "slow", "failing", "long", "asking"))
        note = f"echo {token} >> log.txt && echo said {token}"
        return {
            "quick": note,
            "slow": f"{note} && sleep {self._rng.uniform(0.4, 2.5):.1f}",
            "failing": f"{note}; false",
            # The shell agent asks leave for what deletes.
            "asking": f"rm -rf build_{token}; {note}",
            "long": f"{note} && yes {token} | head -c 50000",
        }[kind]

    async def _starts(self) -> None:
        person = self._crash.world.someone()
        repository, prompt = self._rng.choice(self._repositories), self._prompt()
        outcome = await self._crash.world.slack.people.command(
            person.user_id, person.channel_id, "/devflow", f"start {repository} {prompt}"
        )
        # "This takes longer than usual" is an acknowledgement that promises nothing.
        is_acknowledged = outcome["ok"] and not person.private()
        self.done["start" if is_acknowledged else "start, not acknowledged"] += 1
        roots = person.public()
        assert len(roots) <= 1, "one command, two roots"
        if not roots:
            assert not is_acknowledged, "a command was acknowledged, and nothing came of it"
            # Slow, or dead: its root may still come.
            self._late.append((person, repository, prompt))
            return
        thread = SessionThread(self._crash.world, person.channel_id, str(roots[0]["ts"]))
        self.talks.append(Talk(person, thread, repository, prompt, is_acknowledged))

    async def _replies(self, talk: Talk, prompt: str) -> None:
        if talk.open_prompts < MAX_OPEN_PROMPTS and not talk.is_forgotten:
            ts = await talk.person.says(talk.thread, prompt)
            talk.prompts[ts] = prompt
            self.done["reply"] += 1

    async def _changes_mind(self, talk: Talk, choice: str) -> None:
        """About the newest reply that is not in work yet, as far as one can see."""
        turns = {turn["turn_id"]: turn["state"] for turn in talk.thread.turns()}
        waiting = [
            ts
            for ts in talk.prompts
            if ts not in talk.deleted and turns.get(f"{talk.thread.channel_id}:{ts}", "queued") == "queued"
        ]
        if not waiting:
            return
        ts, people = waiting[-1], self._crash.world.slack.people
        self.done[choice] += 1
        if choice == "edit":
            talk.edited[ts] = self._prompt("quick")
            await people.edit(talk.person.user_id, talk.thread.channel_id, ts, talk.edited[ts])
        else:
            talk.deleted.add(ts)
            await people.delete(talk.person.user_id, talk.thread.channel_id, ts)

    async def _forgets(self) -> None:
        """A session that is over, by the command and its button; whoever is killed meanwhile leaves it or takes it."""
        over = [
            talk
            for talk in self.talks
            if talk.thread.item().get("status") in ("stopped", "error") and not talk.is_forgotten
        ]
        if not over:
            return
        talk, world = self._rng.choice(over), self._crash.world
        person = talk.person
        await world.slack.people.command(
            person.user_id, person.channel_id, "/devflow", f"forget {talk.thread.session_id[:13]}"
        )
        for message in person.private()[-1:]:
            for block in message.get("blocks") or ():
                for element in block.get("elements") or () if block["type"] == "actions" else ():
                    talk.is_forgotten = True
                    self.done["forget"] += 1
                    await world.slack.people.press(
                        person.user_id,
                        element["action_id"],
                        block_id=block["block_id"],
                        channel_id=person.channel_id,
                        message_ts=message["ts"],
                    )

    async def _says_word(self, talk: Talk, word: str) -> None:
        await talk.person.says(talk.thread, word)
        talk.asked[word] += 1
        self.done[word] += 1

    async def _presses(self, talk: Talk, action_id: str | None = None) -> None:
        """One of the thread's buttons; one with `action_id` in any thread that has it."""
        wanted = BUTTONS if action_id is None else (action_id,)
        found = [
            (each, message, block_id, element)
            for each in ([talk] if action_id is None else self.live)
            for message in each.thread.messages()
            for block_id, element in desk_work.elements(message)
            if element.get("action_id") in wanted and "value" in element
        ]
        if not found:
            return
        talk, message, block_id, element = self._rng.choice(found)
        if not await desk_work.press(talk.person, talk.thread, message, block_id, element):
            return
        verb = BUTTONS[element["action_id"]]
        self.done[f"button {verb}"] += 1
        view_id = desk_work.pull_request_form(talk.person) if verb == "!pr" else None
        if view_id is not None:
            # Asked for when it is sent; nothing but the form came of the press.
            talk.notes.open_forms.append(view_id)
        else:
            talk.asked[verb] += 1

    async def _opens_form(self) -> None:
        person, repository = self._crash.world.someone(), self._rng.choice(self._repositories)
        form = await desk_work.open_start_form(person, repository, self._prompt())
        self.done["form" if form is not None else "form, not shown"] += 1
        if form is not None:
            self.forms.append(form)

    async def _sends_form(self) -> None:
        """One of those that lie open: some are sent for the first time, some because nobody heard of it."""
        start = [form for form in self.forms if not form.is_taken]
        pull_requests = [(talk, view_id) for talk in self.talks for view_id in talk.notes.open_forms]
        if pull_requests and (not start or self._rng.random() < 0.5):
            talk, view_id = self._rng.choice(pull_requests)
            talk.asked["!pr"] += 1
            with contextlib.suppress(PersonRefusedError):  # closed by then
                await desk_work.send_pull_request_form(talk.person, view_id, self._rng)
            if desk_work.pull_request_form(talk.person) != view_id:
                talk.notes.open_forms.remove(view_id)
            self.done["form of a pull request"] += 1
        elif start:
            form = self._rng.choice(start)
            is_taken = await desk_work.send_start_form(form, self._rng)
            self.done["form sent" if is_taken else "form sent, not acknowledged"] += 1

    async def answers(self) -> None:
        """A question that stands; some stay unanswered until their time is over."""
        found = [
            (talk, message)
            for talk in self.live
            for message in desk_work.questions(talk.thread)
            if any(True for _ in desk_work.elements(message))
        ]
        if found:
            talk, message = self._rng.choice(found)
            talk.notes.answers += await desk_work.answer_question(talk.person, talk.thread, message, self._rng)
            self.done["answer"] += 1

    async def _looks(self) -> None:
        """At what an answer changed, and how."""
        found = [
            (talk, message, block_id, element)
            for talk in self.live
            for message in talk.thread.messages()
            for block_id, element in desk_work.elements(message)
            if element.get("action_id") in (action_ids.ANSWER_DIFF, action_ids.ANSWER_STEPS)
        ]
        if found:
            talk, *at = self._rng.choice(found)
            await desk_work.close_what_only_shows(talk.person)
            await desk_work.press(talk.person, talk.thread, *at)
            self.done["look"] += 1


def event_type(message: Mapping[str, Any]) -> str:
    """What kind of message the bot says this is; "" for others."""
    return str((message.get("metadata") or {}).get("event_type") or "")


def payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict((message.get("metadata") or {}).get("event_payload") or {})
