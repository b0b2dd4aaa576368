"""What may happen to a session: facts in the past tense, made at the edges, judged by `core.transitions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slackbot.core.code_host import PullRequestSnapshot
from slackbot.core.ports import TaskObservation
from slackbot.core.session import EndedBy, TurnState
from slackbot.core.spending import Counted, Reached, SpendingLimits


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds. Settings of docs/settings.md."""

    start_seconds: int = 600
    """A worker that is not ready by then never will be."""
    turn_seconds: int = 3600
    idle_seconds: int = 1800
    max_session_seconds: int = 28800
    silence_seconds: int = 180
    """A running worker reports every few seconds; one that is silent for so long hangs or is cut off."""
    cancel_seconds: int = 60
    """A worker that was told to cancel answers within seconds; after this the turn is ended without it."""
    permission_seconds: int = 900
    """How long the agent waits for an answer to what it asks leave for; after that it is a no."""
    grace_seconds: int = 90
    """The worker keeps the limits itself; DevFlow steps in only so much later."""
    lost_task_seconds: int = 60
    """A task that its system does not know so soon after the launch may still appear."""


@dataclass(frozen=True)
class PullRequestTerms:
    """What the settings say of pull requests of one repository."""

    may_merge: bool = False
    auto_fixes: int = 0
    """How often failing checks of one head commit are given to the agent unasked; 0 = never."""


class Event:
    """The root of all events.

    Some have a `request_id`, the name of the message, the button press or the command they come from: Slack may deliver
    it again, and the same one twice is one wish.
    """


# ------------------------------------------------------------------------------------- from people


@dataclass(frozen=True)
class PromptReceived(Event):
    """Somebody wrote what the agent shall do. The same `turn_id` twice is one prompt."""

    turn_id: str
    user_id: str
    prompt: str
    prompt_ts: str | None = None
    prompt_file: str | None = None
    mentioned: bool = True
    """Whether DevFlow is surely meant; a reply that does not name it may be talk between people."""
    files: tuple[Mapping[str, str | int], ...] = ()
    """What was attached: `file_id`, `name`, `size_bytes`."""


@dataclass(frozen=True)
class PromptEdited(Event):
    """The message that holds a prompt now says something else."""

    prompt_ts: str
    prompt: str


@dataclass(frozen=True)
class PromptDeleted(Event):
    """The message that holds a prompt is gone."""

    prompt_ts: str


@dataclass(frozen=True)
class AsideSaid(Event):
    """People spoke to each other; context of the next prompt."""

    text: str
    request_id: str | None = None
    user_id: str = ""
    files: tuple[Mapping[str, str | int], ...] = ()
    """What was attached, as in `PromptReceived`."""


@dataclass(frozen=True)
class TalkChanged(Event):
    """Words between people now read otherwise; `text` None = they were deleted."""

    user_id: str
    was: str
    text: str | None
    files: tuple[Mapping[str, str | int], ...] = ()


@dataclass(frozen=True)
class ListenRequested(Event):
    """Which replies are prompts from now on: `all`, or those with `mentions`."""

    user_id: str
    listen: str
    request_id: str | None = None


@dataclass(frozen=True)
class EditorLinkRedeemed(Event):
    """Somebody came into the editor by the link `nonce`, which ends at `expires_at`."""

    user_id: str
    nonce: str
    expires_at: int


@dataclass(frozen=True)
class CancelRequested(Event):
    """The prompt in work shall end; with a `turn_id` this very one, and no other."""

    user_id: str
    request_id: str | None = None
    turn_id: str | None = None


@dataclass(frozen=True)
class PromptHurried(Event):
    """Somebody wants a waiting prompt now: it goes first, and the one in work ends."""

    turn_id: str
    user_id: str
    request_id: str | None = None


@dataclass(frozen=True)
class StopRequested(Event):
    """The session shall end. `user_id` is None when the bot itself is being shut down."""

    user_id: str | None
    by: EndedBy = EndedBy.PERSON
    request_id: str | None = None


@dataclass(frozen=True)
class ForgetRequested(Event):
    """The session, which is over, shall be removed from the store."""

    user_id: str


@dataclass(frozen=True)
class RetryRequested(Event):
    """Run a failed or kept turn again; `turn_id` names the press of the button, or the word.

    `message_ts`: the message whose button was pressed. Where it tells the end of a turn, that turn is meant; else, and
    for a word, the last one.
    """

    turn_id: str
    user_id: str
    message_ts: str | None = None

    @property
    def request_id(self) -> str:
        return self.turn_id


@dataclass(frozen=True)
class UndoRequested(Event):
    """Take back what the turn `undoes` has pushed; `turn_id` names the press of the button."""

    turn_id: str
    user_id: str
    undoes: str

    @property
    def request_id(self) -> str:
        return self.turn_id


@dataclass(frozen=True)
class PermissionAnswered(Event):
    """Somebody pressed the button for `option_id`, as the agent offered it."""

    permission_id: str
    option_id: str
    user_id: str
    request_id: str | None = None


