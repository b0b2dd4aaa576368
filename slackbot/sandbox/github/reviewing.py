"""What reviewers, CI and whoever merges do to a pull request, by GitHub's rules and in GitHub's words.

REST, GraphQL and the pages call it; it writes to the store and to git, and tells what happened.
"""

from __future__ import annotations

from dataclasses import replace

from slackbot.sandbox.github.git_merge import Signature, merge_commit, rebased, squash_commit
from slackbot.sandbox.github.happenings import Happening
from slackbot.sandbox.github.review_store import CheckRow, CommentRow, ReviewRow, ThreadRow
from slackbot.sandbox.github.store import PullRow, RepositoryRow
from slackbot.sandbox.github.world import World

METHODS = {"merge": "allow_merge", "squash": "allow_squash", "rebase": "allow_rebase"}
_METHOD_NAMES = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}
_CHECK_STATES = {
    "pending": ("IN_PROGRESS", None),
    "passed": ("COMPLETED", "SUCCESS"),
    "failed": ("COMPLETED", "FAILURE"),
    "neutral": ("COMPLETED", "SKIPPED"),
}


class Refusal(Exception):
    """GitHub says no: `status` is REST's, the message GitHub's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Reviewing:
    """One object for the whole stand-in. People are named by their login."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.store.reviews

    # ------------------------------------------------------------------------------------ reviews

    def review(self, row: RepositoryRow, pull: PullRow, login: str, state: str, body: str) -> ReviewRow:
        """`state`: APPROVED, CHANGES_REQUESTED or COMMENTED. https://docs.github.com/en/rest/pulls/reviews"""
        if state != "COMMENTED" and login == pull.login:
            verb = "approve" if state == "APPROVED" else "request changes on"
            raise Refusal(422, f"Can not {verb} your own pull request")
        if state != "APPROVED" and not body.strip():
            raise Refusal(422, "Review body can't be blank")
        now = self._world.now()
        made = self._store.add_review(
            pull_id=pull.id, login=login, state=state, body=body, commit_sha=pull.head_sha, submitted_at=now
        )
        self._store.end_request(pull.id, login)
        self._world.store.set_pull(pull, now)
        self._tell("pull_request_review", "submitted", row, login, pull, review=made)
        return made

    def comment_on_line(
        self, row: RepositoryRow, pull: PullRow, login: str, path: str, line: int, body: str
    ) -> CommentRow:
        """Begins a thread; as on GitHub a review without words stands round a single comment."""
        thread = self._store.add_thread(pull_id=pull.id, path=path, line=line, commit_sha=pull.head_sha)
        return self._comment(row, pull, login, body, thread)

    def reply(self, row: RepositoryRow, pull: PullRow, login: str, comment_id: int, body: str) -> CommentRow:
        """Answers in the thread of a comment, which must be its first. LookupError when there is none."""
        threads = {one.id: one for one in self._store.threads(pull.id)}
        first = next((one for one in self._store.all_comments(pull.id) if one.id == comment_id), None)
        if first is None or first.thread_id is None or self._store.comments(pull.id, first.thread_id)[0] != first:
            raise LookupError(comment_id)
        return self._comment(row, pull, login, body, threads[first.thread_id])

    def _comment(self, row: RepositoryRow, pull: PullRow, login: str, body: str, thread: ThreadRow) -> CommentRow:
        now = self._world.now()
        review = self._store.add_review(
            pull_id=pull.id, login=login, state="COMMENTED", body="", commit_sha=pull.head_sha, submitted_at=now
        )
        made = self._store.add_comment(
            pull_id=pull.id,
            thread_id=thread.id,
            review_id=review.id,
            login=login,
            body=body,
            created_at=now,
        )
        self._world.store.set_pull(pull, now)
        self._tell("pull_request_review_comment", "created", row, login, pull, comment=made, thread=thread)
        return made

    def comment(self, row: RepositoryRow, pull: PullRow, login: str, body: str) -> CommentRow:
        """On the pull request as a whole."""
        now = self._world.now()
        made = self._store.add_comment(
            pull_id=pull.id, thread_id=None, review_id=None, login=login, body=body, created_at=now
        )
        self._world.store.set_pull(pull, now)
        self._tell("issue_comment", "created", row, login, pull, comment=made)
        return made

    def resolve(self, row: RepositoryRow, pull: PullRow, login: str, thread: ThreadRow, resolved: bool) -> None:
        self._store.resolve(thread.id, resolved)
        self._world.store.set_pull(pull, self._world.now())
        action = "resolved" if resolved else "unresolved"
        self._tell("pull_request_review_thread", action, row, login, pull, thread=replace(thread, resolved=resolved))

    def decision(self, pull: PullRow) -> str | None:
        """`reviewDecision`: null where no rule asks for reviews. https://github.com/orgs/community/discussions/24375"""
        rule = self._store.rule(pull.repository_id, pull.base_ref)
        if rule is None or not rule.approvals:
            return None
        states = [
            one.state
            for one in self.opinions(pull)
            if (person := self._store.person(one.login)) is not None and person.collaborator
        ]
        if "CHANGES_REQUESTED" in states:
            return "CHANGES_REQUESTED"
        return "APPROVED" if states.count("APPROVED") >= rule.approvals else "REVIEW_REQUIRED"

    def opinions(self, pull: PullRow) -> list[ReviewRow]:
        """Each person's last review that approves, asks for changes, or was dismissed; oldest first."""
        last = {one.login: one for one in self._store.reviews(pull.id) if one.state != "COMMENTED"}
        return sorted(last.values(), key=lambda one: one.id)

    # ----------------------------------------------------------------------------------------- CI

    def set_check(
        self, row: RepositoryRow, head_sha: str, name: str, state: str, *, kind: str = "check", log: str = ""
    ) -> CheckRow:
        """`state`: pending, passed, failed or neutral. A check that had ended begins again as another run."""
        now = self._world.now()
        status, conclusion = _CHECK_STATES[state]
        completed = now if conclusion else None
        known = next(
            (one for one in self._store.checks(row.id, head_sha) if (one.kind, one.name) == (kind, name)), None
        )
        values = {
            "status": status,
            "conclusion": conclusion,
            "completed_at": completed,
            "title": {"SUCCESS": f"{name} passed", "FAILURE": f"{name} failed"}.get(conclusion or "", ""),
            "summary": "",
            "log": log,
        }
        if known is not None and known.status != "COMPLETED":
            self._store.finish_check(known.id, **values)
            made = replace(known, **values)  # type: ignore[arg-type]
        else:
            made = self._store.put_check(
                repository_id=row.id, head_sha=head_sha, kind=kind, name=name, started_at=now, **values
            )
        pull = next((one for one in self._world.store.pulls(row.id, state="open") if one.head_sha == head_sha), None)
        if kind == "check":
            self._tell("check_run", "completed" if completed else "created", row, "", pull, check=made)
        else:
            self._tell("status", "", row, "", pull, check=made)
        return made

    def begin_checks(self, row: RepositoryRow, head_sha: str) -> None:
        """The repository's CI sees a new commit of a pull request."""
        there = {one.name for one in self._store.checks(row.id, head_sha)}
        for name in self._store.ways(row.id).ci:
            if name not in there:
                self.set_check(row, head_sha, name, "pending")

    # ------------------------------------------------------------------------------ whole pull requests

    def set_draft(self, row: RepositoryRow, pull: PullRow, login: str, draft: bool) -> PullRow:
        if pull.draft == draft:
            return pull
        self._world.store.set_pull(pull, self._world.now(), draft=draft)
        after = replace(pull, draft=draft)
        self._tell("pull_request", "converted_to_draft" if draft else "ready_for_review", row, login, after)
        return after

    def request_reviews(self, row: RepositoryRow, pull: PullRow, logins: list[str], by: str) -> None:
        """https://docs.github.com/en/rest/pulls/review-requests#request-reviewers-for-a-pull-request"""
        found = [self._store.person(login) for login in logins]
        people = [one for one in found if one is not None and one.collaborator]
        if len(people) < len(logins):
            raise Refusal(
                422,
                "Reviews may only be requested from collaborators. One or more of the users or teams you specified is "
                f"not a collaborator of the {row.full_name} repository.",
            )
        if any(one.login == pull.login for one in people):
            raise Refusal(422, "Review cannot be requested from pull request author.")
        self._store.request_reviews(pull.id, [one.login for one in people])
        self._world.store.set_pull(pull, self._world.now())
        for one in people:
            self._tell("pull_request", "review_requested", row, by, pull, person=one)

    async def merge(self, row: RepositoryRow, pull: PullRow, login: str, method: str, title: str = "") -> str:
        """The sha of the merge, or a `Refusal`. https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request"""
        if not getattr(self._store.ways(row.id), METHODS[method]):
            raise Refusal(405, f"{_METHOD_NAMES[method]} are not allowed on this repository.")
        if pull.state != "open":
            raise Refusal(405, "Pull Request is not mergeable")
        if pull.draft:
            raise Refusal(405, "Pull Request is still a draft")
        if against := self.against_the_rule(pull):
            raise Refusal(405, against)
        git = self._world.git(row)
        by = Signature(login, f"{login}@users.noreply.localhost")
        async with self._world.lock(row):
            base, head = await git.head_of(pull.base_ref), await git.head_of(pull.head_ref)
            if base is None or head is None:
                raise Refusal(405, "Pull Request is not mergeable")
            if head != pull.head_sha:
                raise Refusal(409, "Head branch was modified. Review and try the merge again.")
            if method == "rebase":
                sha = await rebased(git, base, head, by)
            else:
                text = f"Merge pull request #{pull.number} from {row.account.login}/{pull.head_ref}\n\n{pull.title}\n"
                if method == "squash":
                    text = f"{title or pull.title} (#{pull.number})\n"
                make = merge_commit if method == "merge" else squash_commit
                sha = await make(git, base, head, text, by)
            if sha is None:
                raise Refusal(405, "Pull Request is not mergeable")
            await git.update_ref(f"refs/heads/{pull.base_ref}", sha, base)
            now = self._world.now()
            values = {"state": "closed", "merged": True, "merge_commit_sha": sha, "closed_at": now, "merged_by": login}
            self._world.store.set_pull(pull, now, **values)
        after = self._world.store.pull(row.id, pull.number) or pull
        self._tell("pull_request", "closed", row, login, after)
        if self._store.ways(row.id).delete_branch:
            await git.update_ref(f"refs/heads/{pull.head_ref}", None, pull.head_sha)
        await self._world.after_push(row)
        return sha

    def against_the_rule(self, pull: PullRow) -> str:
        """What the base's rule misses, as GitHub says it; "" when nothing."""
        rule = self._store.rule(pull.repository_id, pull.base_ref)
        if rule is None:
            return ""
        missing = []
        if self.decision(pull) == "CHANGES_REQUESTED":
            missing.append("Changes have been requested.")
        elif self.decision(pull) == "REVIEW_REQUIRED":
            reviews = "review is" if rule.approvals == 1 else "reviews are"
            missing.append(f"At least {rule.approvals} approving {reviews} required by reviewers with write access.")
        green = {
            one.name
            for one in self._store.checks(pull.repository_id, pull.head_sha)
            if one.conclusion in {"SUCCESS", "NEUTRAL", "SKIPPED"}
        }
        missing += [f'Required status check "{name}" is expected.' for name in rule.checks if name not in green]
        return " ".join(missing)

    def _tell(
        self, event: str, action: str, row: RepositoryRow, sender: str, pull: PullRow | None, **rows: object
    ) -> None:
        fresh = self._world.store.pull(row.id, pull.number) if pull is not None else None
        self._world.tell(Happening(event, action, row, sender or self._world.app_login, fresh or pull, dict(rows)))
