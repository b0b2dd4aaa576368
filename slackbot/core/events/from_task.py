"""What the task, the worker and its models did, made by the performer, the gateway and the reconciler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slackbot.core.events.event import Event
from slackbot.core.ports import TaskObservation
from slackbot.core.session import TurnState
from slackbot.core.spending import Counted, Reached, SpendingLimits


@dataclass(frozen=True)
class TaskStarted(Event):
    """RunTask answered."""

    launch: int
    task: TaskObservation


@dataclass(frozen=True)
class LaunchFailed(Event):
    """The branch or the task could not be made, and would not be by trying again."""

    launch: int
    summary: str
    remedy: str = ""


@dataclass(frozen=True)
class LaunchDelayed(Event):
    """The branch or the task could not be made just now; it is tried again."""

    launch: int
    summary: str


@dataclass(frozen=True)
class TaskObserved(Event):
    launch: int
    task: TaskObservation


@dataclass(frozen=True)
class WorkerReady(Event):
    """`editor_url`: where people reach its editor; `editor_address`: host:port where the gateway does."""

    launch: int
    editor_url: str | None = None
    editor_address: str | None = None


@dataclass(frozen=True)
class WorkerHeard(Event):
    """The worker called; stored at most once a minute. `in_editor`: somebody works in the editor."""

    launch: int
    in_editor: bool = False
    unpushed_files: int | None = None
    """Files that are changed in its checkout and not on the branch; None = it did not say."""


@dataclass(frozen=True)
class WorkerLeft(Event):
    launch: int
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class TurnClaimed(Event):
    launch: int
    turn_id: str


@dataclass(frozen=True)
class TurnEnded(Event):
    """The worker answered. `held`: it has more of the answer than `response`, and waits until the thread has it."""

    launch: int
    turn_id: str
    state: TurnState
    response: str
    commit_sha: str | None = None
    files_changed: int | None = None
    additions: int | None = None
    deletions: int | None = None
    usage: Mapping[str, int] | None = None
    steps: tuple[Mapping[str, str], ...] = ()
    shortened: bool = False
    held: bool = False
    base_sha: str | None = None


@dataclass(frozen=True)
class PermissionAsked(Event):
    """The agent asks leave, and waits `wait_seconds` for an answer. The same `permission_id` twice is one question."""

    launch: int
    turn_id: str
    permission_id: str
    title: str
    options: tuple[Mapping[str, str], ...]
    wait_seconds: int
    kind: str = ""
    detail: str = ""
    is_diff: bool = False
    shortened: bool = False


@dataclass(frozen=True)
class PushBegun(Event):
    """The worker is about to bring the branch from `base_sha` to `head_sha`: should it die now, its commits tell."""

    launch: int
    turn_id: str
    head_sha: str
    base_sha: str


@dataclass(frozen=True)
class FileTaken(Event):
    """A file the agent shows is with Slack, where nobody sees it yet."""

    launch: int
    turn_id: str
    digest: str
    name: str
    file_id: str


@dataclass(frozen=True)
class FileShared(Event):
    """The thread has the file."""

    launch: int
    turn_id: str
    digest: str


@dataclass(frozen=True)
class ModelsUsed(Event):
    """What calls of models used since this was last told: (turn id or "", provider/model, counts).

    `reached`: limits beyond the session, which the ledger of the month found used to 80 % or more. Names no launch:
    what an older worker used was used.
    """

    used: tuple[tuple[str, str, Counted], ...]
    limits: SpendingLimits = field(default_factory=SpendingLimits)
    reached: tuple[Reached, ...] = ()


@dataclass(frozen=True)
class SpendingExtended(Event):
    """An administrator grants the session's limits once more, or (`scopes`) those of the month, kept in the ledger."""

    user_id: str
    session_too: bool = True
    scopes: tuple[str, ...] = ()
    request_id: str | None = None