@dataclass(frozen=True)
class HandedOver(Event):
    """The session is somebody else's from now on. `language`: theirs; None = English."""

    user_id: str
    to_user_id: str
    language: str | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class StayExtended(Event):
    """The end that the session warned of (else that of idleness) shall come later."""

    user_id: str
    limits: Limits = field(default_factory=Limits)
    request_id: str | None = None


@dataclass(frozen=True)
class PullRequestRequested(Event):
    """Open the pull request, or show its card again. Without a `title` the rest is made when it is opened."""

    user_id: str
    request_id: str | None = None
    title: str | None = None
    body: str | None = None
    draft: bool = False
    base_ref: str | None = None
    reviewers: tuple[str, ...] = ()


@dataclass(frozen=True)
class PullRequestActRequested(Event):
    """Something is to be done with the pull request. `action`: one of `core.pull_request_rules.ACTIONS`.

    `method` (merge, squash, rebase) goes with `merge`. `terms` are the settings at this moment.
    """

    action: str
    user_id: str
    request_id: str
    method: str | None = None
    terms: PullRequestTerms = PullRequestTerms()


# ------------------------------------------------------------------- from the branch and the pull request


@dataclass(frozen=True)
class BranchMade(Event):
    """`ref`: where the session's commits are kept in place of the branch, until its pull request is opened."""

    branch_name: str
    base_sha: str
    ref: str | None = None


@dataclass(frozen=True)
class BranchNameTaken(Event):
    branch_name: str


@dataclass(frozen=True)
class BranchTidied(Event):
    """The session is over and its branch was looked at; `deleted` when it was empty."""

    deleted: bool


@dataclass(frozen=True)
class PullRequestOpened(Event):
    number: int
    url: str
    node_id: str | None = None
    draft: bool = False
    reviewers_refused: tuple[str, ...] = ()
    terms: PullRequestTerms = PullRequestTerms()


@dataclass(frozen=True)
class PullRequestRefused(Event):
    summary: str
    remedy: str = ""


@dataclass(frozen=True)
class PullRequestObserved(Event):
    """A look at the pull request, begun at `looked_at` (milliseconds)."""

    snapshot: PullRequestSnapshot
    looked_at: int
    terms: PullRequestTerms = PullRequestTerms()


@dataclass(frozen=True)
class PullRequestWatchEnded(Event):
    """It is not looked at any more. `reason`: quiet (nothing moved for too long) or gone (hidden or deleted)."""

    reason: str


@dataclass(frozen=True)
class PullRequestActDone(Event):
    """What was asked for is done. `merged_sha` goes with `merge`."""

    act_id: str
    action: str
    merged_sha: str | None = None


@dataclass(frozen=True)
class PullRequestActRefused(Event):
    act_id: str
    action: str
    summary: str
    remedy: str = ""


@dataclass(frozen=True)
class PullRequestWorkPrepared(Event):
    """What the agent needs to know was fetched: its prompt. `comment_ids`: review comments the turn shall answer."""

    act_id: str
    prompt: str
    comment_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class ReviewAnswered(Event):
    """What the turn did was told in the threads of the review."""

    turn_id: str


@dataclass(frozen=True)
class MergedBranchSeen(Event):
    """The pull request is over, and its branch was looked for."""

    is_there: bool


# -------------------------------------------------------------------------- from the task and the worker


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


# ------------------------------------------------------------------------------------ from the models


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


# ----------------------------------------------------------------------------- from Slack's own answers


@dataclass(frozen=True)
class AnswerPosted(Event):
    turn_id: str
    response_ts: str


@dataclass(frozen=True)
class WarningPosted(Event):
    """The thread was told of the end that comes at `until` (Unix seconds)."""

    until: int
    ts: str


@dataclass(frozen=True)
class WarningRemoved(Event):
    """The message about the end at `until` is gone."""

    until: int


@dataclass(frozen=True)
class NoticePosted(Event):
    notice_id: str
    ts: str


@dataclass(frozen=True)
class PermissionShown(Event):
    permission_id: str
    message_ts: str


@dataclass(frozen=True)
class PermissionTold(Event):
    """The message of a question says how it ended."""

    permission_id: str


@dataclass(frozen=True)
class CardTold(Event):
    """The card shows what `card` stands for; `status_ts` is the message that is the card."""

    card: str
    status_ts: str


@dataclass(frozen=True)
class PullRequestCardTold(Event):
    """The pull request's card, the message `card_ts`, shows what `card` stands for."""

    card: str
    card_ts: str
    card_number: int


@dataclass(frozen=True)
class OldCardRemoved(Event):
    card_ts: str


@dataclass(frozen=True)
class ThreadLost(Event):
    """Nothing can be posted in this thread any more, and why."""

    reason: str


@dataclass(frozen=True)
class ChannelShared(Event):
    """People of another organisation read along in the session's channel."""


@dataclass(frozen=True)
class ChannelUnshared(Event):
    """The session's channel is the workspace's own again."""


@dataclass(frozen=True)
class RootDeleted(Event):
    """The first message of the session's thread is gone."""


# ------------------------------------------------------------------------------------- from the clock


@dataclass(frozen=True)
class TimePassed(Event):
    """Somebody looked at the clock. `listening_since`: when this bot began to hear workers (Unix seconds)."""

    limits: Limits = field(default_factory=Limits)
    listening_since: int = 0
