"""The ports: what the engine needs of the outside, in the engine's own words.

Adapters implement these protocols (that of the code host stands in `code_host.py`); `tests/contract` holds
one suite for each. Every method may raise `TemporaryError` (worth repeating) or `PermanentError` (not worth
it) of `core.errors`; no exception of an SDK crosses a port.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from slackbot.core.attachments import Attached
from slackbot.core.code_host import (
    AccessToken as AccessToken,
)
from slackbot.core.code_host import (
    BranchRef as BranchRef,
)
from slackbot.core.code_host import (
    BranchTaken as BranchTaken,
)
from slackbot.core.code_host import (
    ChangedFile as ChangedFile,
)
from slackbot.core.code_host import (
    CheckDetails as CheckDetails,
)
from slackbot.core.code_host import (
    CheckRun as CheckRun,
)
from slackbot.core.code_host import (
    CodeHost as CodeHost,
)
from slackbot.core.code_host import (
    Comparison as Comparison,
)
from slackbot.core.code_host import (
    MergeOptions as MergeOptions,
)
from slackbot.core.code_host import (
    PullRequest as PullRequest,
)
from slackbot.core.code_host import (
    PullRequestSnapshot as PullRequestSnapshot,
)
from slackbot.core.code_host import (
    Repository as Repository,
)
from slackbot.core.code_host import (
    Review as Review,
)
from slackbot.core.code_host import (
    ReviewComment as ReviewComment,
)
from slackbot.core.code_host import (
    ReviewThread as ReviewThread,
)

Item = dict[str, Any]
"""A session as the table holds it: attribute names of docs/table.md, numbers as int, no None anywhere."""

Blocks = list[dict[str, Any]]


# --------------------------------------------------------------------------------------------- store


@dataclass(frozen=True)
class IndexEntry:
    """What the index projects of one session; enough for a list and for the reconciler."""

    session_id: str
    user_id: str
    created_at: int
    updated_at: int
    status: str
    ttl: int
    repository_owner: str
    repository_name: str
    branch_name: str
    launch: int = 0
    due_at: int | None = None
    pr_number: int | None = None
    pr_url: str | None = None


@dataclass(frozen=True)
class Page:
    """One page of a person's sessions, newest first; `cursor` is None on the last one."""

    entries: tuple[IndexEntry, ...]
    cursor: str | None


class SessionStore(Protocol):
    """Sessions as items, each write conditional. An item whose `ttl` has passed is absent for every read."""

    async def get(self, session_id: str, now: int) -> Item | None:
        """The item, read strongly, or None when it is absent or expired at `now`."""
        ...

    async def create(self, item: Item, now: int) -> bool:
        """Stores `item` when no unexpired item has its `session_id`; False when one has. Durable on return."""
        ...

    async def replace(self, item: Item, expected_write_version: int) -> bool:
        """Stores `item` over the one whose `write_version` is `expected_write_version`.

        False when that one is gone or was written meanwhile (a lost race: load and decide again).
        Durable on return.
        """
        ...

    async def delete(self, session_id: str, expected_write_version: int) -> bool:
        """Removes the item under the same condition as `replace`."""
        ...

    async def list_by_user(self, user_id: str, now: int, limit: int, cursor: str | None = None) -> Page:
        """A person's sessions, newest first, `limit` (1 to 100) a page. A foreign cursor is a `UsageError`."""
        ...

    def scan(self, now: int, *, due_by: int | None = None, live: bool = False) -> AsyncIterator[IndexEntry]:
        """Unexpired sessions: those whose `due_at` is at most `due_by`, those `starting` or `running`, or both.

        With neither argument: all.
        """
        ...

    async def close(self) -> None: ...


# --------------------------------------------------------------------------------------------- tasks


@dataclass(frozen=True)
class TaskRequest:
    """One launch of a session's worker. The same `client_token` twice is one task."""

    session_id: str
    launch: int
    client_token: str
    environment: Mapping[str, str] = field(default_factory=dict)
    task_definition: str | None = None
    """Family, or family:revision, in place of the deployment's; a system without such things ignores it."""
    cpu: str | None = None
    """CPU units, in place of the task definition's."""
    memory: str | None = None
    """MiB, in place of the task definition's."""


@dataclass(frozen=True)
class TaskObservation:
    """One task as its system describes it, in ECS's words (foreign vocabulary stays `str`).

    `last_status`: PROVISIONING PENDING ACTIVATING RUNNING DEACTIVATING STOPPING DEPROVISIONING STOPPED,
    or MISSING when the system does not know the task.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
    """

    task_arn: str
    last_status: str
    session_id: str | None = None
    launch: int | None = None
    cluster_arn: str | None = None
    task_definition_arn: str | None = None
    stop_code: str | None = None
    stopped_reason: str | None = None
    exit_code: int | None = None
    health_status: str | None = None
    started_at: int | None = None
    log_url: str | None = None
    """A web page with what the worker wrote, where the system has one."""


class Tasks(Protocol):
    """Runs workers: Amazon ECS, or processes of this machine."""

    async def run_task(self, request: TaskRequest) -> TaskObservation:
        """Starts the task, or finds the one that this `client_token` started before."""
        ...

    async def describe_tasks(self, task_arns: Sequence[str]) -> dict[str, TaskObservation]:
        """Each task asked for, by arn; one that is unknown has `last_status` MISSING."""
        ...

    async def stop_task(self, task_arn: str, reason: str) -> None:
        """Asks the task to stop (SIGTERM, 30 s, SIGKILL). Harmless when it is stopped or unknown."""
        ...

    async def list_tasks(self) -> list[TaskObservation]:
        """Every task of this deployment that has not stopped, whoever started it."""
        ...

    async def close(self) -> None: ...


