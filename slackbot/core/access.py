"""Who may do what: one table, and the sentences for those who may not. Pure; the facts come from Slack.

Default-deny: a person must be a full member of the own workspace and be named (or `*` set) by the administrator.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from enum import StrEnum

from slackbot.core.errors import NotAdmitted, Refused
from slackbot.core.ports import Channel, Person
from slackbot.core.repository_name import RepositoryName


class Role(StrEnum):
    """What a person is to a session. An owner is a participant as well."""

    VIEWER = "viewer"
    """Reads the thread and was not let in: who is not named, guests, people of other organisations."""
    PARTICIPANT = "participant"
    OWNER = "owner"
    ADMIN = "admin"


class Action(StrEnum):
    """What a person can ask for."""

    START = "start"
    REPLY = "reply"
    STATUS = "status"
    CANCEL = "cancel"
    RETRY = "retry"
    UNDO = "undo"
    OPEN_PULL_REQUEST = "open_pull_request"
    MERGE = "merge"
    ANSWER_PERMISSION = "answer_permission"
    OPEN_EDITOR = "open_editor"
    STOP = "stop"
    EXTEND = "extend"
    """A session that is about to stop for idleness goes on."""
    RAISE_LIMIT = "raise_limit"
    """Past a limit that the administrator set: the longest age, what may be spent."""
    HAND_OVER = "hand_over"
    FORGET = "forget"


_LET_IN = frozenset({Role.PARTICIPANT, Role.OWNER, Role.ADMIN})
_IN_CHARGE = frozenset({Role.OWNER, Role.ADMIN})

MATRIX: dict[Action, frozenset[Role]] = {
    Action.START: _LET_IN,
    Action.REPLY: _LET_IN,
    Action.STATUS: _LET_IN,
    Action.CANCEL: _LET_IN,
    Action.RETRY: _LET_IN,
    Action.UNDO: _LET_IN,
    Action.OPEN_PULL_REQUEST: _LET_IN,
    Action.MERGE: _IN_CHARGE,
    Action.ANSWER_PERMISSION: _IN_CHARGE,
    Action.OPEN_EDITOR: _IN_CHARGE,
    Action.STOP: _IN_CHARGE,
    Action.EXTEND: _IN_CHARGE,
    Action.RAISE_LIMIT: frozenset({Role.ADMIN}),
    Action.HAND_OVER: _IN_CHARGE,
    Action.FORGET: _IN_CHARGE,
}
"""The one table of who may do what; docs/security.md shows it. A viewer is in no cell: default-deny."""

_PHRASES: dict[Action, str] = {
    Action.START: "start one",
    Action.REPLY: "ask something of it",
    Action.STATUS: "see its status",
    Action.CANCEL: "cancel a prompt of it",
    Action.RETRY: "run a prompt of it again",
    Action.UNDO: "undo a commit of it",
    Action.OPEN_PULL_REQUEST: "open its pull request",
    Action.MERGE: "merge its pull request",
    Action.ANSWER_PERMISSION: "answer what its agent asks",
    Action.OPEN_EDITOR: "open its editor",
    Action.STOP: "stop it",
    Action.EXTEND: "extend it",
    Action.RAISE_LIMIT: "let it go past a limit",
    Action.HAND_OVER: "hand it over",
    Action.FORGET: "forget it",
}


@dataclass(frozen=True)
class AccessPolicy:
    """The administrator's word. `users` and `groups` are Slack ids; `everyone` = each full member."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    everyone: bool = False
    channels: frozenset[str] | None = None
    repositories: tuple[str, ...] | None = None
    admins: frozenset[str] = frozenset()

    def role_of(self, user_id: str, owner_id: str, *, let_in: bool = True) -> Role:
        """`let_in`: `check_person` had nothing against this person; who is not let in is a viewer, whatever else."""
        if not let_in:
            return Role.VIEWER
        if user_id in self.admins:
            return Role.ADMIN
        return Role.OWNER if user_id == owner_id else Role.PARTICIPANT

    def must_ask_groups(self, user_id: str) -> bool:
        """Whether only membership of a user group can let this person in."""
        return bool(self.groups) and not self.everyone and user_id not in self.users | self.admins


def check_person(person: Person, policy: AccessPolicy, *, in_group: bool = False) -> None:
    """`NotAdmitted`, with a sentence, for everyone who is not plainly let in."""
    if person.is_bot or person.deleted:
        raise NotAdmitted("DevFlow takes prompts from people only.")
    if person.is_stranger:
        raise NotAdmitted(
            "DevFlow runs code, so it does not take prompts from people of other organisations.",
            "Ask a member of this workspace.",
        )
    if person.is_guest:
        raise NotAdmitted("DevFlow runs code, so guests may not use it.", "Ask a full member of this workspace.")
    if policy.everyone or in_group or person.user_id in policy.users | policy.admins:
        return
    raise NotAdmitted(
        "You are not on the list of people who may use DevFlow here.",
        "Ask its administrator to add you to DEVFLOW_ALLOWED_USERS.",
    )


def check_channel(channel: Channel, policy: AccessPolicy) -> None:
    """`NotAdmitted` for channels that strangers read, that are closed, or that the administrator left out."""
    if channel.is_archived:
        raise NotAdmitted("This channel is archived.", "Start in another one.")
    if channel.is_shared_outside:
        raise NotAdmitted(
            "This channel is shared with another organisation, so DevFlow does not work in it.",
            "Start in a channel of your own workspace.",
        )
    if policy.channels is not None and channel.channel_id not in policy.channels:
        raise NotAdmitted(
            "DevFlow may not be used in this channel.", "Its administrator sets DEVFLOW_ALLOWED_CHANNELS."
        )


def check_repository(name: RepositoryName, policy: AccessPolicy) -> None:
    """`Refused` when the administrator's globs of owner/name leave the repository out."""
    if policy.repositories is None:
        return
    if any(fnmatch.fnmatchcase(name.full_name.lower(), glob.lower()) for glob in policy.repositories):
        return
    raise Refused(f"DevFlow may not work on `{name}`.", "Its administrator sets DEVFLOW_ALLOWED_REPOSITORIES.")


def check_action(action: Action, user_id: str, owner_id: str, policy: AccessPolicy, *, let_in: bool = True) -> None:
    """`Refused` when the matrix has no place for this person's role; for viewers it is `NotAdmitted`."""
    role = policy.role_of(user_id, owner_id, let_in=let_in)
    if role in MATRIX[action]:
        return
    phrase = _PHRASES[action]
    if role is Role.VIEWER:
        raise NotAdmitted(f"Only people who may use DevFlow here may {phrase}.", "Ask its administrator.")
    if Role.OWNER not in MATRIX[action]:
        raise Refused(f"Only an administrator of DevFlow may {phrase}.", "Ask one of those whom DEVFLOW_ADMINS names.")
    raise Refused(
        f"Only the person who started this session, or an administrator, may {phrase}.",
        "`!cancel` ends the prompt that is being worked on." if action is Action.STOP else "Ask one of them.",
    )
