"""What is done with a pull request on the code host: opened, given to the agent, made ready, merged, tidied up.

Called by the performer for effects of `core.effects`; outcomes go back to the engine as events. All of it may be
done again after a crash: what the code host has done already is found there.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from slackbot.core import effects as fx
from slackbot.core import events as ev
from slackbot.core.code_host import BranchTaken, CheckDetails, CodeHost, PullRequestSnapshot, Repository
from slackbot.core.errors import NotFound, PermanentError, TemporaryError, UsageError
from slackbot.core.limits import PullRequestTerms
from slackbot.core.ports import Chat
from slackbot.core.pull_request import REPLY_MARK, open_threads, opinions
from slackbot.core.pull_request_prompts import (
    CHECK_BYTES,
    MAX_CHECKS,
    MAX_THREADS,
    conflicts_prompt,
    fix_checks_prompt,
    review_prompt,
)
from slackbot.core.pull_request_rules import hindrance_of
from slackbot.core.pull_request_text import proposed_body, proposed_title
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import Session
from slackbot.views.pull_request import pull_request_body, review_reply

log = structlog.get_logger()

TermsOf = Callable[[RepositoryName], PullRequestTerms]


class PullRequestActs:
    """One method an effect. `TemporaryError` means: again, later."""

    def __init__(self, code_host: CodeHost, chat: Chat, terms_of: TermsOf) -> None:
        self._code_host = code_host
        self._chat = chat
        self._terms_of = terms_of

    # ----------------------------------------------------------------------------------- opening

    async def open(self, session: Session) -> ev.Event | None:
        state = session.pull_request
        base = state.base_ref or session.base_branch
        try:
            repository = await self._code_host.find_repository(session.repository)
            await self._bring_to_branch(session, repository, base)
            title, body = state.title, state.body
            if title is None:
                title, body = proposed_title(session), proposed_body(session, await self._template(repository, base))
            opened = await self._code_host.open_pull_request(
                repository,
                head=session.branch_name,
                base=base,
                title=title,
                body=pull_request_body(session, await self._permalink(session), body or ""),
                draft=state.as_draft,
                reviewers=state.reviewers,
            )
        except (NotFound, PermanentError) as error:
            return ev.PullRequestRefused(error.summary, error.remedy)
        log.info("pull_request_opened", session_id=session.session_id, pull_number=opened.number)
        return ev.PullRequestOpened(
            number=opened.number,
            url=opened.url,
            node_id=opened.node_id,
            draft=opened.draft,
            reviewers_refused=opened.reviewers_refused,
            terms=self._terms_of(session.repository),
        )

    async def _permalink(self, session: Session) -> str | None:
        try:
            return await self._chat.get_permalink(session.thread.channel_id, session.thread.thread_ts)
        except (PermanentError, TemporaryError):
            return None

    async def _template(self, repository: Repository, base: str) -> str | None:
        try:
            return await self._code_host.pull_request_template(repository, base)
        except (NotFound, PermanentError) as error:
            log.info("template_not_read", repository=repository.name.full_name, why=error.summary)
            return None

    async def _bring_to_branch(self, session: Session, repository: Repository, base: str) -> None:
        """Where turns are kept on a ref of the session's own, the branch gets its commits now."""
        ref = session.branch.ref
        if ref is None or session.branch.pushed:
            return
        sha = await self._code_host.get_ref(repository, ref)
        if sha is None or sha == session.branch.base_sha:
            raise PermanentError(
                f"There is nothing to open yet: no turn has made a commit that `{base}` does not have.",
                "Ask the agent for a change first.",
            )
        branch = await self._code_host.get_branch(repository, session.branch_name)
        if branch is None:
            try:
                await self._code_host.create_branch(repository, session.branch_name, sha)
            except BranchTaken:
                raise PermanentError(
                    f"The branch `{session.branch_name}` cannot be made, as its name is in use.",
                    "Delete or rename the branch that stands in the way, then open the pull request again.",
                ) from None
        elif branch.head_sha != sha:
            await self._code_host.update_ref(repository, f"refs/heads/{session.branch_name}", sha)

    # ------------------------------------------------------------------------------------ acting

    async def act(self, effect: fx.ActOnPullRequest, session: Session) -> ev.Event | None:
        asked = next((one for one in session.pull_request.asked if one.get("request_id") == effect.act_id), None)
        if asked is None:
            return None
        user_id, method = str(asked.get("user_id")), str(asked.get("method") or "merge")
        hindrance = hindrance_of(session, effect.action, user_id)
        if hindrance is not None:
            return _refused(effect, hindrance)
        try:
            repository = await self._code_host.find_repository(session.repository)
            match effect.action:
                case "fix_checks":
                    return await self._prepare_checks(effect, session, repository)
                case "address_review":
                    return await self._prepare_review(effect, session, repository)
                case "resolve_conflicts":
                    snapshot = await self._snapshot(session, repository)
                    return ev.PullRequestWorkPrepared(effect.act_id, conflicts_prompt(snapshot))
                case "ready":
                    await self._code_host.mark_ready_for_review(repository, session.pull_request.node_id or "")
                    return ev.PullRequestActDone(effect.act_id, effect.action)
                case "merge":
                    return await self._merge(effect, session, repository, method)
                case "delete_branch":
                    await self._code_host.delete_branch(repository, session.branch_name)
                    return ev.PullRequestActDone(effect.act_id, effect.action)
        except (NotFound, PermanentError) as error:
            return _refused(effect, error)
        return _refused(effect, UsageError("This version of DevFlow does not know how to do that."))

    async def _merge(
        self, effect: fx.ActOnPullRequest, session: Session, repository: Repository, method: str
    ) -> ev.Event:
        """Only what was seen is merged: a head that moved since is GitHub's refusal."""
        picture = session.pull_request.seen
        head_sha = picture.head_sha if picture is not None else ""
        sha = await self._code_host.merge_pull_request(
            repository, session.pr_number or 0, method=method, head_sha=head_sha
        )
        log.info("pull_request_merged", session_id=session.session_id, pull_number=session.pr_number)
        return ev.PullRequestActDone(effect.act_id, effect.action, merged_sha=sha)

    async def _snapshot(self, session: Session, repository: Repository) -> PullRequestSnapshot:
        return await self._code_host.get_pull_request_snapshot(repository, session.pr_number or 0)

    async def _prepare_checks(self, effect: fx.ActOnPullRequest, session: Session, repository: Repository) -> ev.Event:
        snapshot = await self._snapshot(session, repository)
        failing = [check for check in snapshot.checks if check.state == "failed"]
        if not failing:
            return _refused(effect, UsageError("No check fails any more."))
        details: list[CheckDetails] = []
        others = []
        for check in failing:
            if check.check_run_id is None or len(details) >= MAX_CHECKS:
                others.append(check.name)
                continue
            try:
                details.append(await self._code_host.check_details(repository, check.check_run_id, CHECK_BYTES))
            except (NotFound, PermanentError) as error:
                log.info("check_not_read", session_id=session.session_id, check=check.name, why=error.summary)
                others.append(check.name)
        return ev.PullRequestWorkPrepared(effect.act_id, fix_checks_prompt(snapshot.number, details, others))

    async def _prepare_review(self, effect: fx.ActOnPullRequest, session: Session, repository: Repository) -> ev.Event:
        snapshot = await self._snapshot(session, repository)
        threads = open_threads(snapshot)[:MAX_THREADS]
        against = [review for review in opinions(snapshot) if review.state == "changes_requested"]
        if not threads and not any(review.body.strip() for review in against):
            return _refused(effect, UsageError("There is no unresolved comment of a collaborator to address."))
        comment_ids = tuple(thread.comments[0].comment_id for thread in threads if thread.comments)
        return ev.PullRequestWorkPrepared(
            effect.act_id, review_prompt(snapshot.number, threads, against), comment_ids=comment_ids
        )

    async def answer_review(self, effect: fx.AnswerReview, session: Session) -> ev.Event | None:
        """A reply in each thread that the turn was about; one that stands there already is not repeated."""
        turn = session.turn(effect.turn_id)
        if turn is None or session.pr_number is None:
            return ev.ReviewAnswered(effect.turn_id)
        body = review_reply(session, turn)
        wanted = [one.get("comment_id") for one in session.pull_request.replies if one.get("turn_id") == turn.turn_id]
        try:
            repository = await self._code_host.find_repository(session.repository)
            snapshot = await self._snapshot(session, repository)
            for thread in snapshot.threads:
                first = thread.comments[0].comment_id if thread.comments else None
                mark = f"{REPLY_MARK}{turn.turn_id}"
                if first is None or first not in wanted or any(mark in one.body for one in thread.comments):
                    continue
                try:
                    await self._code_host.reply_to_review_comment(repository, session.pr_number, first, body)
                except (NotFound, PermanentError) as error:
                    log.info("review_not_answered", session_id=session.session_id, why=error.summary)
        except (NotFound, PermanentError) as error:
            log.info("review_not_answered", session_id=session.session_id, why=error.summary)
        return ev.ReviewAnswered(effect.turn_id)

    async def look_for_branch(self, session: Session) -> ev.Event | None:
        try:
            repository = await self._code_host.find_repository(session.repository)
            branch = await self._code_host.get_branch(repository, session.branch_name)
        except NotFound:
            return ev.MergedBranchSeen(is_there=False)
        except PermanentError as error:
            # Nobody knows: that it is gone would be told, and the next prompt would begin another.
            log.info("branch_not_looked_for", session_id=session.session_id, why=error.summary)
            return ev.MergedBranchSeen(is_there=True)
        return ev.MergedBranchSeen(is_there=branch is not None)


def _refused(effect: fx.ActOnPullRequest, error: NotFound | PermanentError | UsageError) -> ev.PullRequestActRefused:
    return ev.PullRequestActRefused(effect.act_id, effect.action, error.summary, error.remedy)
