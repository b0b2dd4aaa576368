"""One turn: the prompt to the agent, its progress to the gateway, its work to the branch, the answer back.

Data: a TurnWork in, an Answer out; on the way the agent (ACP), the checkout and the push.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, TypeVar

import structlog

from slackbot.core.errors import DevflowError
from slackbot.worker.agent import Agent, AgentHost, PromptResult
from slackbot.worker.agents import AgentFailed
from slackbot.worker.checkout import Checkout
from slackbot.worker.editor import Editor
from slackbot.worker.files import Attachment, Files
from slackbot.worker.gateway_client import Fenced, GatewayClient, ToldToStop, patiently
from slackbot.worker.merging import (
    Merge,
    NotMerged,
    abandon_merge,
    begin_merge,
    check_resolved,
    conflicts_text,
)
from slackbot.worker.output import cut
from slackbot.worker.permission import Asker, TurnClock
from slackbot.worker.progress import Reporter, TurnView
from slackbot.worker.project_steps import ProjectSteps
from slackbot.worker.publish import Leave, Published, Publisher
from slackbot.worker.turn_texts import (
    EARLIER_TURN_BYTES,
    commit_message,
    context_text,
    earlier_text,
    edited_text,
    introduction,
    undo_message,
)
from slackbot.worker.undo import undo
from slackbot.worker_protocol import MAX_RESPONSE_BYTES, Answer, EarlierTurn, SessionInfo, TurnWork, UndoWork

log = structlog.get_logger()

CANCEL_SECONDS = 10.0
"""How long a cancelled agent may take to end its turn before it is killed."""
AIM_SECONDS = 60.0
"""How long the gateway is asked where a turn's commits are to go."""
CANCEL_AT_END_SECONDS = 4.0
"""The same when the worker itself has been told to go."""
EARLIER_TURNS = 20
EDITED_MESSAGE = "Edit in the web editor\n\nDevFlow-Edited: between turns\n"

