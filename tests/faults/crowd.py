"""People at work, by a seed: they start, reply, press, cancel, stop, retry, and remember what was acknowledged.

`crash_run.py` lets them act; `verdict.py` holds what they remember against what the world then shows.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slackbot.sandbox.slack.faults import PersonRefusedError
from slackbot.views import action_ids
from tests.faults.crash_world import CrashWorld
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
        self.failed_starts = 0
        self.done: Counter[str] = Counter()

    @property
    def live(self) -> list[Talk]:
        return [talk for talk in self.talks if talk.thread.item().get("status") in ("starting", "running")]

    async def acts(self, wish: str | None = None) -> None:
        """`wish`: `start`, `pull_request`, `stop`, `long`, `slow` or `odd`, where a certain call is waited for."""
        live = self.live
        if not self.talks or len(live) < 3 or (wish == "start" and len(live) < 6):
            await self._starts()
            return
        choices = ["reply"] * 7 + ["!cancel", "!retry", "!retry", "!pr", "!stop", "button", "button", "revive"]
        choices += ["edit", "delete", "home"]
        choices += MORE.get(wish or "", [])
        choice = self._rng.choice(choices)
        talk = self._rng.choice(live if live and self._rng.random() < 0.8 else self.talks)
        if choice == "button":
            await self._presses(talk)
        elif choice == "home":
            await self._crash.world.slack.people.open_home(talk.person.user_id)
            self.done["home"] += 1
        elif choice in ("edit", "delete"):
            await self._changes_mind(talk, choice)
        elif choice == "forget":
            await self._forgets()
        elif choice in WORDS:
            await self._says_word(talk, choice)
        elif choice == "revive":
            half = [talk for talk in self.talks if not talk.thread.item()]
            await self._replies(self._rng.choice(half) if half else talk, self._prompt())
        elif choice in ("long", "slow"):
            await self._replies(talk, self._prompt(choice))
        else:
            for _ in range(self._rng.choice((1, 1, 2, 3))):
                await self._replies(talk, self._prompt())

    def _prompt(self, kind: str = "") -> str:
        """A command that leaves a line of its own on the branch, each time it is run."""
        token = f"p{next(self._numbers)}q"
        kind = kind or self._rng.choice(("quick", "quick", "quick", "slow", "failing", "long"))
        note = f"echo {token} >> log.txt && echo said {token}"
        return {
            "quick": note,
            "slow": f"{note} && sleep {self._rng.uniform(0.4, 2.5):.1f}",
            "failing": f"{note}; false",
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
            self.failed_starts += 1
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

    async def _presses(self, talk: Talk) -> None:
        found = [
            (message, block, element)
            for message in talk.thread.messages()
            for block in message.get("blocks") or ()
            for element in (block.get("elements") or () if block["type"] == "actions" else ())
            if element.get("action_id") in BUTTONS and "value" in element
        ]
        if not found:
            return
        message, block, element = self._rng.choice(found)
        try:
            await self._crash.world.slack.people.press(
                talk.person.user_id,
                element["action_id"],
                block_id=block["block_id"],
                channel_id=talk.thread.channel_id,
                message_ts=message["ts"],
            )
        except PersonRefusedError:
            return  # the message went, or lost the button, between the look and the press
        verb = BUTTONS[element["action_id"]]
        talk.asked[verb] += 1
        self.done[f"button {verb}"] += 1


def event_type(message: Mapping[str, Any]) -> str:
    """What kind of message the bot says this is; "" for others."""
    return str((message.get("metadata") or {}).get("event_type") or "")


def payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict((message.get("metadata") or {}).get("event_payload") or {})
