"""One turn: the prompt to the agent, its progress to the gateway, its work to the branch, the answer back.

Data: a TurnWork in, an Answer out; on the way the agent (ACP) here, the checkout and the push in `turn_branch.py`, and
the words around the prompt in `turn_texts.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, TypeVar

from msgspec.structs import replace

from slackbot.core.errors import DevflowError
from slackbot.worker.agent import Agent, PromptResult
from slackbot.worker.agent_host import AgentHost
from slackbot.worker.agents import AgentFailed
from slackbot.worker.checkout import Checkout
from slackbot.worker.editor import Editor
from slackbot.worker.files import Attachment, Files
from slackbot.worker.gateway_client import Fenced, GatewayClient, ToldToStop
from slackbot.worker.logs import log
from slackbot.worker.merging import conflicts_text
from slackbot.worker.output import cut
from slackbot.worker.permission import Asker, TurnClock
from slackbot.worker.progress import Reporter, TurnView
from slackbot.worker.project_steps import ProjectSteps
from slackbot.worker.publish import Leave, Publisher
from slackbot.worker.turn_branch import TurnBranch, failed
from slackbot.worker.turn_texts import (
    EARLIER_TURN_BYTES,
    STOP_NOTES,
    context_text,
    earlier_text,
    introduction,
)
from slackbot.worker_protocol import MAX_RESPONSE_BYTES, Answer, EarlierTurn, SessionInfo, TurnWork

CANCEL_SECONDS = 10.0
"""How long a cancelled agent may take to end its turn before it is killed."""
CANCEL_AT_END_SECONDS = 4.0
"""The same when the worker itself has been told to go."""
EARLIER_TURNS = 20

_Result = TypeVar("_Result")
Ending = Literal["ended", "cancelled", "too_long", "leaving"]


class TurnRunner:
    """Works on turns, one at a time."""

    def __init__(
        self,
        info: SessionInfo,
        gateway: GatewayClient,
        host: AgentHost,
        checkout: Checkout,
        publisher: Publisher,
        leaving: asyncio.Event,
        redact: Callable[[str], str],
        editor: Editor | None = None,
        steps: ProjectSteps | None = None,
    ) -> None:
        self._info = info
        self._editor = editor
        self._steps = steps
        self._gateway = gateway
        self._host = host
        self._branch = TurnBranch(info, gateway, checkout, publisher, redact, editor)
        self._leaving = leaving
        self._redact = redact
        self._told = list(info.earlier_turns)
        self._files = Files(checkout.place, gateway)

    async def run(self, work: TurnWork) -> Answer:
        """Works on `work` to its end. Raises Fenced or ToldToStop when nobody wants the answer any more;
        whatever else goes wrong is in the answer."""
        view = TurnView(self._redact)
        log.info("turn_begins", turn_id=work.turn_id)
        began = time.monotonic()
        async with Reporter(
            lambda progress: self._gateway.progress(work.turn_id, progress),
            lambda: self._gateway.cancel_wished(work.turn_id),
            view,
        ) as reporter:
            answer = await self._work(work, view, reporter)
            if self._editor is not None:
                await self._branch.note_what_is_left()
        if reporter.lost is not None:
            log.info("turn_dropped", turn_id=work.turn_id, why=reporter.lost.summary)
            raise reporter.lost
        answer = replace(
            answer,
            response=cut(self._redact(answer.response), MAX_RESPONSE_BYTES),
            steps=view.steps(),
            handle=reporter.handle,
            reports=reporter.reports,
        )
        self._branch.clean = answer.outcome == "answered"
        self._remember(work.prompt, answer.response)
        log.info(
            "turn_ends", turn_id=work.turn_id, outcome=answer.outcome, seconds=round(time.monotonic() - began, 2),
            commit_sha=answer.commit_sha,
        )  # fmt: skip
        return answer

    async def unpushed_files(self) -> int:
        """How many files of the checkout are not on the branch (`TurnBranch`)."""
        return await self._branch.unpushed_files()

    def _remember(self, prompt: str, response: str) -> None:
        """For an agent that has to begin anew; no more than `earlier_text` shows."""
        self._told.append(
            EarlierTurn(prompt=cut(prompt, EARLIER_TURN_BYTES), response=cut(response, EARLIER_TURN_BYTES))
        )
        del self._told[:-EARLIER_TURNS]

    async def _work(self, work: TurnWork, view: TurnView, reporter: Reporter) -> Answer:
        self._branch.merge_is_kept = False
        try:
            answer = await self._work_or_fail(work, view, reporter)
            await self._branch.let_go_of_merge()
            return answer
        except (Fenced, ToldToStop):
            raise
        except Exception as error:  # a turn ends with an answer, whatever happens
            log.exception("turn_stumbled", turn_id=work.turn_id)
            stumbled = DevflowError(
                f"The worker stumbled over what it did not expect ({type(error).__name__}: {error}).",
                "Retry; if it happens again, show this to whoever runs DevFlow.",
            )
            return failed(stumbled, view.response(), "What was changed by then is kept in the checkout.")

    async def _work_or_fail(self, work: TurnWork, view: TurnView, reporter: Reporter) -> Answer:
        if work.undo is not None:
            return await self._branch.undo(work, work.undo, self._leave_to_push(work, view, reporter))
        done = await self._branch.done_before(work)
        if done is not None:
            return done
        told = await self._unless_ended(self._steps.set_up(), reporter) if self._steps is not None else ""
        if told is None:
            return Answer(outcome="cancelled", response="It ended while the repository's set-up ran.")
        answer = await self._agents_part(work, view, reporter, told)
        if answer.outcome == "failed" and reporter.cancelled.is_set():
            return replace(answer, outcome="cancelled")
        if self._steps is not None and answer.outcome == "answered" and answer.commit_sha is not None:
            tested = await self._unless_ended(self._steps.test(), reporter)
            told = "\n\n".join(filter(None, (told, tested)))
        return replace(answer, response=f"{answer.response}\n\n{told}".strip()) if told else answer

    async def _agents_part(self, work: TurnWork, view: TurnView, reporter: Reporter, told: str) -> Answer:
        """What the agent does, and the push of it. `told`: what came of the set-up, for the agent to know."""
        await self._files.prepare()
        attachments, about_files = await self._files.fetch(work)
        try:
            edited = await self._branch.edits_of_people()
            if work.merge is not None and (merged := await self._branch.merge(work, work.merge)) is not None:
                return merged
            agent = await self._host.ensure()
            if about_files:
                self._branch.remarks.append(about_files)
            about = "\n\n".join(filter(None, (told, edited)))
            ending, result = await self._prompt(agent, work, view, reporter, about, attachments)
        except AgentFailed as failure:
            await self._host.discard()
            return failed(failure, view.response(), "What it had changed by then is kept in its checkout.")
        if ending == "cancelled":
            return Answer(outcome="cancelled", response=view.response())
        if ending == "too_long":
            limit = DevflowError(
                f"The turn was stopped after {self._info.turn_seconds} seconds, the longest a turn may take.",
                "Ask for a smaller step, or let whoever runs DevFlow raise DEVFLOW_TURN_SECONDS.",
            )
            return failed(limit, view.response(), "What the agent had changed by then is kept in its checkout.")
        if ending == "leaving":
            stopped = DevflowError(
                "The task was told to stop while the agent worked, so this may be done in part.",
                "What it had changed is being saved on the branch; press Retry to go on.",
            )
            return failed(stopped, view.response())
        return await self._publish(work, view, result, self._leave_to_push(work, view, reporter))

    async def _prompt(
        self,
        agent: Agent,
        work: TurnWork,
        view: TurnView,
        reporter: Reporter,
        edited: str = "",
        attachments: Sequence[Attachment] = (),
    ) -> tuple[Ending, PromptResult | None]:
        """Runs the agent's turn until it ends, is cancelled, takes too long, or the worker must leave."""
        clock = TurnClock(self._info.turn_seconds)
        ask = self._asker(work, view, clock)
        prompting = asyncio.create_task(agent.prompt(self._texts(agent, work, edited), view, ask, attachments))
        cancelling = asyncio.create_task(reporter.cancelled.wait())
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            ended: set[asyncio.Task[Any]] = set()
            while not ended and clock.seconds_left > 0:
                ended, _ = await asyncio.wait(
                    {prompting, cancelling, leaving},
                    timeout=clock.seconds_left,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            if prompting.done():
                return "ended", prompting.result()
            ending: Ending = "leaving" if leaving.done() else "cancelled" if cancelling.done() else "too_long"
            log.info("turn_cancelled", turn_id=work.turn_id, why=ending)
            await agent.cancel()
            await asyncio.wait({prompting}, timeout=CANCEL_AT_END_SECONDS if ending == "leaving" else CANCEL_SECONDS)
            if not prompting.done():
                log.warning("agent_ignored_cancel", turn_id=work.turn_id)
                await self._host.discard()
            elif prompting.exception() is not None:
                await self._host.discard()
            return ending, None
        finally:
            for task in (prompting, cancelling, leaving):
                task.cancel()
            await asyncio.gather(prompting, cancelling, leaving, return_exceptions=True)

    def _asker(self, work: TurnWork, view: TurnView, clock: TurnClock) -> Asker:
        return Asker(
            self._info.permissions,
            view,
            clock,
            lambda question: self._gateway.ask_permission(work.turn_id, question),
            self._redact,
        )

    def _leave_to_push(self, work: TurnWork, view: TurnView, reporter: Reporter) -> Leave:
        """Asks a person; a cancel, and the end of the worker, are a no."""
        ask = self._asker(work, view, TurnClock(self._info.turn_seconds))

        async def leave(names: list[str], diff: str) -> bool:
            return bool(await self._unless_ended(ask.leave_to_push(names, diff), reporter))

        return leave

    async def _unless_ended(self, doing: Coroutine[Any, Any, _Result], reporter: Reporter) -> _Result | None:
        """The result of `doing`; None when the turn is cancelled, or the worker told to go, before it is there."""
        task = asyncio.create_task(doing)
        others = [asyncio.create_task(reporter.cancelled.wait()), asyncio.create_task(self._leaving.wait())]
        try:
            await asyncio.wait({task, *others}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for each in (task, *others):
                each.cancel()
            await asyncio.gather(task, *others, return_exceptions=True)

    def _texts(self, agent: Agent, work: TurnWork, edited: str = "") -> list[str]:
        """The prompt, last, after what the agent must know before it."""
        texts = []
        if agent.fresh:
            texts.append(introduction(self._info))
            texts += earlier_text(self._told)
        if work.context:
            texts.append(context_text(work.context))
        if self._branch.merge_begun is not None:
            texts.append(conflicts_text(self._branch.merge_begun))
        if edited:
            texts.append(edited)
        texts += self._branch.remarks
        self._branch.remarks = []
        if work.purpose is not None:
            # An agent that takes its last words as a command (the shell) gets none of what anybody may have written.
            first_line, _, told = work.prompt.partition("\n")
            return [*texts, told.strip(), first_line]
        return [*texts, work.prompt]

    async def _publish(self, work: TurnWork, view: TurnView, result: PromptResult | None, leave: Leave) -> Answer:
        usage = result.usage if result else None
        note = STOP_NOTES.get(result.stop_reason, "") if result else ""
        not_shown = await self._files.show(work.turn_id, view.images())
        if not_shown:
            note += f"\n{not_shown}"
        return await self._branch.published(work, f"{view.response()}\n\n{note}".strip(), usage, leave)