_STOP_NOTES = {
    "max_tokens": "The agent stopped here because it reached its limit of tokens; write again to let it go on.",
    "max_turn_requests": "The agent stopped here at its limit of requests; write again to let it go on.",
    "refusal": "The agent declined to go on with this.",
}

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
        self._checkout = checkout
        self._publisher = publisher
        self._leaving = leaving
        self._redact = redact
        self._told = list(info.earlier_turns)
        self._merge_begun: Merge | None = None
        self._merge_is_kept = False
        self._clean = True
        """Whether the last turn left nothing that is not pushed."""
        self._left = checkout.synced
        """The commit or tree of files that the last turn left."""
        self._files = Files(checkout.place, gateway)
        self._remarks: list[str] = []
        """What happened to the checkout without the agent, for its next prompt."""

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
                await self._note_what_is_left()
        if reporter.lost is not None:
            log.info("turn_dropped", turn_id=work.turn_id, why=reporter.lost.summary)
            raise reporter.lost
        answer = answer.model_copy(
            update={
                "response": cut(self._redact(answer.response), MAX_RESPONSE_BYTES),
                "steps": view.steps(),
                "handle": reporter.handle,
                "reports": reporter.reports,
            }
        )
        self._clean = answer.outcome == "answered"
        self._remember(work.prompt, answer.response)
        log.info(
            "turn_ends", turn_id=work.turn_id, outcome=answer.outcome, seconds=round(time.monotonic() - began, 2),
            commit_sha=answer.commit_sha,
        )  # fmt: skip
        return answer

    async def unpushed_files(self) -> int:
        """How many files of the checkout are not on the branch. Looked at only where there may be some."""
        in_editor = self._editor is not None and self._editor.active_at is not None
        if self._clean and not in_editor:
            return 0
        try:
            return len(await self._checkout.changed_files(self._checkout.synced, await self._checkout.tree()))
        except DevflowError as error:
            log.info("unpushed_not_counted", why=error.summary)
            return 0

    async def _note_what_is_left(self) -> None:
        """So that what people do in the editor from now on can be told from what the agent did."""
        try:
            self._left = await self._checkout.tree()
        except DevflowError as error:
            log.info("tree_not_noted", why=error.summary)

    def _remember(self, prompt: str, response: str) -> None:
        """For an agent that has to begin anew; no more than `earlier_text` shows."""
        self._told.append(
            EarlierTurn(prompt=cut(prompt, EARLIER_TURN_BYTES), response=cut(response, EARLIER_TURN_BYTES))
        )
        del self._told[:-EARLIER_TURNS]

    async def _work(self, work: TurnWork, view: TurnView, reporter: Reporter) -> Answer:
        self._merge_is_kept = False
        try:
            answer = await self._work_or_fail(work, view, reporter)
            await self._let_go_of_merge()
            return answer
        except (Fenced, ToldToStop):
            raise
        except Exception as error:  # a turn ends with an answer, whatever happens
            log.exception("turn_stumbled", turn_id=work.turn_id)
            stumbled = DevflowError(
                f"The worker stumbled over what it did not expect ({type(error).__name__}: {error}).",
                "Retry; if it happens again, show this to whoever runs DevFlow.",
            )
            return _failed(stumbled, view.response(), "What was changed by then is kept in the checkout.")

    async def _work_or_fail(self, work: TurnWork, view: TurnView, reporter: Reporter) -> Answer:
        if work.undo is not None:
            return await self._undo(work, work.undo, self._leave_to_push(work, view, reporter))
        done = await self._done_before(work)
        if done is not None:
            return done
        told = await self._unless_ended(self._steps.set_up(), reporter) if self._steps is not None else ""
        if told is None:
            return Answer(outcome="cancelled", response="It ended while the repository's set-up ran.")
        answer = await self._agents_part(work, view, reporter, told)
        if answer.outcome == "failed" and reporter.cancelled.is_set():
            return answer.model_copy(update={"outcome": "cancelled"})
        if self._steps is not None and answer.outcome == "answered" and answer.commit_sha is not None:
            tested = await self._unless_ended(self._steps.test(), reporter)
            told = "\n\n".join(filter(None, (told, tested)))
        return answer.model_copy(update={"response": f"{answer.response}\n\n{told}".strip()}) if told else answer

    async def _agents_part(self, work: TurnWork, view: TurnView, reporter: Reporter, told: str) -> Answer:
        """What the agent does, and the push of it. `told`: what came of the set-up, for the agent to know."""
        await self._files.prepare()
        attachments, about_files = await self._files.fetch(work)
        try:
            edited = await self._edits_of_people()
            if work.merge is not None and (merged := await self._merge(work, work.merge)) is not None:
                return merged
            agent = await self._host.ensure()
            if about_files:
                self._remarks.append(about_files)
            about = "\n\n".join(filter(None, (told, edited)))
            ending, result = await self._prompt(agent, work, view, reporter, about, attachments)
        except AgentFailed as failure:
            await self._host.discard()
            return _failed(failure, view.response(), "What it had changed by then is kept in its checkout.")
        if ending == "cancelled":
            return Answer(outcome="cancelled", response=view.response())
        if ending == "too_long":
            limit = DevflowError(
                f"The turn was stopped after {self._info.turn_seconds} seconds, the longest a turn may take.",
                "Ask for a smaller step, or let whoever runs DevFlow raise DEVFLOW_TURN_SECONDS.",
            )
            return _failed(limit, view.response(), "What the agent had changed by then is kept in its checkout.")
        if ending == "leaving":
            stopped = DevflowError(
                "The task was told to stop while the agent worked, so this may be done in part.",
                "What it had changed is being saved on the branch; press Retry to go on.",
            )
            return _failed(stopped, view.response())
        return await self._publish(work, view, result, self._leave_to_push(work, view, reporter))

    async def _merge(self, work: TurnWork, base: str) -> Answer | None:
        """The base in the checkout, with what git could not merge left to the agent; an answer where nothing is."""
        try:
            await self._aim()
            if self._merge_begun is not None:
                self._merge_begun = None
                await abandon_merge(self._checkout)
            await self._checkout.commit_leftovers("Save unfinished work before a merge")
            self._checkout.base = f"refs/heads/{base}"
            await self._publisher.catch_up()
            begun = await begin_merge(self._checkout, base, await self._checkout.base_head())
        except (Fenced, ToldToStop):
            raise
        except DevflowError as failure:
            log.warning("merge_failed", turn_id=work.turn_id, why=failure.summary)
            return _failed(failure, "")
        if isinstance(begun, Merge):
            self._merge_begun = begun
            return None
        said = f"`{base}` is merged, without conflicts." if begun else f"The branch has all of `{base}` already."
        return await self._published(work, said, None)

    async def _aim(self) -> None:
        """Where turns are kept apart until the pull request is opened: it may be open by now."""
        if self._info.push_ref is not None:
            deadline = time.monotonic() + AIM_SECONDS
            info = await patiently(self._gateway.session, deadline=deadline, what="session")
            self._checkout.remote_ref = info.push_ref or self._checkout.branch

    async def _let_go_of_merge(self) -> None:
        """A turn that ended before its merge was resolved leaves none behind; the button begins it anew."""
        if self._merge_begun is None or self._merge_is_kept:
            return
        self._merge_begun = None
        try:
            await abandon_merge(self._checkout)
        except DevflowError as failure:
            log.warning("merge_not_abandoned", why=failure.summary)

    async def _undo(self, work: TurnWork, wanted: UndoWork, leave: Leave) -> Answer:
        """Takes commits back without asking the agent, which hears of it with its next prompt."""
        try:
            await self._aim()
            self._remarks += filter(None, [await self._edits_of_people()])
            undone = await undo(self._checkout, self._publisher, wanted, undo_message(work, wanted), leave)
        except (Fenced, ToldToStop):
            raise
        except DevflowError as failure:
            log.warning("turn_not_undone", turn_id=work.turn_id, why=failure.summary)
            return _failed(failure, "")
        response = "Unfinished work of an earlier prompt was committed first." if undone.saved else ""
        answer = Answer(outcome="answered", response=response)
        if undone.published is None:
            return answer
        self._remarks.append(
            f"Meanwhile a person had the commits {wanted.base_sha[:10]}..{wanted.commit_sha[:10]} undone by a new "
            f"commit ({undone.published.commit_sha[:10]}); the files in your checkout follow it."
        )
        return answer.model_copy(update=_facts(undone.published))

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

    async def _edits_of_people(self) -> str:
        """Commits what was done in the editor since the last turn, apart from what the agent does now.

        Gives what the agent is to know of it, "" when there is nothing.
        """
        if self._editor is None or self._editor.active_at is None or self._merge_begun is not None:
            return ""
        names = await self._checkout.changed_files(self._left, await self._checkout.tree())
        if not names:
            return ""
        head, _ = await self._checkout.commit_leftovers(EDITED_MESSAGE)
        log.info("edits_committed", commit_sha=head, files=len(names))
        return edited_text(head, names)

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

    async def _done_before(self, work: TurnWork) -> Answer | None:
        """The answer for what an earlier worker had pushed when its own answer was lost: nothing is done again."""
        commit = await self._publisher.find_turn(work.retries) if work.retries else None
        if commit is None:
            return None
        log.info("turn_found_pushed", turn_id=work.turn_id, commit_sha=commit)
        found = await self._publisher.stat(commit)
        return Answer(
            outcome="answered",
            response=f"This was done already: the earlier try had pushed {commit[:10]} to {self._checkout.name} when "
            "its answer was lost with the worker. Nothing was done again; write what is still to do.",
            **_facts(found),
        )

    def _texts(self, agent: Agent, work: TurnWork, edited: str = "") -> list[str]:
        """The prompt, last, after what the agent must know before it."""
        texts = []
        if agent.fresh:
            texts.append(introduction(self._info))
            texts += earlier_text(self._told)
        if work.context:
            texts.append(context_text(work.context))
        if self._merge_begun is not None:
            texts.append(conflicts_text(self._merge_begun))
        if edited:
            texts.append(edited)
        texts += self._remarks
        self._remarks = []
        if work.purpose is not None:
            # An agent that takes its last words as a command (the shell) gets none of what anybody may have written.
            first_line, _, told = work.prompt.partition("\n")
            return [*texts, told.strip(), first_line]
        return [*texts, work.prompt]

    async def _publish(self, work: TurnWork, view: TurnView, result: PromptResult | None, leave: Leave) -> Answer:
        usage = result.usage if result else None
        note = _STOP_NOTES.get(result.stop_reason, "") if result else ""
        not_shown = await self._files.show(work.turn_id, view.images())
        if not_shown:
            note += f"\n{not_shown}"
        return await self._published(work, f"{view.response()}\n\n{note}".strip(), usage, leave)

    async def _published(
        self, work: TurnWork, response: str, usage: dict[str, int] | None, leave: Leave | None = None
    ) -> Answer:
        """The answer once what the checkout holds is committed and pushed; what is in the way is said in it."""
        published: Published | None = None
        try:
            if self._merge_begun is not None:
                check_resolved(self._checkout, self._merge_begun)
            head, nested = await self._checkout.commit_leftovers(commit_message(work, self._redact))
            self._merge_begun = None
            await self._aim()
            published = await self._publisher.publish(head, leave)
        except (Fenced, ToldToStop):
            raise
        except DevflowError as failure:
            log.warning("turn_not_published", turn_id=work.turn_id, why=failure.summary)
            self._merge_is_kept = isinstance(failure, NotMerged)
            return _failed(failure, response).model_copy(update={"usage": usage})
        if nested:
            response += f"\n\nNot committed, because they are git repositories of their own: {', '.join(nested)}."
        answer = Answer(outcome="answered", response=response.strip(), usage=usage)
        return answer.model_copy(update=_facts(published)) if published is not None else answer


def _facts(published: Published) -> dict[str, Any]:
    return {
        "commit_sha": published.commit_sha,
        "base_sha": published.base_sha,
        "files_changed": published.files_changed,
        "additions": published.additions,
        "deletions": published.deletions,
    }


def _failed(error: DevflowError, response: str, more: str = "") -> Answer:
    sentence = " ".join(filter(None, (error.summary, more, error.remedy)))
    return Answer(outcome="failed", response=f"{sentence}\n\n{response}".strip())
