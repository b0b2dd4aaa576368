"""The messages between gateway and worker (docs/worker-protocol.md). Both import this; it imports neither.

JSON over HTTP with `Authorization: Bearer <worker token>`. Every call is safe to repeat. Unknown fields are
ignored on both sides, so that a newer bot and an older worker understand each other.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, TypeVar

import msgspec

SESSION_PATH = "/worker/v1/session"
READY_PATH = "/worker/v1/ready"
NEXT_TURN_PATH = "/worker/v1/turns/next"
TURN_PATH = "/worker/v1/turns/{turn_id}"
PROGRESS_PATH = TURN_PATH + "/progress"
CANCEL_PATH = TURN_PATH + "/cancel"
ANSWER_PATH = TURN_PATH + "/answer"
PERMISSION_PATH = TURN_PATH + "/permission"
FILE_PATH = TURN_PATH + "/files/{number}"
PUSHING_PATH = TURN_PATH + "/pushing"
SHOWN_PATH = TURN_PATH + "/shown"
GITHUB_TOKEN_PATH = "/worker/v1/github-token"  # noqa: S105  a path, not a token
STAY_PATH = "/worker/v1/stay"
LEAVING_PATH = "/worker/v1/leaving"
MODELS_PATH = "/worker/v1/models/{provider}/{path:.*}"

LONG_POLL_SECONDS = 25.0
"""How long `turns/next` waits before it answers 204."""

PROGRESS_SECONDS = 5.0
"""A worker that works on a turn reports at least this often, also when there is nothing new."""

MAX_BODY_BYTES = 4 * 1024 * 1024
"""The largest request body the gateway reads."""

MAX_RESPONSE_BYTES = 1024 * 1024
"""The longest response a worker sends whole; a longer one is cut by the worker, head and tail kept."""


MAX_PERMISSION_DETAIL_BYTES = 4 * 1024
"""What is shown of a command or a diff that the agent asks leave for."""

MAX_FILE_BYTES = 20 * 1024 * 1024
"""The largest file that people attach to a prompt, or that the agent shows."""


Seconds = Annotated[int, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
ObjectName = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{40,64}\Z")]
"""Of a commit, whole (https://git-scm.com/docs/gitglossary#def_object_name)."""


class WireModel(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable, and deaf to fields it does not know. Checked where it is read, not where it is made."""

    secret_fields: ClassVar[frozenset[str]] = frozenset()
    """Not shown by repr."""

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in self.secret_fields)
        return f"{type(self).__name__}({', '.join(shown)})"


_Message = TypeVar("_Message", bound=WireModel)


class Unreadable(ValueError):
    """Not the message that was expected; `place` is the field that is wrong, "body" where it is the whole."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


def written(message: WireModel) -> bytes:
    """The message as JSON."""
    return msgspec.json.encode(message)


def read(text: bytes, kind: type[_Message]) -> _Message:
    """The message in `text`, JSON; Unreadable when it is not one."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (ValueError, RecursionError) as error:  # msgspec's own errors, and those of text that is not UTF-8
        raise Unreadable(_place(str(error) if isinstance(error, msgspec.ValidationError) else "")) from error


def _place(said: str) -> str:
    """Of "Object missing required field `b` - at `$.a[0]`": `a[0].b`. What was found there is not repeated."""
    at = re.search(r" - at `\$\.?(.*)`\Z", said)
    missing = re.match(r"Object missing required field `(.*?)`", said)
    return ".".join(part[1] for part in (at, missing) if part and part[1]) or "body"


class EarlierTurn(WireModel, frozen=True, kw_only=True):
    """A turn that ended before this worker began; context for a fresh agent."""

    prompt: str
    response: str = ""


class SessionInfo(WireModel, frozen=True, kw_only=True):
    """Answer to GET session: what to check out, and how to work."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"editor_secret"})
    session_id: str
    repository_owner: str
    repository_name: str
    clone_url: str
    """https (http for a stand-in), never with credentials in it."""
    branch_name: str
    push_ref: str | None = None
    """The full ref that keeps the session's commits on the host just now; None = the branch itself, always."""
    base_branch: str
    agent: str
    """`shell`, a known agent's name, or a command line that speaks ACP."""
    model: str | None = None
    """Which model the agent is to use; None = its own choice."""
    mode: str | None = None
    """Which of the agent's modes to set; None = the best one that needs nobody's yes."""
    model_providers: tuple[str, ...] = ()
    """The providers that the gateway passes requests on to: `anthropic`, `openai`, `gemini`, `bedrock`."""
    committer_name: str
    committer_email: str
    earlier_turns: tuple[EarlierTurn, ...] = ()
    idle_seconds: Seconds
    turn_seconds: Seconds
    max_session_seconds: Seconds
    permissions: str = "all"
    """What the agent may do unasked: `ask` (nothing it asks leave for), `edits` (reading and editing), `all`."""
    editor_secret: str | None = None
    """What the gateway shows at the door of this launch's web editor; None = no public address, so no editor."""


class Ready(WireModel, frozen=True, kw_only=True):
    """POST ready: checked out and the agent answered `initialize`."""

    editor_port: Port | None = None
    """Where the worker's door to its web editor listens; the host is the one this call comes from."""


class NextTurn(WireModel, frozen=True, kw_only=True):
    """POST turns/next: what the worker has seen meanwhile."""

    in_editor: bool = False
    """Somebody worked in the web editor within the last minutes."""
    unpushed_files: Count = 0
    """Files that are changed in the checkout and not on the branch yet."""


NOTHING_SEEN = NextTurn()


class AttachedFile(WireModel, frozen=True, kw_only=True):
    """A file that came with the prompt; GET turns/{id}/files/{number} gives its bytes (`number` counts from 0)."""

    name: str
    size_bytes: Count = 0
    mimetype: str = ""


class UndoWork(WireModel, frozen=True, kw_only=True):
    """Instead of prompting the agent: take back, by a commit, what `base_sha..commit_sha` brought."""

    base_sha: str
    commit_sha: str


class Push(WireModel, frozen=True, kw_only=True):
    """POST turns/{id}/pushing, before commits go out that do not name their turn themselves: the branch goes from
    `base_sha` to `head_sha`."""

    head_sha: ObjectName
    base_sha: ObjectName


class TurnWork(WireModel, frozen=True, kw_only=True):
    """Answer 200 to POST turns/next: one claimed turn."""

    turn_id: str
    retries: tuple[str, ...] = ()
    """The turns of the same prompt that an earlier launch worked on and nobody heard the end of."""
    pushes: tuple[Push, ...] = ()
    """What their workers said they were about to push."""
    prompt: str
    user_id: str
    user_name: str
    context: tuple[str, ...] = ()
    """What people said in the thread meanwhile, oldest first; untrusted."""
    files: tuple[AttachedFile, ...] = ()
    undo: UndoWork | None = None
    purpose: str | None = None
    """Set where DevFlow wrote the prompt of what GitHub told: its first line is DevFlow's own, the rest holds text of
    anybody's."""
    merge: str | None = None
    """A branch that the worker merges into the checkout before the agent begins."""


class ToolCall(WireModel, frozen=True, kw_only=True):
    """One thing the agent does, as ACP tells it."""

    id: str
    title: str
    status: Literal["pending", "in_progress", "completed", "failed"] = "pending"


class PlanEntry(WireModel, frozen=True, kw_only=True):
    """One line of the agent's plan."""

    content: str
    status: Literal["pending", "in_progress", "completed"] = "pending"


class Progress(WireModel, frozen=True, kw_only=True):
    """POST turns/{id}/progress: the whole present picture, not a delta."""

    text: str = ""
    """The tail of what the agent has said in this turn, at most 2,000 characters."""
    plan: tuple[PlanEntry, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    elapsed_seconds: Count = 0
    handle: str | None = None
    """What the last `ProgressReply` said, so that a restarted bot goes on with the same message."""


class ProgressReply(WireModel, frozen=True, kw_only=True):
    """`cancel`: stop the agent and answer `cancelled`. `handle`: send it with the next report."""

    cancel: bool = False
    handle: str | None = None


class Step(WireModel, frozen=True, kw_only=True):
    """One line of "What I did"."""

    title: str
    status: str = "completed"


class PermissionOffer(WireModel, frozen=True, kw_only=True):
    """One answer the agent offers: its own id, the label it gives, ACP's kind (allow_once, reject_always ...)."""

    option_id: str
    name: str = ""
    kind: str = ""


class PermissionAsk(WireModel, frozen=True, kw_only=True):
    """POST turns/{id}/permission, a long poll: the agent asks leave. Repeated with the same id until it is answered."""

    permission_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    title: str = ""
    kind: str = ""
    """ACP's kind of the tool call."""
    detail: str = ""
    """The command, or the change as a diff; at most MAX_PERMISSION_DETAIL_BYTES."""
    is_diff: bool = False
    shortened: bool = False
    options: tuple[PermissionOffer, ...]


class PermissionReply(WireModel, frozen=True, kw_only=True):
    """Answer 200 to a question; 204 = nobody has answered yet. `option_id` only where one was selected."""

    outcome: Literal["selected", "timed_out", "cancelled"]
    option_id: str | None = None


class Answer(WireModel, frozen=True, kw_only=True):
    """POST turns/{id}/answer: how the turn ended, after the push."""

    outcome: Literal["answered", "failed", "cancelled"]
    response: str = ""
    """What the agent said, Markdown as it wrote it; when failed, what went wrong and what to do."""
    commit_sha: str | None = None
    base_sha: str | None = None
    """What the branch stood at before this turn's commits."""
    files_changed: Count | None = None
    additions: Count | None = None
    deletions: Count | None = None
    steps: tuple[Step, ...] = ()
    usage: dict[str, int] | None = None
    handle: str | None = None
    """The progress message to delete, if there is one."""
    reports: Count = 0
    """How often progress was reported: a bot that got fewer may not know of every progress message."""


class GithubTokenAsk(WireModel, frozen=True, kw_only=True):
    """POST github-token. `renew`: the last one was refused, or may do less than the App by now."""

    renew: bool = False


ANY_TOKEN = GithubTokenAsk()


class GithubToken(WireModel, frozen=True, kw_only=True):
    """Answer to POST github-token: for this repository only."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"token"})
    token: str
    expires_at: int
    """Unix time, seconds."""


class Stay(WireModel, frozen=True, kw_only=True):
    """POST stay: before the worker leaves for the limits it was told at its start, which people may have extended."""

    reason: Literal["idle", "age"]


class StayReply(WireModel, frozen=True, kw_only=True):
    """How long it is to stay after all; 0 = it may leave."""

    seconds: Count = 0


class Leaving(WireModel, frozen=True, kw_only=True):
    """POST leaving: the worker's last word, after what was unsaved is pushed."""

    reason: Literal["idle", "age", "signal", "failure"]
    detail: str = ""
    commit_sha: str | None = None


class ErrorReply(WireModel, frozen=True, kw_only=True):
    """The body of every answer of 400 and above."""

    error: str
    """What happened and what to do, in one or two sentences."""
