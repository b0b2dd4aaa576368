"""Carries out effects through the ports; what comes of each goes back to the engine as an event.

Everything here may be done again after a crash: tasks have client tokens, branches and pull requests are looked
up, posts carry metadata by which they are found. Texts come from views.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from slackbot.core import effects as fx
from slackbot.core import events as ev
from slackbot.core.errors import NotFound, PermanentError, ThreadUnreachable
from slackbot.core.limits import PullRequestTerms
from slackbot.core.naming import client_token_for
from slackbot.core.ports import BranchTaken, Chat, CodeHost, Repository, TaskRequest, Tasks
from slackbot.core.repository_policy import Policies
from slackbot.core.session import Session, Turn
from slackbot.core.worker_token import sign_worker_token
from slackbot.late_doubles import LoadSession
from slackbot.performing import NotYet
from slackbot.progress_board import ProgressBoard
from slackbot.pull_request_acts import PullRequestActs, TermsOf
from slackbot.pull_request_cards import PullRequestCards
from slackbot.question_writer import QuestionWriter
from slackbot.thread_writer import ThreadWriter

log = structlog.get_logger()


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is told at its start."""

    gateway_url: str
    secret: str


class Performer:
    """One method an effect. `load` gives a session as it is stored when a post's doubles are looked for."""

    def __init__(
        self,
        *,
        chat: Chat,
        tasks: Tasks,
        code_host: CodeHost,
        board: ProgressBoard,
        worker: WorkerSettings,
        policies: Policies,
        load: LoadSession,
        terms_of: TermsOf = lambda repository: PullRequestTerms(),
    ) -> None:
        self._chat = chat
        self._tasks = tasks
        self._code_host = code_host
        self._worker = worker
        self._policies = policies
        self._writer = ThreadWriter(chat, board, load)
        self._questions = QuestionWriter(chat, self._writer)
        self._cards = PullRequestCards(chat, self._writer)
        self._pull_requests = PullRequestActs(code_host, chat, terms_of)

    async def perform(self, effect: fx.Effect, session: Session, *, first: bool) -> ev.Event | None:
        """Does it, and says what came of it. `TemporaryError` and `NotYet` mean: again, later."""
        log.debug("performing", session_id=session.session_id, effect=type(effect).__name__, first=first)
        try:
            if effect.lane == "thread" and not isinstance(effect, fx.UpdateCard) and await self.strangers_read(session):
                return ev.ChannelShared()
            match effect:
                case fx.ForgetSession():
                    await self._writer.take_card_back(effect, session)
                    return None
                case fx.UpdateCard():
                    return await self._writer.update_card(effect, session, first=first)
                case fx.DeliverAnswer():
                    return await self._writer.deliver_answer(effect, session, first=first)
                case fx.PostNotice():
                    return await self._writer.post_notice(effect, session, first=first)
                case fx.PostWarning():
                    return await self._writer.post_warning(effect, session, first=first)
                case fx.RemoveWarning():
                    return await self._writer.remove_warning(effect, session)
                case fx.ShowPermission():
                    return await self._questions.show(effect, session, first=first)
                case fx.ClosePermission():
                    return await self._questions.close(effect, session)
                case fx.MakeBranch():
                    return await self._make_branch(effect, session)
                case fx.RunTask():
                    return await self._run_task(effect, session)
                case fx.StopTask():
                    return await self._stop_task(effect, session)
                case fx.TidyBranch():
                    return await self._tidy_branch(session)
                case fx.OpenPullRequest():
                    return await self._pull_requests.open(session)
                case fx.ActOnPullRequest():
                    return await self._pull_requests.act(effect, session)
                case fx.AnswerReview():
                    return await self._pull_requests.answer_review(effect, session)
                case fx.LookForMergedBranch():
                    return await self._pull_requests.look_for_branch(session)
                case fx.UpdatePullRequestCard():
                    return await self._cards.update(effect, session, first=first)
                case fx.RemoveOldCard():
                    return await self._cards.remove(effect, session)
        except ThreadUnreachable as error:
            log.warning("thread_lost", session_id=session.session_id, why=error.summary)
            return ev.ThreadLost(reason=error.summary)
        raise AssertionError(f"no way to perform {effect!r}")

    async def strangers_read(self, session: Session) -> bool:
        """Whether people of another organisation would read what is told now, and nobody has noticed yet."""
        if session.thread.frozen_at is not None:
            return False
        try:
            channel = await self._chat.get_channel(session.thread.channel_id)
        except (PermanentError, NotFound):
            # The post itself will say what is wrong.
            return False
        return channel.is_shared_outside

    def owes_marks(self, session: Session) -> bool:
        return self._writer.marks.are_owed(session)

    async def mark(self, session: Session) -> frozenset[str]:
        """Eyes on every prompt that is stored and not ended; the turns so marked."""
        return await self._writer.marks.mark(session)

    async def mark_over(self, session: Session, turn_ids: frozenset[str]) -> None:
        """The last mark on those that ended while they were marked; see `PromptMarks.mark_over`."""
        await self._writer.marks.mark_over(session, turn_ids)

    async def post_answer(self, session: Session, turn: Turn, *, full_text: str | None, look_first: bool) -> str:
        """An answer ahead of its being stored; see `ThreadWriter.post_answer`."""
        return await self._writer.post_answer(session, turn, full_text=full_text, look_first=look_first)

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
            if session.branch.ref is not None or self._policies.keeps_turns_apart(session.repository):
                return await self._make_ref(session, repository, base.head_sha)
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

    async def _make_ref(self, session: Session, repository: Repository, base_sha: str) -> ev.Event:
        """A ref of the session's own in place of the branch, which no workflow watches."""
        ref = f"refs/devflow/{session.session_id}"
        try:
            await self._code_host.create_ref(repository, ref, base_sha)
        except BranchTaken:
            found = await self._code_host.get_ref(repository, ref)
            if found != base_sha and session.branch.pushed:
                # What it kept is on the branch, or was merged from there: it begins anew.
                await self._code_host.delete_ref(repository, ref)
                await self._code_host.create_ref(repository, ref, base_sha)
        return ev.BranchMade(branch_name=session.branch_name, base_sha=base_sha, ref=ref)

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
            ref = session.branch.ref
            if ref is not None and not session.branch.pushed:
                sha = await self._code_host.get_ref(repository, ref)
                if sha is not None and sha != session.branch.base_sha:
                    return ev.BranchTidied(deleted=False)
                await self._code_host.delete_ref(repository, ref)
                return ev.BranchTidied(deleted=True)
            branch = await self._code_host.get_branch(repository, session.branch_name)
            if branch is not None and branch.head_sha != session.branch.base_sha:
                return ev.BranchTidied(deleted=False)
            if branch is not None:
                await self._code_host.delete_branch(repository, session.branch_name)
        except (NotFound, PermanentError) as error:
            log.info("branch_not_tidied", session_id=session.session_id, why=error.summary)
            return ev.BranchTidied(deleted=False)
        return ev.BranchTidied(deleted=True)
