"""Any session at all, for hypothesis: within what the types say, not within what makes sense."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from slackbot.core.pull_request_rules import ACTIONS
from slackbot.core.pull_request_state import FailingCheck, Opinion, Picture
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import (
    Branch,
    Ended,
    EndedBy,
    Lease,
    Notice,
    PullRequestState,
    Session,
    Status,
    TaskState,
    Thread,
    Turn,
    TurnState,
)
from slackbot.core.spending import COUNTS, Spending
from slackbot.views.pull_request_notices import PULL_REQUEST_KINDS

words = st.text(min_size=1, max_size=60)
times = st.integers(min_value=0, max_value=4_000_000_000)
counts = st.integers(min_value=0, max_value=10**6)
# Made of numbers: drawing them letter by letter takes longer than what they are drawn for.
user_ids = st.integers(0, 16**8 - 1).map(lambda number: f"U{number:08X}")
message_ts = st.integers(0, 10**15 - 1).map(lambda number: f"1{number // 10**6:09d}.{number % 10**6:06d}")
urls = st.integers(0, 10**9).map(lambda number: f"https://h{number % 1000}.example/{f'{number}/' * (number % 4)}")
shas = st.integers(0, 16**40 - 1).map(lambda number: f"{number:040x}")
foreign: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(["later_a", "later_b"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | words,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=2,
)
"""Attributes that a newer version may have written: carried through unchanged."""


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


attached = st.fixed_dictionaries({"file_id": st.sampled_from(["F1", "F2"]), "name": words, "size_bytes": counts})
turns = st.builds(
    Turn,
    turn_id=words,
    user_id=user_ids,
    prompt=words,
    state=st.sampled_from(TurnState),
    prompted_at=times,
    response=maybe(words),
    responded_at=maybe(times),
    prompt_ts=maybe(message_ts),
    prompt_file=maybe(words),
    response_ts=maybe(message_ts),
    told_by=maybe(words),
    claimed_launch=maybe(counts),
    claimed_at=maybe(times),
    cancelled_by=maybe(user_ids | st.just("-")),
    cancelled_at=maybe(times),
    context=st.lists(words, max_size=2).map(tuple),
    files=st.lists(attached, max_size=2).map(tuple),
    commit_sha=maybe(shas),
    files_changed=maybe(counts),
    additions=maybe(counts),
    deletions=maybe(counts),
    usage=maybe(
        st.dictionaries(st.sampled_from(["total_tokens", "input_tokens", "output_tokens"]), counts, min_size=1)
    ),
    steps=st.lists(st.fixed_dictionaries({"title": words, "status": words}), max_size=2).map(tuple),
    shortened=st.booleans(),
    extra=foreign,
)
notices = st.builds(
    Notice,
    notice_id=words,
    kind=st.sampled_from(
        [
            "stopped",
            "failed",
            "pull_request_opened",
            "pull_request_shown",
            "pull_request_refused",
            *PULL_REQUEST_KINDS,
            "newer",
        ]
    ),
    at=times,
    values=st.dictionaries(
        st.sampled_from(["by", "user_id", "waiting", "working", "number", "url", "summary", "remedy"]), words
    ),
    extra=foreign,
)
pictures = st.builds(
    Picture,
    title=st.just("") | words,
    draft=st.booleans(),
    mergeable=st.sampled_from(["mergeable", "conflicting", "unknown"]) | words,
    review_decision=maybe(st.sampled_from(["approved", "changes_requested", "review_required"]) | words),
    head_sha=shas,
    base_ref=st.just("") | words,
    additions=counts,
    deletions=counts,
    changed_files=counts,
    checks_total=counts,
    passed=counts,
    pending=counts,
    failed=counts,
    failing=st.lists(st.builds(FailingCheck, words, maybe(urls | words), maybe(counts)), max_size=3).map(tuple),
    opinions=st.lists(st.builds(Opinion, words, st.sampled_from(["approved", "changes_requested"])), max_size=3).map(
        tuple
    ),
    unresolved=st.integers(0, 20),
    merged_by=maybe(words),
)
asks = st.fixed_dictionaries(
    {"action": st.sampled_from([*ACTIONS, "later"]), "request_id": words, "user_id": user_ids, "at": times}
)

sessions = st.builds(
    Session,
    session_id=st.uuids(version=4).map(str),
    user_id=user_ids,
    repository=st.builds(
        RepositoryName,
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,10}[A-Za-z0-9]", fullmatch=True),
        st.from_regex(r"[A-Za-z0-9_.]{1,10}x", fullmatch=True),
    ),
    repository_url=urls,
    branch_name=words,
    status=st.sampled_from(Status),
    initial_prompt=words,
    github_installation_id=counts,
    created_at=times,
    updated_at=times,
    ttl=times,
    base_branch=words,
    agent=words,
    model=maybe(words),
    mode=maybe(words),
    spending=st.builds(
        Spending,
        counted=st.dictionaries(st.sampled_from(COUNTS), counts, max_size=4),
        models=st.dictionaries(
            words, st.dictionaries(st.sampled_from(COUNTS), counts, min_size=1, max_size=2), max_size=2
        ),
        extended=st.integers(min_value=0, max_value=9),
        told=st.lists(words, max_size=2).map(tuple),
        extra=foreign,
    ),
    thread=st.builds(
        Thread,
        team_id=words,
        channel_id=words,
        thread_ts=message_ts,
        status_ts=maybe(message_ts),
        card=maybe(words),
        notices=st.lists(notices, max_size=2).map(tuple),
        lost=maybe(words),
        extra=foreign,
    ),
    launch=st.integers(min_value=1, max_value=4_000_000_000_000),
    history=st.lists(turns, max_size=4, unique_by=lambda turn: turn.turn_id).map(tuple),
    write_version=counts,
    due_at=maybe(times),
    lease=maybe(st.builds(Lease, words, times, foreign)),
    ecs_cluster_arn=maybe(words),
    ecs_task_arn=maybe(words),
    ecs_task_definition_arn=maybe(words),
    pr_number=maybe(counts),
    pr_url=maybe(urls),
    editor_url=maybe(urls),
    error_message=maybe(words),
    error_remedy=maybe(words),
    task=st.builds(
        TaskState,
        last_status=maybe(st.sampled_from(["PROVISIONING", "RUNNING", "STOPPED", "MISSING"]) | words),
        stop_code=maybe(st.sampled_from(["UserInitiated", "SpotInterruption"]) | words),
        stopped_reason=maybe(words),
        exit_code=maybe(st.integers(0, 255)),
        ready_at=maybe(times),
        alive_at=maybe(times),
        extra=foreign,
    ),
    branch=st.builds(
        Branch, base_sha=maybe(shas), attempts=st.integers(0, 9), tidied_launch=maybe(counts), extra=foreign
    ),
    pull_request=st.builds(
        PullRequestState,
        requested_by=maybe(user_ids),
        requested_at=maybe(times),
        state=maybe(st.sampled_from(["open", "closed", "merged"]) | words),
        picture=maybe(pictures.map(Picture.as_map).filter(bool)),
        asked=st.lists(asks, max_size=2).map(tuple),
        told_reviews=st.lists(counts, max_size=3).map(tuple),
        told_conflict=st.booleans(),
        old_cards=st.lists(message_ts, max_size=2).map(tuple),
        card_number=st.integers(0, 9),
        may_merge=st.booleans(),
        branch_gone=st.booleans(),
        branch_seen_at=maybe(times),
        watch_ended_at=maybe(times),
        reviewers_refused=st.lists(words, max_size=2).map(tuple),
        opened_by=maybe(user_ids),
        extra=foreign,
    ),
    ended=maybe(st.builds(Ended, st.sampled_from(EndedBy), times, maybe(user_ids), foreign)),
    asides=st.lists(words, max_size=3).map(tuple),
    aside_files=st.lists(attached, max_size=2).map(tuple),
    heard=st.lists(words, max_size=3).map(tuple),
    forgotten_by=maybe(user_ids),
    dropped_ts=maybe(message_ts),
    dropped_user_ids=st.lists(user_ids, max_size=3).map(tuple),
    extra=foreign,
)
