"""A session and its turns: the shape of everything DevFlow knows, and the questions one may ask of it.

Filled by `core.item` from the table and by `core.transitions`; read by everything. All values are frozen.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slackbot.core.pull_request_state import PullRequestState as PullRequestState
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session_parts import Branch as Branch
from slackbot.core.session_parts import Ended as Ended
from slackbot.core.session_parts import EndedBy as EndedBy
from slackbot.core.session_parts import Lease as Lease
from slackbot.core.session_parts import Notice as Notice
from slackbot.core.session_parts import Permission as Permission
from slackbot.core.session_parts import Status as Status
from slackbot.core.session_parts import TaskState as TaskState
from slackbot.core.session_parts import Thread as Thread
from slackbot.core.session_parts import Turn as Turn
from slackbot.core.session_parts import TurnState as TurnState
from slackbot.core.spending import Spending
from slackbot.core.staying import Stay
from slackbot.core.values import replace

TTL_SECONDS = 24 * 3600
"""An item may be removed this long after it was created or last updated."""

WITHDRAWN = "deleted"
"""`told_by` of a turn whose message was deleted before the agent began: nobody needs to be told."""

MAX_HEARD = 40
"""Words and presses that are remembered. Slack delivers an event again for some minutes at most.
https://docs.slack.dev/apis/events-api#retries"""

MAX_WAITING_TURNS = 10
"""More prompts than these do not wait in one session; the person is told to wait."""


