"""Who is let in, and whose worker a token speaks for: default-deny, with a sentence for everyone refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slackbot.core.access import (
    MATRIX,
    AccessPolicy,
    Action,
    Role,
    check_action,
    check_channel,
    check_person,
    check_repository,
)
from slackbot.core.errors import NotAdmitted, Refused
from slackbot.core.ports import Channel, Person
from slackbot.core.repository_name import RepositoryName
from slackbot.core.worker_token import WorkerIdentity, sign_worker_token, verify_worker_token

MEMBER = Person("U1", "Ada", "T1")
NAMED = AccessPolicy(users=frozenset({"U1"}))
EVERYONE = AccessPolicy(everyone=True)
CHANNEL = Channel("C1", "dev", is_member=True)
SECRET = "s" * 40
SESSION_ID = "a09e1f62-9044-4f54-8f8e-f4fff1ae35d7"


def test_nobody_is_let_in_by_default() -> None:
    """A policy that says nothing lets nobody in."""
    with pytest.raises(Refused, match="not on the list") as caught:
        check_person(MEMBER, AccessPolicy())
    assert "DEVFLOW_ALLOWED_USERS" in caught.value.remedy


def test_who_is_named_is_let_in() -> None:
    """By id, by group, as an administrator, or as everyone."""
    check_person(MEMBER, NAMED)
    check_person(MEMBER, EVERYONE)
    check_person(MEMBER, AccessPolicy(admins=frozenset({"U1"})))
    check_person(MEMBER, AccessPolicy(groups=frozenset({"S1"})), in_group=True)


@pytest.mark.parametrize(
    ("trait", "said"),
    [
        ("is_bot", "people only"),
        ("deleted", "people only"),
        ("is_stranger", "other organisations"),
        ("is_guest", "guests"),
    ],
)
@pytest.mark.parametrize("policy", [NAMED, EVERYONE, AccessPolicy(admins=frozenset({"U1"}))])
def test_strangers_stay_out_whatever_the_policy(trait: str, said: str, policy: AccessPolicy) -> None:
    """Also when they are named, and when everybody is let in."""
    with pytest.raises(Refused, match=said):
        check_person(replace(MEMBER, **{trait: True}), policy, in_group=True)


def test_when_slack_must_be_asked_for_a_group() -> None:
    """Only where nothing else decides."""
    grouped = AccessPolicy(groups=frozenset({"S1"}), users=frozenset({"U2"}), admins=frozenset({"U3"}))
    assert grouped.must_ask_groups("U1")
    assert not grouped.must_ask_groups("U2")
    assert not grouped.must_ask_groups("U3")
    assert not replace(grouped, everyone=True).must_ask_groups("U1")
    assert not NAMED.must_ask_groups("U9")


def test_channels() -> None:
    """Archived, shared outside, or left out by the administrator: refused in words."""
    check_channel(CHANNEL, EVERYONE)
    check_channel(CHANNEL, replace(EVERYONE, channels=frozenset({"C1"})))
    for channel, policy, said in (
        (replace(CHANNEL, is_archived=True), EVERYONE, "archived"),
        (replace(CHANNEL, is_shared_outside=True), EVERYONE, "another organisation"),
        (CHANNEL, replace(EVERYONE, channels=frozenset({"C2"})), "may not be used in this channel"),
    ):
        with pytest.raises(Refused, match=said):
            check_channel(channel, policy)


@pytest.mark.parametrize(
    ("globs", "name", "allowed"),
    [
        (None, "acme/shop", True),
        (("acme/*",), "Acme/Shop", True),
        (("acme/sh*", "x/y"), "x/y", True),
        (("acme/*",), "acme2/shop", False),
        ((), "acme/shop", False),
    ],
)
def test_repositories(globs: tuple[str, ...] | None, name: str, allowed: bool) -> None:
    """Globs of owner/name, whatever the case; none set = all, none listed = none."""
    owner, _, bare = name.partition("/")
    policy = AccessPolicy(repositories=globs)
    if allowed:
        check_repository(RepositoryName(owner, bare), policy)
    else:
        with pytest.raises(Refused, match=name):
            check_repository(RepositoryName(owner, bare), policy)


EVERYBODY = "start reply status cancel retry undo open_pull_request".split()
IN_CHARGE = "merge answer_permission open_editor stop extend hand_over forget".split()
ADMINS = ["raise_limit"]


def test_every_action_is_in_the_matrix() -> None:
    """And in exactly one of the groups that `test_the_matrix` compares it with."""
    assert set(MATRIX) == set(Action) == {Action(word) for word in EVERYBODY + IN_CHARGE + ADMINS}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(
    ("user_id", "let_in", "role"),
    [
        ("U1", True, Role.OWNER),
        ("U2", True, Role.PARTICIPANT),
        ("U3", True, Role.ADMIN),
        ("U2", False, Role.VIEWER),
        ("U1", False, Role.VIEWER),
        ("U3", False, Role.VIEWER),
    ],
)
def test_the_matrix(action: Action, user_id: str, let_in: bool, role: Role) -> None:
    """Every cell; who is refused is told who may, or what can be done instead."""
    policy = AccessPolicy(admins=frozenset({"U3"}))
    assert policy.role_of(user_id, "U1", let_in=let_in) is role
    may = {
        Role.VIEWER: False,
        Role.PARTICIPANT: action in EVERYBODY,
        Role.OWNER: action not in ADMINS,
        Role.ADMIN: True,
    }[role]
    if may:
        check_action(action, user_id, "U1", policy, let_in=let_in)
    else:
        with pytest.raises(Refused, match=r"^Only ") as caught:
            check_action(action, user_id, "U1", policy, let_in=let_in)
        assert caught.value.remedy
        assert isinstance(caught.value, NotAdmitted) == (role is Role.VIEWER)


def test_who_may_not_stop_is_told_what_can_be_done() -> None:
    """A participant can still end the prompt in work."""
    with pytest.raises(
        Refused, match="Only the person who started this session, or an administrator, may stop it"
    ) as e:
        check_action(Action.STOP, "U2", "U1", EVERYONE)
    assert "!cancel" in e.value.remedy


def test_a_token_speaks_for_one_launch() -> None:
    """Of one session, signed with one secret."""
    token = sign_worker_token(SECRET, SESSION_ID, 5)
    assert verify_worker_token(SECRET, token) == WorkerIdentity(SESSION_ID, 5)
    assert verify_worker_token("t" * 40, token) is None
    assert verify_worker_token(SECRET, token.replace(".5.", ".6.")) is None
    assert verify_worker_token(SECRET, token.replace("a09e", "b09e")) is None
    assert SECRET not in token


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f-]{36}\.[0-9]{1,16}\.[0-9a-f]{64}", fullmatch=True))
def test_any_other_text_is_no_token(text: str) -> None:
    """None, never a crash."""
    assert verify_worker_token(SECRET, text) is None
