"""What must hold once everything has settled: each sentence returned is one thing that does not.

Looks from outside, as people would: at threads, at the store's items by their attribute names, at branches and pull
requests, at processes; never at what the bot has in memory.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from slackbot.core.item import from_item
from slackbot.core.session import TurnState
from slackbot.prompt_marks import MARKS
from slackbot.sandbox.github.git_commands import GitRepository
from slackbot.views.card import card
from slackbot.worker.danger import danger_of
from slackbot.worker.shell_words import NOT_ALLOWED
from tests.faults.crash_world import CrashWorld
from tests.faults.crowd import Crowd, Talk, event_type, payload
from tests.faults.desk_work import StartForm, allowed_times, is_always_allowed, questions_that_do_not_hold
from tests.wire.bot_world import words

TOLD_BY_NOBODY = ("deleted", "-")


def unsettled(crash: CrashWorld, crowd: Crowd) -> list[str]:
    """What is still to come, in words; empty when nothing is."""
    left = [] if crash.mail.is_empty else ["events are not acknowledged"]
    for item in crash.world.items():
        name = item["session_id"][:8]
        thread = item.get("slack", {})
        open_turns = [turn["state"] for turn in item["history"] if turn["state"] in ("queued", "working")]
        untold = [turn for turn in item["history"] if "response_ts" not in turn and "told_by" not in turn]
        if item["status"] == "starting":
            left.append(f"{name} is starting ({item.get('task')})")
        if item["status"] in ("stopped", "error") and "ecs_task_arn" in item:
            left.append(f"{name} is over and has a task ({item.get('task')})")
        if open_turns:
            left.append(f"{name} is {item['status']} with turns {open_turns}")
        if untold:
            left.append(f"{name} owes the end of {len(untold)} turns")
        if "lease" in item or thread.get("notices"):
            left.append(f"{name} owes something (lease {item.get('lease')}, notices {thread.get('notices')})")
    for talk in crowd.talks:
        if talk.is_forgotten and not talk.thread.item():
            continue
        stored = {turn["turn_id"] for turn in talk.thread.turns()}
        missing = [ts for ts in talk.prompts if f"{talk.thread.channel_id}:{ts}" not in stored | _withdrawn(talk)]
        if missing and crash.mail.is_empty:
            left.append(f"{talk.thread.session_id[:8]} does not hold prompts {missing}")
    return left


async def verdict(crash: CrashWorld, crowd: Crowd) -> list[str]:
    """Every invariant of every thread, after all sessions were stopped."""
    faults = [f"Slack gave up an event: {event}" for event in crash.mail.lost]
    for talk in crowd.talks:
        name = f"{talk.thread.session_id[:8]} ({talk.thread.channel_id}): "
        faults += [name + fault for fault in await _of_talk(crash, talk)]
    faults += [fault for form in crowd.forms for fault in _form(form, crowd)]
    known = {talk.thread.session_id for talk in crowd.talks}
    faults += [f"{item['session_id']} has no thread" for item in crash.world.items() if item["session_id"] not in known]
    processes = crash.task_processes()
    if processes:
        faults.append(f"processes of tasks are left: {processes}")
    for bot in (*crash.past, *crash.living):
        faults += [
            f"{bot.name} logged: {line}"[:1500]
            for line in bot.log
            if line.get("level") not in ("info", "warning", "debug") and line.get("event") != "slack_is_not_heard"
        ]
    return faults


async def _of_talk(crash: CrashWorld, talk: Talk) -> list[str]:
    item = talk.thread.item()
    messages = talk.thread.messages()
    bots_own = [message for message in messages if message["bot"]]
    faults = [f"a progress message is left: {words(m)[:80]}" for m in bots_own if event_type(m) == "devflow_progress"]
    if not item and talk.is_forgotten:
        return faults
    if not item:
        if talk.is_acknowledged:
            faults.append("its start was acknowledged, and no session is stored")
        if talk.prompts:
            faults.append(f"no session is stored, and prompts were: {list(talk.prompts)}")
        return faults
    if item["status"] not in ("stopped", "error"):
        faults.append(f"it was stopped, and is {item['status']}")
    shown, drawn = words(messages[0]), _drawn(item)
    if shown != drawn:
        faults.append(f"the card shows {shown!r}, not {drawn!r}")
    faults += _prompts(talk, item) + _ends(item, bots_own) + _notices(talk, item, bots_own)
    faults += _marks(talk, item, messages) + questions_that_do_not_hold(talk.thread, talk.notes)
    return faults + await _work(crash, talk, item, bots_own)


def _form(form: StartForm, crowd: Crowd) -> list[str]:
    """A form begins one session, however often it was sent; one that was taken did."""
    begun = [talk for talk in crowd.talks if talk.form is form]
    stored = [talk for talk in begun if talk.thread.item() or talk.is_forgotten]
    name = f"the form of {form.person.user_id} ({form.person.channel_id})"
    faults = []
    if len(stored) > 1 + form.revived:
        faults.append(f"{name} began {len(stored)} sessions")
    if form.is_taken and not stored:
        faults.append(f"{name} was taken, and no session is stored")
    return faults


def _withdrawn(talk: Talk) -> set[str]:
    return {f"{talk.thread.channel_id}:{ts}" for ts in talk.deleted}


def _drawn(item: dict[str, Any]) -> str:
    return words({"blocks": card(from_item(item)).blocks})


def _prompts(talk: Talk, item: dict[str, Any]) -> list[str]:
    """Each prompt is in `history` once, with its words, and has ended."""
    channel = talk.thread.channel_id
    wanted = {f"{channel}:{talk.thread.thread_ts}": talk.first_prompt}
    wanted |= {f"{channel}:{ts}": prompt for ts, prompt in talk.prompts.items()}
    counted = Counter(turn["turn_id"] for turn in item["history"])
    least = {turn_id: 0 if turn_id in _withdrawn(talk) else 1 for turn_id in wanted}
    faults = [
        f"prompt {turn_id} is in history {counted[turn_id]} times"
        for turn_id in wanted
        if not least[turn_id] <= counted[turn_id] <= 1
    ]
    edited = {f"{channel}:{ts}": prompt for ts, prompt in talk.edited.items()}
    for turn in item["history"]:
        if turn["state"] not in ("answered", "failed", "cancelled"):
            faults.append(f"turn {turn['turn_id']} is {turn['state']}")
        said = (wanted.get(turn["turn_id"], turn["prompt"]), edited.get(turn["turn_id"]))
        if turn["prompt"] not in said:
            faults.append(f"turn {turn['turn_id']} has another prompt: {turn['prompt']!r}")
    # Prompts that were one piece of work are run again together: the press's own id, and that with a number behind it.
    retried = len([turn_id for turn_id in counted if turn_id not in wanted and turn_id.count(".") == 1])
    if retried > talk.asked["!retry"]:
        faults.append(f"{retried} turns were run again, and that was asked {talk.asked['!retry']} times")
    return faults


def _ends(item: dict[str, Any], bots_own: list[dict[str, Any]]) -> list[str]:
    """Each end is told by one message of its own, or by the one notice it names."""
    answers: dict[str, list[str]] = {}
    notices: dict[str, list[str]] = {}
    for message in bots_own:
        told = payload(message)
        if event_type(message) == "devflow_answer":
            answers.setdefault(str(told["turn_id"]), []).append(message["ts"])
        elif event_type(message) == "devflow_notice":
            notices.setdefault(str(told["notice_id"]), []).append(message["ts"])
    faults = [f"notice {key} stands in the thread {len(ts)} times" for key, ts in notices.items() if len(ts) > 1]
    for turn in item["history"]:
        told_by, posts = turn.get("told_by"), answers.pop(turn["turn_id"], [])
        if told_by in TOLD_BY_NOBODY:
            continue
        if "joined_to" in turn and told_by is None:
            # Worked on together with another one, and told by that one's message.
            together = next((other for other in item["history"] if other["turn_id"] == turn["joined_to"]), {})
            if posts or turn.get("response_ts") != together.get("response_ts") or "response_ts" not in turn:
                faults.append(f"turn {turn['turn_id']} should be told by {together}, answers {posts}")
            continue
        if told_by is None and (len(posts) != 1 or posts[0] != turn.get("response_ts")):
            faults.append(
                f"turn {turn['turn_id']} ({turn['state']}) is told by {posts}, response_ts {turn.get('response_ts')}"
            )
        if told_by is not None and (posts or len(notices.get(told_by, ())) != 1):
            faults.append(
                f"turn {turn['turn_id']} ({turn['state']}) should be told by {told_by}: {notices}, answers {posts}"
            )
    return faults + [f"an answer to {turn_id}, which is in no history" for turn_id in answers]


def _notices(talk: Talk, item: dict[str, Any], bots_own: list[dict[str, Any]]) -> list[str]:
    """No wish is carried out twice, and none that was acknowledged is passed over."""
    kinds = Counter(
        str(payload(message)["notice_id"]).partition(":")[0]
        for message in bots_own
        if event_type(message) == "devflow_notice" and "stopped itself" not in words(message)
    )
    faults = []
    if kinds["stopped"] > talk.asked["!stop"]:
        faults.append(f"stopped {kinds['stopped']} times, asked {talk.asked['!stop']} times")
    if kinds["pull_request_refused"] > talk.asked["!pr"]:
        faults.append(f"refused {kinds['pull_request_refused']} pull requests, asked {talk.asked['!pr']} times")
    if item.get("pull_request", {}).get("requested_at") is not None:
        faults.append("a pull request was asked for, and neither opened nor refused")
    cards = sum(event_type(message) == "devflow_pull_request" for message in bots_own)
    if cards != ("pr_number" in item):
        faults.append(f"{cards} cards of a pull request, in the item {item.get('pr_number')}")
    return faults


def _marks(talk: Talk, item: dict[str, Any], messages: list[dict[str, Any]]) -> list[str]:
    """Each prompt's message carries the mark of its latest turn, and no other."""
    faults = []
    latest = {turn["prompt_ts"]: turn for turn in item["history"] if "prompt_ts" in turn}
    there = {message["ts"] for message in messages}
    for ts, turn in latest.items():
        if ts in there:
            found, wanted = talk.thread.marks(ts), {MARKS[TurnState(turn["state"])]}
            if found != wanted:
                faults.append(f"prompt {ts} is {turn['state']} and marked {found}")
    return faults


