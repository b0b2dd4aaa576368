"""What of a turn concerns the branch: people's edits and merges before the agent works, undoing, the push after it.

Data: commits and files out of the agent's `Checkout` and to the host through `Publisher`, where to from the gateway;
an Answer, or what the next prompt has to say of it (`remarks`), back to the `TurnRunner`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from slackbot.core.errors import DevflowError
from slackbot.worker.checkout import Checkout
from slackbot.worker.editor import Editor
from slackbot.worker.gateway_client import Fenced, GatewayClient, ToldToStop, patiently
from slackbot.worker.logs import log
from slackbot.worker.merging import Merge, NotMerged, abandon_merge, begin_merge, check_resolved
from slackbot.worker.publish import Leave, Published, Publisher
from slackbot.worker.turn_texts import EDITED_MESSAGE, commit_message, edited_text, undo_message
from slackbot.worker.undo import undo
from slackbot.worker_protocol import Answer, Push, SessionInfo, TurnWork, UndoWork

AIM_SECONDS = 60.0
"""How long the gateway is asked where a turn's commits are to go."""
ANNOUNCE_SECONDS = 20.0
"""How long the gateway is told what is about to be pushed, before that is pushed all the same."""


class TurnBranch:
    """The checkout and the branch, as one turn after another finds and leaves them."""

    def __init__(
        self,
        info: SessionInfo,
        gateway: GatewayClient,
        checkout: Checkout,
        publisher: Publisher,
        redact: Callable[[str], str],
        editor: Editor | None,
    ) -> None:
        self._info = info
        self._gateway = gateway
        self._checkout = checkout
        self._publisher = publisher
        self._redact = redact
        self._editor = editor
        self.merge_begun: Merge | None = None
        self.merge_is_kept = False
        self.clean = True
        """Whether the last turn left nothing that is not pushed."""
        self._left = checkout.synced
        """The commit or tree of files that the last turn left."""
        self.remarks: list[str] = []
        """What happened to the checkout without the agent, for its next prompt."""

    async def unpushed_files(self) -> int:
        """How many files of the checkout are not on the branch. Looked at only where there may be some."""
        in_editor = self._editor is not None and self._editor.active_at is not None
        if self.clean and not in_editor:
            return 0
        try:
            return len(await self._checkout.changed_files(self._checkout.synced, await self._checkout.tree()))
        except DevflowError as error:
            log.info("unpushed_not_counted", why=error.summary)
            return 0

    async def note_what_is_left(self) -> None:
        """So that what people do in the editor from now on can be told from what the agent did."""
        try:
            self._left = await self._checkout.tree()
        except DevflowError as error:
            log.info("tree_not_noted", why=error.summary)

    async def merge(self, work: TurnWork, base: str) -> Answer | None:
        """The base in the checkout, with what git could not merge left to the agent; an answer where nothing is."""
        try:
            await self.aim()
            if self.merge_begun is not None:
                self.merge_begun = None
                await abandon_merge(self._checkout)
            await self._checkout.commit_leftovers("Save unfinished work before a merge")
            self._checkout.base = f"refs/heads/{base}"
            await self._publisher.catch_up()
            begun = await begin_merge(self._checkout, base, await self._checkout.base_head())
        except (Fenced, ToldToStop):
            raise
        except DevflowError as failure:
            log.warning("merge_failed", turn_id=work.turn_id, why=failure.summary)
            return failed(failure, "")
        if isinstance(begun, Merge):
            self.merge_begun = begun
            return None
        said = f"`{base}` is merged, without conflicts." if begun else f"The branch has all of `{base}` already."
        return await self.published(work, said, None)

    async def aim(self) -> None:
        """Where turns are kept apart until the pull request is opened: it may be open by now."""
        if self._info.push_ref is not None:
            deadline = time.monotonic() + AIM_SECONDS
            info = await patiently(self._gateway.session, deadline=deadline, what="session")
            self._checkout.remote_ref = info.push_ref or self._checkout.branch

    async def let_go_of_merge(self) -> None:
        """A turn that ended before its merge was resolved leaves none behind; the button begins it anew."""
        if self.merge_begun is None or self.merge_is_kept:
            return
        self.merge_begun = None
        try:
            await abandon_merge(self._checkout)
        except DevflowError as failure:
            log.warning("merge_not_abandoned", why=failure.summary)

    async def undo(self, work: TurnWork, wanted: UndoWork, leave: Leave) -> Answer:
        """Takes commits back without asking the agent, which hears of it with its next prompt."""
        try:
            await self.aim()
            self.remarks += filter(None, [await self.edits_of_people()])
            undone = await undo(self._checkout, self._publisher, wanted, undo_message(work, wanted), leave)
        except (Fenced, ToldToStop):
            raise
        except DevflowError as failure:
            log.warning("turn_not_undone", turn_id=work.turn_id, why=failure.summary)
            return failed(failure, "")
        response = "Unfinished work of an earlier prompt was committed first." if undone.saved else ""
        answer = Answer(outcome="answered", response=response)
        if undone.published is None:
            return answer
        self.remarks.append(
            f"Meanwhile a person had the commits {wanted.base_sha[:10]}..{wanted.commit_sha[:10]} undone by a new "
            f"commit ({undone.published.commit_sha[:10]}); the files in your checkout follow it."
        )
        return replace(answer, **facts_of(undone.published))

    async def edits_of_people(self) -> str:
        """Commits what was done in the editor since the last turn, apart from what the agent does now.

        Gives what the agent is to know of it, "" when there is nothing.
        """
        if self._editor is None or self._editor.active_at is None or self.merge_begun is not None:
            return ""
        names = await self._checkout.changed_files(self._left, await self._checkout.tree())
        if not names:
            return ""
        head, _ = await self._checkout.commit_leftovers(EDITED_MESSAGE)
        log.info("edits_committed", commit_sha=head, files=len(names))
        return edited_text(head, names)

    async def done_before(self, work: TurnWork) -> Answer | None:
        """The answer for what an earlier worker had pushed when its own answer was lost: nothing is done again."""
        found = await self._found_pushed(work)
        if found is None:
            return None
        log.info("turn_found_pushed", turn_id=work.turn_id, commit_sha=found.commit_sha)
        commit = found.commit_sha[:10]
        return Answer(
            outcome="answered",
            response=f"This was done already: the earlier try had pushed {commit} to {self._checkout.name} when "
            "its answer was lost with the worker. Nothing was done again; write what is still to do.",
            **facts_of(found),
        )

    async def _found_pushed(self, work: TurnWork) -> Published | None:
        """By what was announced, for an agent's own commits name no turn; else by the trailer of the worker's."""
        for push in work.pushes:
            found = await self._publisher.find_push(push.head_sha, push.base_sha)
            if found is not None:
                return found
        commit = await self._publisher.find_turn(work.retries) if work.retries else None
        return await self._publisher.stat(commit) if commit is not None else None

    async def _announce(self, turn_id: str, head_sha: str, base_sha: str) -> None:
        """Tells the gateway what is about to be pushed. A bot that is down does not keep it from being pushed."""
        push = Push(head_sha=head_sha, base_sha=base_sha)
        deadline = time.monotonic() + ANNOUNCE_SECONDS
        try:
            await patiently(lambda: self._gateway.pushing(turn_id, push), deadline=deadline, what="pushing")
        except (Fenced, ToldToStop):
            raise
        except DevflowError as error:
            log.warning("push_not_announced", turn_id=turn_id, why=error.summary)

    async def published(
        self, work: TurnWork, response: str, usage: dict[str, int] | None, leave: Leave | None = None
    ) -> Answer:
        """The answer once what the checkout holds is committed and pushed; what is in the way is said in it."""
        published: Published | None = None
        try:
            if self.merge_begun is not None:
                check_resolved(self._checkout, self.merge_begun)
            own = await self._checkout.head()
            head, nested = await self._checkout.commit_leftovers(commit_message(work, self._redact))
            left_out = self._checkout.left_out
            self.merge_begun = None
            await self.aim()
            # A commit of the worker's names its turn; those of the agent do not.
            announce = partial(self._announce, work.turn_id) if head == own else None
            published = await self._publisher.publish(head, leave, announce)
        except (Fenced, ToldToStop):
            raise
        except DevflowError as failure:
            log.warning("turn_not_published", turn_id=work.turn_id, why=failure.summary)
            self.merge_is_kept = isinstance(failure, NotMerged)
            return replace(failed(failure, response), usage=usage)
        if nested:
            response += f"\n\nNot committed, because they are git repositories of their own: {', '.join(nested)}."
        if left_out:
            response += f"\n\n{left_out}"
        answer = Answer(outcome="answered", response=response.strip(), usage=usage)
        return replace(answer, **facts_of(published)) if published is not None else answer


def facts_of(published: Published) -> dict[str, Any]:
    """What an Answer tells of a push."""
    return {
        "commit_sha": published.commit_sha,
        "base_sha": published.base_sha,
        "files_changed": published.files_changed,
        "additions": published.additions,
        "deletions": published.deletions,
    }


def failed(error: DevflowError, response: str, more: str = "") -> Answer:
    """What went wrong and what to do next (`more` between them), then what the agent had said by then."""
    sentence = " ".join(filter(None, (error.summary, more, error.remedy)))
    return Answer(outcome="failed", response=f"{sentence}\n\n{response}".strip())