# ---------------------------------------------------------------------------------------------- chat


@dataclass(frozen=True)
class Message:
    """One message of a thread, as far as DevFlow reads it. `text` is as Slack stores it (escaped)."""

    ts: str
    user_id: str | None
    text: str
    bot_id: str | None = None
    thread_ts: str | None = None
    metadata: Mapping[str, Any] | None = None
    subtype: str | None = None
    files: tuple[Attached, ...] = ()


@dataclass(frozen=True)
class Person:
    """A person as Slack describes them; what access is decided on."""

    user_id: str
    name: str
    team_id: str | None
    is_bot: bool = False
    is_guest: bool = False
    is_stranger: bool = False
    deleted: bool = False
    locale: str | None = None
    """Slack's word for the language they use Slack in (`en-GB`, `ja-JP`), where it says."""


@dataclass(frozen=True)
class Channel:
    """A channel as Slack describes it; what access is decided on."""

    channel_id: str
    name: str | None
    is_member: bool
    is_shared_outside: bool = False
    is_archived: bool = False
    is_direct: bool = False


@dataclass(frozen=True)
class Metadata:
    """Message metadata: readable by every member of the workspace, so never a secret."""

    event_type: str
    event_payload: Mapping[str, str | int]


class Chat(Protocol):
    """Slack's Web API, as far as the engine needs it. Posts are never repeated by the client itself."""

    async def post_message(
        self,
        channel_id: str,
        *,
        text: str,
        blocks: Blocks | None = None,
        thread_ts: str | None = None,
        metadata: Metadata | None = None,
    ) -> str:
        """Posts and returns the `ts`. A `TemporaryError` with `outcome_unknown` means: look before repeating."""
        ...

    async def update_message(
        self,
        channel_id: str,
        ts: str,
        *,
        text: str,
        blocks: Blocks | None = None,
        metadata: Metadata | None = None,
    ) -> None: ...

    async def delete_message(self, channel_id: str, ts: str) -> None:
        """Harmless when the message is gone."""
        ...

    async def post_ephemeral(
        self,
        channel_id: str,
        user_id: str,
        *,
        text: str,
        blocks: Blocks | None = None,
        thread_ts: str | None = None,
    ) -> None: ...

    async def add_reaction(self, channel_id: str, ts: str, name: str) -> None:
        """Harmless when it is there, or the message is gone."""
        ...

    async def remove_reaction(self, channel_id: str, ts: str, name: str) -> None:
        """Harmless when it is not there, or the message is gone."""
        ...

    async def find_messages(
        self, channel_id: str, thread_ts: str, *, event_type: str, oldest: str | None = None
    ) -> list[Message]:
        """The bot's own messages of the thread (root included) with metadata of `event_type`, oldest first."""
        ...

    async def get_message(self, channel_id: str, thread_ts: str, ts: str) -> Message | None:
        """One message of a thread (`ts == thread_ts` is the root), with its metadata."""
        ...

    async def list_replies(
        self, channel_id: str, thread_ts: str, *, oldest: str | None = None, limit: int = 200
    ) -> list[Message]:
        """The last `limit` messages of a thread, everybody's, root first; those since `oldest` where it is given.

        The root is always among them while it stands; nothing when the thread is gone.
        """
        ...

    async def publish_home(self, user_id: str, view: Mapping[str, Any]) -> None:
        """Shows the app's Home tab to this person: a view of type `home`, in place of the one before."""
        ...

    async def upload_file(self, channel_id: str, thread_ts: str, *, filename: str, title: str, content: str) -> str:
        """Uploads a text file into the thread and returns its file id."""
        ...

    async def read_file(self, file_id: str, limit_bytes: int) -> str:
        """The text of a file, `limit_bytes` at most."""
        ...

    def stream_file(self, file_id: str, limit_bytes: int) -> AsyncIterator[bytes]:
        """The bytes of a file, piece by piece. `PermanentError` as soon as it shows that there are more than
        `limit_bytes`, or that what came is not the file; `NotFound` when it is gone."""
        ...

    async def upload_bytes(self, filename: str, content: bytes) -> str:
        """Hands `content` (not empty) over and returns the file's id; nobody sees it until it is shared."""
        ...

    async def share_file(
        self, channel_id: str, thread_ts: str, file_id: str, *, title: str, look_first: bool = False
    ) -> None:
        """Shows a file of `upload_bytes` in the thread. `look_first`: it may have been shared there already."""
        ...

    async def open_modal(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        """Opens a modal for the person whose press gave `trigger_id` (good for 3 s, once); returns its view id."""
        ...

    async def update_modal(self, view_id: str, view: Mapping[str, Any]) -> None:
        """Shows `view` in a modal that is open. `NotFound` when the person has closed it."""
        ...

    async def get_person(self, user_id: str) -> Person:
        """Cached for some minutes."""
        ...

    async def get_channel(self, channel_id: str) -> Channel:
        """Cached for a minute. `NotFound` when the bot cannot see it."""
        ...

    def forget_channel(self, channel_id: str) -> None:
        """Something happened to the channel: the next question about it is asked afresh."""
        ...

    async def user_group_members(self, user_group_id: str) -> frozenset[str]:
        """The members of a user group (`S...`); cached for some minutes."""
        ...

    async def get_permalink(self, channel_id: str, ts: str) -> str | None: ...

    async def close(self) -> None: ...
