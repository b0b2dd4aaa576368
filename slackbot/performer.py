"""Carries out effects through the ports; what comes of each goes back to the engine as an event.

Everything here may be done again after a crash: tasks have client tokens, branches and pull requests are looked
up, posts carry metadata by which they are found. Texts come from views.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import structlog

from slackbot.core import effects as fx
from slackbot.core import events as ev
from slackbot.core.errors import NotFound, PermanentError, TemporaryError, ThreadUnreachable
from slackbot.core.naming import client_token_for, title_for
from slackbot.core.ports import BranchTaken, Chat, CodeHost, Message, Metadata, TaskRequest, Tasks
from slackbot.core.repository_policy import Policies
from slackbot.core.session import Session, Turn, TurnState
from slackbot.core.worker_token import sign_worker_token
from slackbot.engine import NotYet
from slackbot.progress_board import ProgressBoard
from slackbot.views.answer import answer, answer_metadata
from slackbot.views.card import card, card_metadata
from slackbot.views.notice import notice, notice_metadata
from slackbot.views.pull_request import pull_request_body
from slackbot.views.view import View

log = structlog.get_logger()

MARKS = {
    TurnState.QUEUED: "eyes",
    TurnState.WORKING: "eyes",
    TurnState.ANSWERED: "white_check_mark",
    TurnState.FAILED: "x",
    TurnState.CANCELLED: "octagonal_sign",
}
"""The reaction on a prompt, by the state of its turn."""

_MAX_MARKS = 20_000

_REFRESHED = 3
"""So many answers are drawn again when the pull request opens; older ones are far up the thread."""


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is told at its start."""

    gateway_url: str
    secret: str


