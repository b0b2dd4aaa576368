"""A session and its turns: the shape of everything DevFlow knows, and the questions one may ask of it.

Filled by `core.item` from the table and by `core.transitions`; read by everything. All values are frozen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from slackbot.core.pull_request_state import PullRequestState as PullRequestState
from slackbot.core.repository_name import RepositoryName
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


class Status(StrEnum):
    """`status` of the table."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"

    @property
    def is_live(self) -> bool:
        """Whether a task is, or is about to be, at work."""
        return self in (Status.STARTING, Status.RUNNING)


class TurnState(StrEnum):
    """`state` of an entry of `history`."""

    QUEUED = "queued"
    WORKING = "working"
    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_ended(self) -> bool:
        return self in (TurnState.ANSWERED, TurnState.FAILED, TurnState.CANCELLED)


class EndedBy(StrEnum):
    """Why a session is over. Decides what a later reply does: most ends it wakes from, the others keep it."""

    PERSON = "person"
    IDLE = "idle"
    AGE = "age"
    SHUTDOWN = "shutdown"
    SHARED = "shared"
    """People of another organisation read along in its channel."""
    ROOT_DELETED = "root_deleted"
    """Somebody took the first message of its thread away."""
    MERGED = "merged"
    FAILURE = "failure"

    @property
    def wakes_on_reply(self) -> bool:
        return self in (EndedBy.IDLE, EndedBy.AGE, EndedBy.SHUTDOWN, EndedBy.MERGED, EndedBy.SHARED)


@dataclass(frozen=True)
class Turn:
    """One prompt and what came of it: an entry of `history`. Times are Unix seconds."""

    turn_id: str
    """`channel_id:ts` of the prompt message or of the button press: the same one twice is one turn."""
    user_id: str
    prompt: str
    state: TurnState
    prompted_at: int
    response: str | None = None
    responded_at: int | None = None
    prompt_ts: str | None = None
    """The message that holds the prompt, and that carries its mark; absent for a button press."""
    prompt_file: str | None = None
    """The Slack file that holds the whole prompt, where no message does."""
    response_ts: str | None = None
    """The message that told the end of this turn. Absent on an ended turn = still owed."""
    held: bool = False
    """The worker has more of the answer than could be stored, and brings it until it stands in the thread."""
    told_by: str | None = None
    """The notice that tells the end of this turn together with others."""
    claimed_launch: int | None = None
    claimed_at: int | None = None
    cancelled_by: str | None = None
    cancelled_at: int | None = None
    joined_to: str | None = None
    """`turn_id` of the turn this one was worked on together with, and whose message tells its end."""
    hurried_at: int | None = None
    """When somebody wanted this waiting prompt now, before those that waited longer."""
    context: tuple[str, ...] = ()
    """What people said to each other before this prompt; goes to the agent as untrusted context."""
    commit_sha: str | None = None
    files_changed: int | None = None
    additions: int | None = None
    deletions: int | None = None
    usage: Mapping[str, int] | None = None
    steps: tuple[Mapping[str, str], ...] = ()
    shortened: bool = False
    base_sha: str | None = None
    """What the branch stood at before this turn's commits."""
    undoes: str | None = None
    """`turn_id` of the turn whose commits this one takes back; absent = a prompt for the agent."""
    files: tuple[Mapping[str, str | int], ...] = ()
    """What people attached to the prompt: `file_id`, `name`, `size_bytes`."""
    shown: tuple[Mapping[str, str | int], ...] = ()
    """Files the agent showed: `digest`, `name`, `file_id`, and `shared_at` once the thread has it."""
    waited_seconds: int = 0
    """How long the turn waited for answers to what the agent asked leave for."""
    pushing: Mapping[str, str] | None = None
    """`head_sha` and `base_sha` of the push its worker was about to make; gone once the turn ended well."""
    purpose: str | None = None
    """What of the pull request it is about: fix_checks, address_review or resolve_conflicts; absent on a prompt."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lease:
    """Which replica performs what is owed, and until when."""

    owner: str
    until: int
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Notice:
    """A sentence the thread is still owed. `kind` picks the text in views; `values` fill it."""

    notice_id: str
    kind: str
    at: int
    values: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Thread:
    """Where in Slack the session lives: attribute `slack`."""

    team_id: str
    channel_id: str
    thread_ts: str
    status_ts: str | None = None
    """The card: the root itself where DevFlow began the thread, else a reply."""
    card: str | None = None
    """`card_key` of what the card shows; absent = nothing yet."""
    notices: tuple[Notice, ...] = ()
    lost: str | None = None
    """Why nothing can be posted any more (channel archived, bot removed); absent = all is well."""
    listen: str | None = None
    """Which replies are prompts: `all`, or `mentions`; absent = as `core.listening` says of such a thread."""
    language: str | None = None
    """What the thread is written in: the owner's language, by Slack's locale (`ja`); absent = English."""
    frozen_at: int | None = None
    """When people of another organisation were found to read along: nothing is told here until they are gone."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_direct(self) -> bool:
        """Whether this is a direct message, where one person speaks with the bot.

        https://docs.slack.dev/reference/objects/conversation-object
        """
        return self.channel_id.startswith("D")