@dataclass(frozen=True)
class Session:
    """One thread, one working branch, one task at a time: one item of `devflow-sessions`."""

    session_id: str
    user_id: str
    repository: RepositoryName
    repository_url: str
    branch_name: str
    status: Status
    initial_prompt: str
    github_installation_id: int
    created_at: int
    updated_at: int
    ttl: int
    base_branch: str
    agent: str
    thread: Thread
    launch: int
    """Milliseconds; greater with every launch, so that no token of an older one is ever right again."""
    history: tuple[Turn, ...] = ()
    write_version: int = 0
    due_at: int | None = None
    lease: Lease | None = None
    ecs_cluster_arn: str | None = None
    ecs_task_arn: str | None = None
    ecs_task_definition_arn: str | None = None
    pr_number: int | None = None
    pr_url: str | None = None
    editor_url: str | None = None
    model: str | None = None
    """Which model the agent is to use; absent = its own choice."""
    mode: str | None = None
    """Which of the agent's modes is set; absent = the best one that needs nobody's yes."""
    error_message: str | None = None
    error_remedy: str | None = None
    task: TaskState = field(default_factory=TaskState)
    branch: Branch = field(default_factory=Branch)
    pull_request: PullRequestState = field(default_factory=PullRequestState)
    spending: Spending = field(default_factory=Spending)
    stay: Stay = field(default_factory=Stay)
    ended: Ended | None = None
    asides: tuple[str, ...] = ()
    aside_files: tuple[Mapping[str, str | int], ...] = ()
    """What was attached to them: `file_id`, `name`, `size_bytes`; goes along with the next prompt."""
    permissions: tuple[Permission, ...] = ()
    """What the agent asks leave for, until it was answered and the thread says so."""
    heard: tuple[str, ...] = ()
    """`request_id` of the latest words and presses that were carried out: the same one again changes nothing."""
    forgotten_by: str | None = None
    """Who asked that this session be forgotten: it is about to be removed."""
    dropped_ts: str | None = None
    """`prompt_ts` of the newest turn that left `history`: an older message is never taken for a new one."""
    dropped_user_ids: tuple[str, ...] = ()
    """Whose prompts, not cancelled, were among the turns that left: the work is theirs as well."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    # ------------------------------------------------------------------------------ questions

    @property
    def launched_at(self) -> int:
        """Unix seconds of the latest launch."""
        return self.launch // 1000

    @property
    def language(self) -> str:
        """The language of what stands in the thread."""
        return self.thread.language or "en"

    @property
    def working_turn(self) -> Turn | None:
        for turn in self.history:
            if turn.state is TurnState.WORKING and turn.joined_to is None:
                return turn
        return None

    @property
    def waiting_turns(self) -> tuple[Turn, ...]:
        return tuple([turn for turn in self.history if turn.state is TurnState.QUEUED])

    @property
    def is_busy(self) -> bool:
        """Whether a prompt is worked on, or waits."""
        for turn in reversed(self.history):
            if turn.state is TurnState.QUEUED or (turn.state is TurnState.WORKING and turn.joined_to is None):
                return True
        return False

    @property
    def last_activity_at(self) -> int:
        """When somebody or something last worked here; idleness counts from it."""
        moments = [self.launched_at, self.task.ready_at or 0, self.task.edited_at or 0]
        for turn in self.history:
            moments.append(turn.responded_at or turn.prompted_at)
        return max(moments)

    @property
    def last_prompt_at(self) -> int:
        """When somebody last asked for something, or began the session again."""
        return max(self.launched_at, *(turn.prompted_at for turn in self.history), 0)

    @property
    def has_open_pull_request(self) -> bool:
        return self.pr_number is not None and self.pull_request.state == "open"

    @property
    def open_permission(self) -> Permission | None:
        """The question of the agent that waits for somebody's answer."""
        return next((each for each in self.permissions if each.outcome is None), None) if self.permissions else None

    def permission(self, permission_id: str) -> Permission | None:
        return next((each for each in self.permissions if each.permission_id == permission_id), None)

    @property
    def has_branch(self) -> bool:
        """Whether the working branch is on the code host: it may be kept on a ref of the session's own until later."""
        return self.branch.base_sha is not None and (self.branch.ref is None or self.branch.pushed)

    @property
    def push_ref(self) -> str:
        """Where the commits of the next turn go, as a full ref name."""
        if self.branch.ref is not None and not self.branch.pushed:
            return self.branch.ref
        return f"refs/heads/{self.branch_name}"

    def turn(self, turn_id: str) -> Turn | None:
        return next((turn for turn in self.history if turn.turn_id == turn_id), None)

    def turn_of_message(self, message_ts: str) -> Turn | None:
        """The latest turn whose prompt stands in this message."""
        return next((turn for turn in reversed(self.history) if turn.prompt_ts == message_ts), None)

    def retryable_turn(self, message_ts: str | None = None) -> Turn | None:
        """What Retry runs again: the last turn, where it failed or was cancelled.

        Under a message (`message_ts`) that tells how turns ended it is the last of those whose prompt was not answered
        since: several prompts may be kept, each with its own Retry.
        """
        if message_ts is not None:
            ended = [turn for turn in self.history if turn.state.is_ended and turn.told_by != WITHDRAWN]
            told = [turn for turn in ended if turn.response_ts == message_ts]
            if told:
                answered = {(turn.prompt_ts, turn.prompt) for turn in ended if turn.state is TurnState.ANSWERED}
                left = [turn for turn in told if (turn.prompt_ts, turn.prompt) not in answered]
                return left[-1] if left else None
        backwards = (turn for turn in reversed(self.history) if turn.state.is_ended and turn.told_by != WITHDRAWN)
        last = next(backwards, None)
        return last if last and last.state is not TurnState.ANSWERED else None

    def with_turn(self, changed: Turn) -> Session:
        """The same session with one turn exchanged."""
        return replace(
            self, history=tuple(changed if turn.turn_id == changed.turn_id else turn for turn in self.history)
        )


def tried_before(session: Session, turn: Turn) -> tuple[Turn, ...]:
    """The turns that `turn` tries again: of the same prompt, claimed by an earlier launch, of unknown end."""
    return tuple(
        other
        for other in session.history
        if other.turn_id != turn.turn_id
        and (other.prompt_ts, other.prompt) == (turn.prompt_ts, turn.prompt)
        and other.state is TurnState.FAILED
        and other.commit_sha is None
        and other.claimed_launch is not None
        and other.claimed_launch < session.launch
    )


@functools.lru_cache(maxsize=4096)
def derive_session_id(team_id: str, channel_id: str, thread_ts: str) -> str:
    """The id of a thread's session, in UUID v4 form: the same thread always has the same one."""
    digest = bytearray(hashlib.sha256(f"{team_id}:{channel_id}:{thread_ts}".encode()).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x40
    digest[8] = (digest[8] & 0x3F) | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