async def _work(crash: CrashWorld, talk: Talk, item: dict[str, Any], bots_own: list[dict[str, Any]]) -> list[str]:
    """One branch, at most one pull request, what was answered is on the branch, and nothing was done twice unasked."""
    github = crash.world.github.world
    row = github.store.repository(talk.repository)
    assert row is not None
    git: GitRepository = github.git(row)
    branches = await git.branches()
    name, mark = item["branch_name"], item["session_id"].partition("-")[0]
    own = sorted(branch for branch in branches if mark in branch or branch == name)
    faults = [] if own in ([], [name]) else [f"it has the branches {own}"]
    pulls = [pull.number for pull in github.store.pulls(row.id, head_ref=name)]
    if pulls != ([item["pr_number"]] if "pr_number" in item else []):
        faults.append(f"its pull requests are {pulls}, in the item {item.get('pr_number')}")
    head = branches.get(name)
    log = (await git.blob(head, "log.txt") or b"").decode() if head else ""
    lines = Counter(log.split())
    for turn in item["history"]:
        sha = turn.get("commit_sha")
        if sha and (head is None or not await git.is_ancestor(sha, head)):
            faults.append(f"turn {turn['turn_id']} tells of commit {sha}, which is not on the branch")
    tries = Counter(_token(turn["prompt"]) for turn in item["history"] if turn.get("claimed_at"))
    answered = Counter(
        _token(turn["prompt"])
        for turn in item["history"]
        if turn["state"] == "answered" and NOT_ALLOWED not in _response(item, turn)
    )
    asking = {_token(turn["prompt"]) for turn in item["history"] if danger_of(turn["prompt"])}
    for token, count in lines.items():
        if count > tries[token]:
            faults.append(f"{token} was done {count} times, and given to a worker {tries[token]} times")
        if token in asking and count > allowed_times(talk.thread, token) and not is_always_allowed(talk.thread):
            faults.append(f"{token} was done {count} times, allowed {allowed_times(talk.thread, token)} times")
    faults += [
        f"{token} was answered, and is not on the branch" for token in answered if lines[token] < answered[token]
    ]
    return faults


def _response(item: dict[str, Any], turn: dict[str, Any]) -> str:
    """What was answered; for prompts that were one piece of work that stands with the first of them."""
    lead = turn.get("joined_to", turn["turn_id"])
    return next((str(other.get("response", "")) for other in item["history"] if other["turn_id"] == lead), "")


def _token(prompt: str) -> str:
    found = re.search(r"p\d+q", prompt)
    return found.group() if found else prompt
