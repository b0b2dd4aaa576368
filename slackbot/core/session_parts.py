"""What a session consists of: its turns, thread, task, branch, and how it ended; each is an attribute of the item.

Held by `core.session.Session`, which the others import these from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """`status` of the table."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"

    is_live: bool
    """Whether a task is, or is about to be, at work."""

    def __init__(self, value: str) -> None:
        self.is_live = value in ("starting", "running")


class TurnState(StrEnum):
    """`state` of an entry of `history`."""

    QUEUED = "queued"
    WORKING = "working"
    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"

    is_ended: bool
    """Whether nothing more comes of the turn."""

    def __init__(self, value: str) -> None:
        self.is_ended = value in ("answered", "failed", "cancelled")


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