class Performer:
    """One method an effect."""

    def __init__(
        self,
        *,
        chat: Chat,
        tasks: Tasks,
        code_host: CodeHost,
        board: ProgressBoard,
        worker: WorkerSettings,
        policies: Policies,
    ) -> None:
        self._chat = chat
        self._tasks = tasks
        self._code_host = code_host
        self._board = board
        self._worker = worker
        self._policies = policies
        self._marked: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._attached: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def perform(self, effect: fx.Effect, session: Session, *, first: bool) -> ev.Event | None:
        """Does it, and says what came of it. `TemporaryError` and `NotYet` mean: again, later."""
        log.debug("performing", session_id=session.session_id, effect=type(effect).__name__, first=first)
        try:
            match effect:
                case fx.UpdateCard():
                    return await self._update_card(effect, session, first=first)
                case fx.DeliverAnswer():
                    return await self._deliver_answer(effect, session, first=first)
                case fx.PostNotice():
                    return await self._post_notice(effect, session, first=first)
                case fx.MakeBranch():
                    return await self._make_branch(effect, session)
                case fx.RunTask():
                    return await self._run_task(effect, session)
                case fx.StopTask():
                    return await self._stop_task(effect, session)
                case fx.TidyBranch():
                    return await self._tidy_branch(session)
                case fx.OpenPullRequest():
                    return await self._open_pull_request(session)
        except ThreadUnreachable as error:
            log.warning("thread_lost", session_id=session.session_id, why=error.summary)
            return ev.ThreadLost(reason=error.summary)
        raise AssertionError(f"no way to perform {effect!r}")

    # ----------------------------------------------------------------------------------- marks

    def owes_marks(self, session: Session) -> bool:
        return session.thread.lost is None and any(True for _ in self._unmarked(session))

    async def mark(self, session: Session) -> None:
        """Eyes on every prompt that is stored and not ended; harmless where they are already."""
        for turn in list(self._unmarked(session)):
            await self._mark_turn(session, turn)

    def _unmarked(self, session: Session) -> list[Turn]:
        return [
            turn
            for turn in session.history
            if not turn.state.is_ended
            and turn.prompt_ts is not None
            and self._marked.get((session.session_id, turn.turn_id)) != MARKS[turn.state]
        ]

    async def _mark_turn(self, session: Session, turn: Turn) -> None:
        if turn.prompt_ts is None:
            return
        channel_id, mark = session.thread.channel_id, MARKS[turn.state]
        try:
            await self._chat.add_reaction(channel_id, turn.prompt_ts, mark)
            for stale in sorted(_stale_marks(session, turn)):
                await self._chat.remove_reaction(channel_id, turn.prompt_ts, stale)
        except PermanentError as error:
            # A missing scope or a full message costs the mark, never the answer.
            log.info("mark_refused", session_id=session.session_id, why=error.summary)
        self._marked[session.session_id, turn.turn_id] = mark
        while len(self._marked) > _MAX_MARKS:
            self._marked.popitem(last=False)

    # ---------------------------------------------------------------------------------- thread

    async def _update_card(self, effect: fx.UpdateCard, session: Session, *, first: bool) -> ev.Event | None:
        thread, view, metadata = session.thread, card(session), card_metadata(session)
        status_ts = thread.status_ts
        if status_ts is None:
            found = None if first else await self._find(session, metadata.event_type)
            status_ts = (
                found.ts
                if found
                else await self._chat.post_message(
                    thread.channel_id, text=view.text, blocks=view.blocks, thread_ts=thread.thread_ts, metadata=metadata
                )
            )
        else:
            try:
                await self._chat.update_message(
                    thread.channel_id, status_ts, text=view.text, blocks=view.blocks, metadata=metadata
                )
            except ThreadUnreachable:
                raise
            except (NotFound, PermanentError) as error:
                # Deleted, or not to be drawn: the thread goes on without its card.
                log.info("card_not_updated", session_id=session.session_id, why=error.summary)
        return ev.CardTold(card=effect.card, status_ts=status_ts)

    async def _deliver_answer(self, effect: fx.DeliverAnswer, session: Session, *, first: bool) -> ev.Event | None:
        turn = session.turn(effect.turn_id)
        if turn is None:
            return None
        ts = await self.post_answer(session, turn, full_text=None, look_first=not first)
        return ev.AnswerPosted(turn_id=turn.turn_id, response_ts=ts)

    async def post_answer(self, session: Session, turn: Turn, *, full_text: str | None, look_first: bool) -> str:
        """Posts the end of a turn, marks its prompt and takes the progress message away; its `ts`.

        `full_text` is the whole response where the stored one is shortened.
        """
        metadata = answer_metadata(session, turn)
        found = await self._find(session, metadata.event_type, {"turn_id": turn.turn_id}) if look_first else None
        made = answer(session, turn, full_text=full_text)
        ts = found.ts if found is not None else await self._post(session, made.view, metadata)
        if made.overflow is not None and (session.session_id, turn.turn_id) not in self._attached:
            # Found, and not attached by this process: a crash may have come between. Better twice than never.
            await self._attach(session, "answer.md", "The whole answer", made.overflow)
            self._attached[session.session_id, turn.turn_id] = None
            while len(self._attached) > _MAX_MARKS:
                self._attached.popitem(last=False)
        await self._mark_turn(session, turn)
        await self._board.clear(session, turn, look=look_first)
        return ts

    async def _post_notice(self, effect: fx.PostNotice, session: Session, *, first: bool) -> ev.Event | None:
        due = next((n for n in session.thread.notices if n.notice_id == effect.notice_id), None)
        if due is None:
            return None
        metadata = notice_metadata(session, due)
        found = None if first else await self._find(session, metadata.event_type, {"notice_id": due.notice_id})
        ts = found.ts if found else await self._post(session, notice(session, due), metadata)
        if due.kind == "pull_request_opened":
            await self._refresh_answers(session)
        for turn in session.history:
            if turn.told_by == due.notice_id:
                await self._mark_turn(session, turn)
                await self._board.clear(session, turn, look=not first)
        return ev.NoticePosted(notice_id=due.notice_id, ts=ts)

    async def _refresh_answers(self, session: Session) -> None:
        """The latest answers that offered to open a pull request now lead to it."""
        offered = [turn for turn in session.history if turn.commit_sha and turn.response_ts and not turn.shortened]
        for turn in offered[-_REFRESHED:]:
            made, channel_id, ts = answer(session, turn), session.thread.channel_id, turn.response_ts or ""
            try:
                await self._chat.update_message(
                    channel_id,
                    ts,
                    text=made.view.text,
                    blocks=made.view.blocks,
                    metadata=answer_metadata(session, turn),
                )
            except (NotFound, PermanentError) as error:
                log.info("answer_not_refreshed", session_id=session.session_id, why=error.summary)

    async def _post(self, session: Session, view: View, metadata: Metadata) -> str:
        """Posts into the thread; an unknown outcome is looked up before anything is repeated."""
        try:
            return await self._chat.post_message(
                session.thread.channel_id,
                text=view.text,
                blocks=view.blocks,
                thread_ts=session.thread.thread_ts,
                metadata=metadata,
            )
        except TemporaryError as error:
            if not error.outcome_unknown:
                raise
            found = await self._find(session, metadata.event_type, dict(metadata.event_payload))
            if found is None:
                raise
            return found.ts
        except ThreadUnreachable:
            raise
        except PermanentError as error:
            log.warning("blocks_refused", session_id=session.session_id, why=error.summary)
            return await self._post_bare(session, view, metadata)

    async def _post_bare(self, session: Session, view: View, metadata: Metadata) -> str:
        """Slack refused the blocks: the plain text is better than silence. If that is refused too, all will be."""
        thread = session.thread
        try:
            return await self._chat.post_message(
                thread.channel_id, text=view.text, thread_ts=thread.thread_ts, metadata=metadata
            )
        except PermanentError as error:
            raise ThreadUnreachable(error.summary, error.remedy) from error

    async def _attach(self, session: Session, filename: str, title: str, content: str) -> None:
        thread = session.thread
        try:
            await self._chat.upload_file(
                thread.channel_id, thread.thread_ts, filename=filename, title=title, content=content
            )
        except (PermanentError, TemporaryError) as error:
            log.warning("file_not_attached", session_id=session.session_id, why=error.summary)

    async def _find(
        self, session: Session, event_type: str, payload: dict[str, str | int] | None = None
    ) -> Message | None:
        """The first of our posts with this metadata; doubles that Slack hid from us are deleted now."""
        thread = session.thread
        posts = await self._chat.find_messages(thread.channel_id, thread.thread_ts, event_type=event_type)
        wanted = {"session_id": session.session_id, **(payload or {})}
        matching = [post for post in posts if all(_payload(post).get(name) == value for name, value in wanted.items())]
        for double in matching[1:]:
            log.info("double_deleted", session_id=session.session_id, message_ts=double.ts)
            await self._chat.delete_message(thread.channel_id, double.ts)
        return matching[0] if matching else None

    # ------------------------------------------------------------------------------------ work

    async def _make_branch(self, effect: fx.MakeBranch, session: Session) -> ev.Event | None:
        try:
            repository = await self._code_host.find_repository(session.repository)
            base = await self._code_host.get_branch(repository, session.base_branch)
            if base is None:
                return ev.LaunchFailed(
                    session.launch,
                    f"`{session.repository}` has no branch `{session.base_branch}` to start from.",
                    "Start again with `base=` and a branch that is there.",
                )
            try:
                made = await self._code_host.create_branch(repository, effect.branch_name, base.head_sha)
            except BranchTaken:
                # The name holds the session's id: at the same commit it is our own, made before a crash.
                found = await self._code_host.get_branch(repository, effect.branch_name)
                if found is None or found.head_sha != base.head_sha:
                    return ev.BranchNameTaken(effect.branch_name)
                made = found
        except (NotFound, PermanentError) as error:
            return ev.LaunchFailed(session.launch, error.summary, error.remedy)
        return ev.BranchMade(branch_name=made.branch_name, base_sha=made.head_sha)

    async def _run_task(self, effect: fx.RunTask, session: Session) -> ev.Event | None:
        token = sign_worker_token(self._worker.secret, session.session_id, effect.launch)
        rule = self._policies.of(session.repository)
        request = TaskRequest(
            session_id=session.session_id,
            launch=effect.launch,
            client_token=client_token_for(session.session_id, effect.launch),
            environment={
                "DEVFLOW_GATEWAY_URL": self._worker.gateway_url,
                "DEVFLOW_SESSION_ID": session.session_id,
                "DEVFLOW_WORKER_TOKEN": token,
            },
            task_definition=rule.task_definition if rule else None,
            cpu=rule.cpu if rule else None,
            memory=rule.memory if rule else None,
        )
        try:
            task = await self._tasks.run_task(request)
        except PermanentError as error:
            return ev.LaunchFailed(effect.launch, error.summary, error.remedy)
        log.info("task_started", session_id=session.session_id, launch=effect.launch, task_arn=task.task_arn)
        return ev.TaskStarted(launch=effect.launch, task=task)

    async def _stop_task(self, effect: fx.StopTask, session: Session) -> ev.Event | None:
        described = (await self._tasks.describe_tasks([effect.task_arn])).get(effect.task_arn)
        status = described.last_status if described is not None else None
        if status in ("DEACTIVATING", "STOPPING", "DEPROVISIONING"):
            raise NotYet
        if described is not None and status == "STOPPED":
            return ev.TaskObserved(launch=session.launch, task=described)
        if described is not None and status == "MISSING":
            # Not known yet, or not any more: only time tells, so it is stopped in case it is there.
            await self._tasks.stop_task(effect.task_arn, effect.reason)
            return ev.TaskObserved(launch=session.launch, task=described)
        await self._tasks.stop_task(effect.task_arn, effect.reason)
        raise NotYet

    async def _tidy_branch(self, session: Session) -> ev.Event | None:
        try:
            repository = await self._code_host.find_repository(session.repository)
            branch = await self._code_host.get_branch(repository, session.branch_name)
            if branch is not None and branch.head_sha != session.branch.base_sha:
                return ev.BranchTidied(deleted=False)
            if branch is not None:
                await self._code_host.delete_branch(repository, session.branch_name)
        except (NotFound, PermanentError) as error:
            log.info("branch_not_tidied", session_id=session.session_id, why=error.summary)
            return ev.BranchTidied(deleted=False)
        return ev.BranchTidied(deleted=True)

    async def _open_pull_request(self, session: Session) -> ev.Event | None:
        thread = session.thread
        try:
            permalink = await self._chat.get_permalink(thread.channel_id, thread.thread_ts)
        except (PermanentError, TemporaryError):
            permalink = None
        try:
            repository = await self._code_host.find_repository(session.repository)
            opened = await self._code_host.open_pull_request(
                repository,
                head=session.branch_name,
                base=session.base_branch,
                title=title_for(session.initial_prompt),
                body=pull_request_body(session, permalink),
            )
        except (NotFound, PermanentError) as error:
            return ev.PullRequestRefused(error.summary, error.remedy)
        log.info("pull_request_opened", session_id=session.session_id, pull_number=opened.number)
        return ev.PullRequestOpened(number=opened.number, url=opened.url)


def _stale_marks(session: Session, turn: Turn) -> set[str]:
    """Marks that the prompt's message may still carry: the eyes, and how an earlier try of the prompt ended."""
    stale = {MARKS[other.state] for other in session.history if other.prompt_ts == turn.prompt_ts}
    if turn.state.is_ended:
        stale.add(MARKS[TurnState.QUEUED])
    return stale - {MARKS[turn.state]}


def _payload(message: Message) -> dict[str, object]:
    payload = (message.metadata or {}).get("event_payload")
    return dict(payload) if isinstance(payload, dict) else {}