@dataclass(frozen=True)
class TaskState:
    """What is known of the session's latest task: attribute `task`. Words are ECS's own."""

    last_status: str | None = None
    stop_code: str | None = None
    stopped_reason: str | None = None
    exit_code: int | None = None
    ready_at: int | None = None
    alive_at: int | None = None
    asked_at: int | None = None
    """When the task's system took the request: a task it does not know so soon after that may still appear."""
    log_url: str | None = None
    editor_address: str | None = None
    """host:port of the worker's door, where the gateway reaches its editor."""
    editor_links: tuple[str, ...] = ()
    """Links to the editor that were used up: `expires_at:nonce`, until they would have ended anyway."""
    unpushed_files: int | None = None
    """How many files the worker's checkout has that are not on the branch; absent = none."""
    edited_at: int | None = None
    """When somebody was last seen to work in the editor."""
    failed_launches: int = 0
    """Launches just before this one that passing faults ended before the worker was ready."""
    launch_fault: str | None = None
    """What the last of them died of."""
    delayed_by: str | None = None
    """Why the branch or the task cannot be made just now; absent once the task is there."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Branch:
    """What was done about the working branch: attribute `branch`."""

    base_sha: str | None = None
    """The commit it was made at; absent = not made (or deleted again, being empty)."""
    attempts: int = 0
    """How many names were found taken."""
    tidied_launch: int | None = None
    """The launch after which it was looked at and kept."""
    ref: str | None = None
    """`refs/devflow/...`, where the commits are kept instead until the pull request is opened; absent = the branch."""
    pushed: bool = False
    """Whether what `ref` keeps was brought to the branch."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Permission:
    """What the agent asks leave for, in one turn: an entry of `permissions`. Times are Unix seconds."""

    permission_id: str
    turn_id: str
    title: str
    """The agent's own words for the tool call."""
    options: tuple[Mapping[str, str], ...]
    """What may be answered: `option_id` (the agent's, opaque), `name` (the label), `kind` (ACP's)."""
    asked_at: int
    expires_at: int
    """No answer by then means no."""
    kind: str | None = None
    """ACP's kind of the tool call: read, edit, execute ..."""
    detail: str | None = None
    """The command, or the change as a diff."""
    is_diff: bool = False
    shortened: bool = False
    message_ts: str | None = None
    outcome: str | None = None
    """`selected`, `timed_out` or `cancelled`; absent = nobody has answered yet."""
    option_id: str | None = None
    answered_by: str | None = None
    settled_at: int | None = None
    told: bool = False
    """The message says how it ended."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How the session ended: attribute `ended`."""

    by: EndedBy
    at: int
    user_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


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
        return next(
            (turn for turn in self.history if turn.state is TurnState.WORKING and turn.joined_to is None),
            None,
        )

    @property
    def waiting_turns(self) -> tuple[Turn, ...]:
        return tuple(turn for turn in self.history if turn.state is TurnState.QUEUED)

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
        return next((each for each in self.permissions if each.outcome is None), None)

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
        ended = [turn for turn in self.history if turn.state.is_ended and turn.told_by != WITHDRAWN]
        told = [turn for turn in ended if turn.response_ts == message_ts] if message_ts else []
        if told:
            answered = {(turn.prompt_ts, turn.prompt) for turn in ended if turn.state is TurnState.ANSWERED}
            left = [turn for turn in told if (turn.prompt_ts, turn.prompt) not in answered]
            return left[-1] if left else None
        last = ended[-1] if ended else None
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


def derive_session_id(team_id: str, channel_id: str, thread_ts: str) -> str:
    """The id of a thread's session, in UUID v4 form: the same thread always has the same one."""
    digest = bytearray(hashlib.sha256(f"{team_id}:{channel_id}:{thread_ts}".encode()).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x40
    digest[8] = (digest[8] & 0x3F) | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def card_key(session: Session) -> str:
    """A short fingerprint of all that the card shows; the card is owed an update when it differs."""
    working = session.working_turn
    facts = (
        session.status,
        session.repository.full_name,
        session.branch_name,
        session.branch.base_sha is not None,
        session.base_branch,
        session.user_id,
        session.agent,
        session.thread.listen,
        session.open_permission.permission_id if session.open_permission else None,
        session.model,
        session.mode,
        session.task.last_status,
        session.task.stop_code,
        session.task.stopped_reason,
        session.task.log_url,
        session.task.failed_launches,
        session.task.launch_fault,
        session.task.delayed_by,
        session.task.unpushed_files,
        session.pr_number,
        session.pr_url,
        session.pull_request.state,
        session.pull_request.requested_at,
        session.editor_url,
        session.error_message,
        session.error_remedy,
        session.ended.by if session.ended else None,
        session.ended.user_id if session.ended else None,
        working.turn_id if working else None,
        bool(working and working.cancelled_at),
        [(turn.turn_id, turn.prompt[:200]) for turn in session.waiting_turns],
        sum(turn.state is TurnState.WORKING for turn in session.history),
        session.retryable_turn() is not None,
        any(turn.commit_sha for turn in session.history),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
