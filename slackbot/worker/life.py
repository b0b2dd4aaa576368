"""A worker's life: ask for the session, take up the equipment, work on turns, save, leave.

Turns come from the gateway and answers go to it (GatewayClient); the rest is in `equipment`, `turn` and `leaving`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Literal

from slackbot.core.errors import DevflowError, PermanentError
from slackbot.core.redaction import redact
from slackbot.worker.equipment import Equipment
from slackbot.worker.gateway_client import Fenced, GatewayClient, ToldToStop, patiently
from slackbot.worker.leaving import LAST_WORD_SECONDS, Leaves, save, say_last_word, unless_leaving
from slackbot.worker.logs import log
from slackbot.worker.place import Place
from slackbot.worker_protocol import Answer, SessionInfo, TurnWork

if TYPE_CHECKING:
    from slackbot.worker.turn import TurnRunner

START_SECONDS = 600.0
"""How long a worker tries to reach the gateway before it has a session."""
KEPT_ANSWERS = 8
EDITING_SECONDS = 120.0
"""Who did nothing in the editor for so long is taken to be elsewhere."""
EMPTY_POLL_PAUSE_SECONDS = 0.2


class Life:
    """One worker. `leaving` is set by a signal; `secrets` are hidden in all that is sent and logged."""

    def __init__(
        self, gateway: GatewayClient, place: Place, leaving: asyncio.Event, secrets: set[str], began: float
    ) -> None:
        self._gateway = gateway
        self._leaving = leaving
        self._secrets = secrets
        self._began = began
        self._deadline = began
        self._equipment = Equipment(gateway, place, leaving, secrets, self._redact)
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    async def live(self) -> int:
        """From the first question to the last word; gives the exit status."""
        try:
            try:
                info = await unless_leaving(
                    self._leaving,
                    patiently(self._gateway.session, deadline=self._began + START_SECONDS, what="session"),
                )
                self._deadline = self._began + info.max_session_seconds
                info, runner = await self._equipment.open(info, self._deadline)
                log.info("worker_ready", seconds=round(time.monotonic() - self._began, 2))
                await self._work(info, runner)
            except Leaves as leave:
                return await self._leave(leave)
            except Fenced:
                raise
            except ToldToStop as told:
                return await self._leave(Leaves("signal", told.summary))
            except DevflowError as error:
                return await self._leave(Leaves("failure", f"{error.summary} {error.remedy}".strip()))
            except Exception as error:  # the session must hear of it, whatever it was
                log.exception("worker_stumbled")
                return await self._leave(Leaves("failure", f"The worker stumbled: {type(error).__name__}: {error}"))
        except Fenced as fenced:
            log.info("worker_fenced", why=fenced.summary)
            return 0
        finally:
            await self._equipment.close()
        return 0

    def _redact(self, text: str) -> str:
        # File names may hold bytes that are no text; JSON cannot carry them.
        return redact(text.encode("utf-8", "replace").decode(), self._secrets)

    # -- turns --------------------------------------------------------------------------------------

    async def _work(self, info: SessionInfo, runner: TurnRunner) -> None:
        """Turn after turn; ends by raising Leaves, Fenced or ToldToStop."""
        idle_until = time.monotonic() + info.idle_seconds
        while True:
            if time.monotonic() > self._deadline:
                seconds = await self._stay("age")
                if not seconds:
                    raise Leaves("age", f"The session reached its longest time, {info.max_session_seconds} seconds.")
                self._deadline = time.monotonic() + seconds
            asked_at = time.monotonic()
            work = await self._next_turn(await runner.unpushed_files())
            if work is None:
                if time.monotonic() >= idle_until and not self._in_editor(info.idle_seconds):
                    seconds = await self._stay("idle")
                    if not seconds:
                        raise Leaves("idle")
                    idle_until = time.monotonic() + seconds
                if time.monotonic() - asked_at < EMPTY_POLL_PAUSE_SECONDS:
                    await unless_leaving(self._leaving, asyncio.sleep(EMPTY_POLL_PAUSE_SECONDS))
                continue
            await self._turn(work, runner)
            idle_until = time.monotonic() + info.idle_seconds

    async def _stay(self, reason: Literal["idle", "age"]) -> int:
        """How many seconds more people want it to stay, before it leaves for a limit."""
        try:
            return await unless_leaving(self._leaving, self._gateway.stay(reason))
        except ToldToStop as told:
            raise Leaves("signal", told.summary) from told

    def _in_editor(self, seconds: float) -> bool:
        """Whether somebody worked in the editor within the last `seconds`."""
        editor = self._equipment.editor
        active_at = editor.active_at if editor is not None else None
        return active_at is not None and time.monotonic() - active_at < seconds

    async def _next_turn(self, unpushed_files: int) -> TurnWork | None:
        try:
            return await unless_leaving(
                self._leaving,
                patiently(
                    lambda: self._gateway.next_turn(
                        in_editor=self._in_editor(EDITING_SECONDS), unpushed_files=unpushed_files
                    ),
                    deadline=self._deadline,
                    what="next_turn",
                ),
            )
        except ToldToStop as told:
            raise Leaves("signal", told.summary) from told

    async def _turn(self, work: TurnWork, runner: TurnRunner) -> None:
        answer = self._answers.get(work.turn_id)
        if answer is None:
            try:
                answer = await runner.run(work)
            except ToldToStop:
                return  # the turn was taken away; the next question tells what is wanted
            self._answers[work.turn_id] = answer
            while len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
        else:
            log.info("turn_given_back", turn_id=work.turn_id)
        await self._deliver(work.turn_id, answer)

    async def _deliver(self, turn_id: str, answer: Answer) -> None:
        """Repeats the answer until the gateway has it or wants it no more."""

        def delivery(deadline: float) -> Coroutine[Any, Any, None]:
            return patiently(lambda: self._gateway.answer(turn_id, answer), deadline=deadline, what="answer")

        try:
            try:
                await unless_leaving(self._leaving, delivery(self._deadline))
            except Leaves:
                await delivery(time.monotonic() + LAST_WORD_SECONDS)
                raise
        except ToldToStop as told:
            log.info("answer_not_wanted", turn_id=turn_id, why=told.summary)
        except PermanentError as error:
            log.error("answer_refused", turn_id=turn_id, why=error.summary)
            short = Answer(
                outcome="failed",
                response=f"The agent's answer could not be taken over: {error.summary} Its commits are on the branch.",
                commit_sha=answer.commit_sha,
                handle=answer.handle,
                reports=answer.reports,
            )
            try:
                await patiently(lambda: self._gateway.answer(turn_id, short), deadline=self._deadline, what="answer")
            except (PermanentError, ToldToStop) as again:
                log.error("answer_given_up", turn_id=turn_id, why=again.summary)

    # -- leaving ------------------------------------------------------------------------------------

    async def _leave(self, leave: Leaves) -> int:
        """Ends the agent, saves what is unsaved, says the last word."""
        log.info("worker_leaves", reason=leave.reason, detail=leave.detail)
        await self._equipment.put_down()
        hurry = self._leaving.is_set()
        branch = self._equipment.branch
        saved = await save(*branch, leave.reason, hurry=hurry) if branch is not None else (None, "")
        await say_last_word(self._gateway, leave, self._redact, saved, hurry=hurry)
        return 1 if leave.reason == "failure" else 0
