"""What people read, as text: golden examples of card, answer, notices, progress and replies, and the buttons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slackbot.core import events as ev
from slackbot.core.errors import DevflowError, IllegalTransition
from slackbot.core.ports import IndexEntry
from slackbot.core.pull_request_text import proposed_body
from slackbot.core.session import EndedBy, Notice, Session, Status, TurnState
from slackbot.core.slack_text import escape
from slackbot.core.turn_rules import BY_CLOCK
from slackbot.views import action_ids, replies, words
from slackbot.views.answer import answer
from slackbot.views.card import card, root
from slackbot.views.errors import error_view, illegal, unknown_error
from slackbot.views.notice import notice
from slackbot.views.progress import ProgressPicture, progress
from slackbot.views.pull_request import pull_request_body
from slackbot.views.task_words import task_line
from tests.core.builders import (
    T0,
    a_session,
    answered,
    ended_turn,
    failed,
    idle,
    observed,
    prompt,
    running,
    starting,
    stopped,
    tell,
    with_commit,
    working,
)
from tests.views.block_limits import as_read, buttons, check, labels

SHOP = "https://github.com/acme/shop"
BRANCH = "devflow/fix-the-test-0b0c0d0e"
BRANCH_LINK = f"<{SHOP}/tree/{BRANCH}|{BRANCH}>"
PR = f"{SHOP}/pull/12"


def opened(session: Session) -> Session:
    return tell(session, ev.PullRequestOpened(12, PR))


# ------------------------------------------------------------------------------------------- the card


def test_the_root_reads() -> None:
    """What was asked, before anything is made."""
    session = a_session()
    view = root("fix the test\nin `cart.py`", session.repository, "main", "shell", "U0000001", repository_url=SHOP)
    assert view.text == "fix the test\nin `cart.py`"
    assert as_read(view) == (
        "fix the test\nin `cart.py`\n"
        f"*Repository*: <{SHOP}|acme/shop>\n"
        "*Branch*: a new one from `main`\n"
        "*Owner*: <@U0000001>\n"
        "*Agent*: shell\n"
        "🟡 *Starting* – if this does not change within a minute, press Retry or reply here.\n"
        "[Retry]"
    )


def test_the_card_takes_the_roots_place() -> None:
    """The same blocks in the same order, so that nothing jumps when one becomes the other."""
    session = starting()
    before = root(session.initial_prompt, session.repository, "main", "shell", "U0000001", repository_url=SHOP)
    after = card(session)
    assert after.text == before.text
    assert after.blocks[0] == before.blocks[0]
    assert [block["type"] for block in after.blocks[:3]] == [block["type"] for block in before.blocks[:3]]


def test_a_working_card_reads() -> None:
    """The whole of it."""
    assert as_read(card(tell(working(), prompt(2)), agent_note="The shell agent is no AI.")) == (
        "fix the flaky checkout test\n"
        f"*Repository*: <{SHOP}|acme/shop>\n"
        f"*Branch*: {BRANCH_LINK} from `main`\n"
        "*Owner*: <@U0000001>\n"
        "*Agent*: shell\n"
        "🔵 *Working on a prompt* by <@U0000001>, 1 waiting\n"
        "⏳ <@U0000001>: do thing 2\n"
        "Task *RUNNING* – the worker is up · No commits yet\n"
        "The shell agent is no AI.\n"
        "[Stop]"
    )


def test_a_failed_card_reads() -> None:
    """What happened, what to do, and the button for it."""
    read = as_read(card(failed()))
    assert "🔴 *Ended with an error* – Retry runs the last prompt again." in read
    assert "The worker was killed (exit code 137), often for want of memory.\nPress Retry" in read
    assert "Task *STOPPED* – for the reason above" in read
    assert read.endswith("[Retry]")


def test_a_long_prompt_is_cut_on_the_card() -> None:
    """The thread has the whole of it."""
    view = card(a_session(initial_prompt="word " * 8_000))
    quote = view.blocks[0]["elements"][0]["elements"][0]["text"]
    assert len(quote) <= 1_500
    assert quote.endswith("word…")


CANCELLING = tell(working(), ev.CancelRequested("U1"))
SITUATIONS: list[tuple[str, Session, str, list[str]]] = [
    ("just begun", tell(a_session(), prompt(1)), "🟡 *Starting*\nTask: making the branch first", ["Stop"]),
    ("two wait at the start", tell(starting(), prompt(2)), "🟡 *Starting* – 2 prompts waiting", ["Stop"]),
    ("ready", answered(), "🟢 *Ready for prompts* – reply in this thread", ["Stop"]),
    ("not yet taken", running(), "🔵 *Running* – 1 prompt waiting", ["Stop"]),
    ("working", working(), "🔵 *Working on a prompt* by <@U0000001>\n", ["Stop"]),
    ("cancelling", CANCELLING, "🔵 *Cancelling a prompt* by <@U0000001>", ["Stop"]),
    ("with a commit", with_commit(), "Task *RUNNING* – the worker is up\n", ["Open PR", "Stop"]),
    ("pr asked for", tell(with_commit(), ev.PullRequestRequested("U1")), "Pull request: being opened", ["Stop"]),
    ("pr open", opened(with_commit()), f"<{PR}|Pull request #12> (open)", ["View PR #12", "Stop"]),
    (
        "pr closed",
        replace(opened(with_commit()), pull_request=replace(opened(with_commit()).pull_request, state="closed")),
        f"<{PR}|Pull request #12> (closed)",
        ["Open PR", "Stop"],
    ),
    (
        "pr of unknown state",
        replace(with_commit(), pr_number=12, pr_url=PR),
        f"<{PR}|Pull request #12>\n",
        ["Open PR", "Stop"],
    ),
    ("editor", replace(answered(), editor_url="https://e.example/x"), "Ready", ["Open editor", "Stop"]),
    ("stopped by a person", stopped(), "⚪ *Stopped* by <@U0000002> – a reply is kept; Retry then runs it.", []),
    ("stopped in the middle", tell(working(), ev.StopRequested("U2")), "Retry runs the last prompt", ["Retry"]),
    ("stopped, end unknown", a_session(status=Status.STOPPED), "⚪ *Stopped* – a reply is kept", []),
    ("idle", idle(), "Reply in this thread to wake it.", []),
    ("age", tell(answered(), ev.WorkerLeft(answered().launch, "age")), "longest time allowed", []),
    ("shutdown", tell(answered(), ev.StopRequested(None, EndedBy.SHUTDOWN)), "DevFlow was shut down", []),
    ("lost thread", tell(working(), ev.ThreadLost("x")), "Nothing could be posted", ["Retry"]),
    ("error", failed(), "🔴 *Ended with an error*", ["Retry"]),
    ("error without words", a_session(status=Status.ERROR), "No reason is known.", []),
    ("stopped with a commit", tell(with_commit(), ev.StopRequested("U2")), "⚪ *Stopped*", ["Open PR"]),
    ("stopped with an open pr", opened(stopped()), "(open)", ["View PR #12"]),
    ("commits left the history", replace(answered(), dropped_ts="1.1"), "Ready", ["Open PR", "Stop"]),
    (
        "branch is gone",
        tell(tell(with_commit(), ev.StopRequested("U2")), ev.BranchTidied(deleted=True)),
        f"*Branch*: `{BRANCH}` from",
        [],
    ),
    ("odd addresses", replace(opened(with_commit()), pr_url="javascript:x", editor_url="x y"), "Ready", ["Stop"]),
]


@pytest.mark.parametrize(
    ("session", "said", "shown"), [case[1:] for case in SITUATIONS], ids=[case[0] for case in SITUATIONS]
)
def test_the_card_in_each_situation(session: Session, said: str, shown: list[str]) -> None:
    """What it says, and the buttons that make sense then."""
    view = check(card(session))
    assert said in as_read(view)
    assert labels(view) == shown


def test_buttons_name_the_session_and_stop_asks_only_when_something_can_be_lost() -> None:
    """The value is the session's id; the question says what is lost and what stays."""
    session = tell(working(), prompt(2), prompt(3))
    (stop,) = buttons(card(session))
    assert (stop["action_id"], stop["value"], stop["style"]) == ("session_stop", session.session_id, "danger")
    assert "2 waiting prompts will not be run" in stop["confirm"]["text"]["text"]
    assert "What is pushed stays on the branch" in stop["confirm"]["text"]["text"]
    (alone,) = buttons(card(working()))
    assert "waiting" not in alone["confirm"]["text"]["text"]
    (idle_stop,) = buttons(card(answered()))
    assert "confirm" not in idle_stop
    open_pr, _ = buttons(card(with_commit()))
    assert (open_pr["action_id"], open_pr["value"]) == ("session_open_pr", session.session_id)
    (retry,) = buttons(card(failed()))
    assert (retry["action_id"], retry["value"]) == ("session_retry", session.session_id)
    view_pr, _ = buttons(card(opened(with_commit())))
    assert (view_pr["action_id"], view_pr["url"]) == (action_ids.LINK_PULL_REQUEST, PR)
    assert view_pr["action_id"].startswith(action_ids.LINK_PREFIX)


# ------------------------------------------------------------------------------------------ the task line


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("PROVISIONING", "finding a machine"),
        ("PENDING", "waiting for the machine"),
        ("ACTIVATING", "being connected"),
        ("RUNNING", "checking out the repository"),
        ("DEACTIVATING", "being disconnected"),
        ("STOPPING", "asked to end"),
        ("DEPROVISIONING", "giving the machine back"),
        ("MISSING", "no longer knows it"),
    ],
)
def test_the_task_line_moves(status: str, meaning: str) -> None:
    """ECS's word, and what it means."""
    session = starting()
    line = task_line(replace(session, task=replace(session.task, last_status=status)))
    assert line is not None
    assert line.startswith(f"Task *{status}* – ")
    assert meaning in line


def test_the_task_line_at_the_edges() -> None:
    """Before there is a task, after it, and with a word of tomorrow."""
    begun = a_session()
    assert task_line(begun) == "Task: making the branch first"
    assert task_line(tell(begun, ev.BranchMade("x", "a" * 40))) == "Task: being asked for"
    assert task_line(replace(begun, status=Status.STOPPED)) is None
    new = replace(begun, task=replace(begun.task, last_status="HIBERNATING"))
    assert task_line(new) == "Task *HIBERNATING*"
    over = replace(begun, task=replace(begun.task, last_status="STOPPED"))
    assert task_line(over) == "Task *STOPPED* – over"


def test_why_a_task_stopped() -> None:
    """By us, for the reason that stands above, after it, or for one of its own."""
    assert task_line(stopped()) == "Task *STOPPED* – by DevFlow, as the session is over"
    assert task_line(failed()) == "Task *STOPPED* – for the reason above"
    silent = tell(running(), ev.TimePassed(), now=T0 + 500)
    ended = tell(silent, observed(silent, "STOPPED", stop_code="UserInitiated"))
    assert task_line(ended) == "Task *STOPPED* – by DevFlow, after the error above"
    other = tell(silent, observed(silent, "STOPPED", stop_code="SpotInterruption"))
    assert task_line(other) == "Task *STOPPED* – Amazon took the Spot capacity back."


# --------------------------------------------------------------------------------------------- answers


def test_an_answer_reads() -> None:
    """What the agent said, one line of facts, the buttons."""
    session = with_commit()
    shown = answer(session, session.history[0])
    assert as_read(shown.view) == (
        "Done.\n"
        "Asked by <@U0000001> · took 1 min · 2 files changed, +10 −3 · "
        f"commit <{SHOP}/commit/{'c' * 40}|ccccccc>\n"
        "[View diff] [Open PR] [Undo]"
    )
    assert shown.view.text == "Done."
    assert shown.overflow is None


def test_answers_of_other_shapes() -> None:
    """Nothing changed, nothing said, a commit nobody counted, a pull request that is open."""
    plain = answered()
    turn = plain.history[0]
    assert as_read(answer(plain, turn).view) == "Done.\nAsked by <@U0000001> · took 1 min · nothing changed"
    silent = answer(plain, replace(turn, response=None)).view
    assert silent.text == "The agent ended without a word."
    assert as_read(silent).startswith("The agent ended without a word.\n")
    uncounted = replace(turn, commit_sha="d" * 40)
    assert "· files changed · commit" in as_read(answer(plain, uncounted).view)
    one = replace(turn, commit_sha="d" * 40, files_changed=1)
    assert "· 1 file changed · commit" in as_read(answer(plain, one).view)
    assert "commit ddddddd" in as_read(answer(replace(plain, repository_url="x"), uncounted).view)
    assert labels(answer(opened(with_commit()), with_commit().history[0]).view) == ["View diff", "View PR #12", "Undo"]


def test_a_failed_answer_reads() -> None:
    """It says so at the top and in the notification, and offers Retry."""
    session = tell(working(), ended_turn(working(), state=TurnState.FAILED, response="The agent crashed."), now=T0 + 9)
    view = answer(session, session.history[0]).view
    assert view.text == "Failed: The agent crashed."
    assert as_read(view) == (
        "🔴 *This prompt failed.*\n"
        "The agent crashed.\n"
        "Asked by <@U0000001> · took 9 s · nothing changed\n"
        "Retry runs the same prompt again; or reply with another one.\n"
        "[Retry]"
    )
    assert buttons(view)[0]["action_id"] == "session_retry"


def test_a_cancelled_answer_reads() -> None:
    """By whom, or by the clock; and what a person can do now."""
    session = tell(CANCELLING, ended_turn(CANCELLING, state=TurnState.CANCELLED, response=""), now=T0 + 9)
    turn = replace(session.history[0], cancelled_by="U0000002")
    view = answer(session.with_turn(turn), turn).view
    assert as_read(view).startswith("⚪ *Cancelled* by <@U0000002>.\nAsked by <@U0000001> · took 9 s")
    assert as_read(view).endswith("nothing changed\nReply with what to do instead, or press Retry.\n[Retry]")
    assert labels(view) == ["Retry"]
    pushed = replace(session.history[0], turn_id="C1:earlier", commit_sha="b" * 40)
    after_a_push = replace(session, history=(pushed, turn))
    assert "What was pushed before is on the branch. Reply" in as_read(answer(after_a_push, turn).view)
    late = replace(turn, cancelled_by=BY_CLOCK)
    assert "it took longer than one prompt may" in as_read(answer(session, late).view)


def test_a_kept_prompt_reads() -> None:
    """Not run, why, and the button that runs it; no facts about work that was not done."""
    session = tell(stopped(), prompt(2))
    view = answer(session, session.history[-1]).view
    assert as_read(view) == (
        "Not run: this session was stopped. The prompt is kept; press *Retry* to start again with it.\n"
        "Asked by <@U0000001>\n"
        "[Retry]"
    )


def test_each_kept_prompt_offers_a_retry_of_its_own() -> None:
    """Also the older one: the button runs the prompt whose message it stands under."""
    session = tell(stopped(), prompt(2), prompt(3))
    assert [labels(answer(session, turn).view) for turn in session.history[-2:]] == [["Retry"], ["Retry"]]


# --------------------------------------------------------------------------------------------- notices


def notice_of(session: Session) -> str:
    return as_read(check(notice(session, session.thread.notices[-1])))


def test_stop_notices_read() -> None:
    """Who or what stopped it, what became of the prompts and the branch, and what a reply does now."""
    session = tell(with_commit(), prompt(2), prompt(3, user_id="U0000002"))
    session = tell(session, ev.TurnClaimed(session.launch, session.history[1].turn_id), ev.StopRequested("U0000002"))
    assert notice_of(session) == (
        "⚪ <@U0000002> stopped this session. The prompt in work ended with it; part of it may be done. "
        f"1 waiting prompt was not run. What was pushed is on {BRANCH_LINK}. "
        "A reply in this thread is kept, and Retry runs it.\n[Open PR] [Retry]"
    )
    slept = tell(answered(), ev.WorkerLeft(answered().launch, "idle"))
    assert notice_of(slept) == (
        "⚪ This session stopped itself, as nothing was asked of it for a while. "
        f"Nothing was pushed to `{answered().branch_name}`; a branch that stays empty is removed. "
        "A reply in this thread starts it again, on the same branch."
    )
    unmade = tell(a_session(), prompt(1), prompt(2), ev.StopRequested(None, EndedBy.SHUTDOWN))
    assert "DevFlow was shut down" in notice_of(unmade)
    assert "2 waiting prompts were not run. Nothing was pushed, so no branch is left." in notice_of(unmade)
    aged = tell(answered(), ev.WorkerLeft(answered().launch, "age"))
    assert "longest time allowed" in notice_of(aged)


def test_a_late_stop_notice_gives_no_stale_advice() -> None:
    """The session was started again before its notice could be posted."""
    session = tell(tell(answered(), ev.WorkerLeft(answered().launch, "idle")), prompt(2), now=T0 + 99)
    assert "A reply" not in notice_of(session)
    assert "[Retry]" not in notice_of(session)


def test_a_failure_notice_reads() -> None:
    """The reason stands in the notice itself, so a later error does not change an earlier story."""
    session = tell(working(), prompt(2))
    session = tell(session, ev.WorkerLeft(session.launch, "failure", "The agent `claude` is not <installed>."))
    later = replace(session, error_message="another error")
    assert notice_of(later) == (
        "🔴 *This session ended with an error.*\nThe agent `claude` is not &lt;installed&gt;.\n"
        "The prompt in work ended with it; part of it may be done. 1 waiting prompt was not run. "
        f"Nothing was pushed to `{answered().branch_name}`; a branch that stays empty is removed.\n[Retry]"
    )
    bare = Notice("n", "failed", T0)
    assert "No reason is known." in as_read(notice(a_session(), bare))


def test_pull_request_notices_read() -> None:
    """Opened and shown again, as an older version stored them; refused (why, what to do)."""
    session = tell(with_commit(), ev.PullRequestRequested("U0000007"))
    fresh = opened(session)
    values = {"number": "12", "url": PR, "user_id": "U0000007"}
    told = {
        kind: as_read(notice(fresh, Notice("n", f"pull_request_{kind}", T0, values))) for kind in ("opened", "shown")
    }
    assert told["opened"] == (
        f"🟢 <{PR}|Pull request #12> is open, asked for by <@U0000007>. "
        "What the agent pushes from now on becomes part of it.\n[View PR #12]"
    )
    assert "is open already" in told["shown"]
    refused = tell(session, ev.PullRequestRefused("There are no commits yet.", "Ask for a change first."))
    assert notice_of(refused) == ("🔴 *No pull request was opened.* There are no commits yet. Ask for a change first.")
    nobody = as_read(notice(fresh, Notice("n", "pull_request_opened", T0, {"number": "12"})))
    assert nobody.startswith("🟢 Pull request #12 is open. What")


def test_a_notice_of_a_newer_version_reads() -> None:
    """A sentence that is true of anything."""
    assert "no words for" in as_read(notice(a_session(), Notice("n", "teleported", T0)))


# -------------------------------------------------------------------------------------------- progress


def test_progress_reads() -> None:
    """What is done, what is not, the last steps, the end of the output."""
    session = working()
    picture = ProgressPicture(
        text="\n".join(f"line {n}" for n in range(30)),
        plan=(("Read", "completed"), ("Fix", "in_progress"), ("Test", "pending")),
        tool_calls=(
            *[("old", "completed")] * 5,
            ("git diff", "completed"),
            ("pytest", "in_progress"),
            ("ruff", "failed"),
        ),
        elapsed_seconds=65,
    )
    view = check(progress(session, session.history[0], picture))
    assert as_read(view) == (
        "🔵 *Working* – 1 min 5 s\n"
        "✅ Read\n▶️ Fix\n▫️ Test\n"
        "› old\n› git diff\n› pytest …\n› ruff ❌\n" + "\n".join(f"line {n}" for n in range(22, 30)) + "\n[Cancel]"
    )
    assert view.text == "Working on: do thing 1"
    assert view.blocks[1]["type"] == "rich_text"
    other = progress(replace(session, agent="claude"), session.history[0], ProgressPicture("```\ncode"))
    assert other.blocks[1] == {"type": "markdown", "text": "```\ncode\n```"}


def test_a_long_plan_shows_what_is_round_the_present_step() -> None:
    """Not the whole of it, and not always its beginning."""
    plan = tuple((f"step {n}", "in_progress" if n == 15 else "pending") for n in range(30))
    session = working()
    read = as_read(progress(session, session.history[0], ProgressPicture(plan=plan)))
    assert "step 13" in read
    assert "▶️ step 15" in read
    assert "step 12" not in read
    assert "… and 22 more" in read


def test_progress_shows_what_waits() -> None:
    """Three of them, each with the button that lets it interrupt; the turns are told by the buttons' values."""
    session = working()
    for number in range(2, 7):
        session = tell(session, prompt(number, user_id="U0000002"))
    view = check(progress(session, session.history[0], ProgressPicture()))
    assert as_read(view) == (
        "🔵 *Working* – under 1 s\n"
        "⏳ <@U0000002>: do thing 2 [Now]\n⏳ <@U0000002>: do thing 3 [Now]\n⏳ <@U0000002>: do thing 4 [Now]\n"
        "⏳ … and 2 more\n[Cancel]"
    )
    assert view.blocks[1]["accessory"]["value"] == session.history[1].turn_id
    assert buttons(view)[0]["value"] == session.history[0].turn_id


def test_one_answer_to_several_messages_says_so() -> None:
    """While they are worked on, and when they are answered."""
    session = tell(answered(), prompt(2), prompt(3))
    session = tell(session, ev.TurnClaimed(session.launch, session.history[1].turn_id), now=T0 + 70)
    read = as_read(progress(session, session.history[1], ProgressPicture()))
    assert read.startswith("🔵 *Working* – under 1 s, 2 messages together")
    session = tell(session, ended_turn(session), now=T0 + 72)
    read = as_read(answer(session, session.history[1]).view)
    assert read.startswith("↪ <@U0000001>: do thing 2\n↪ <@U0000001>: do thing 3\nDone.\n")
    assert "took 2 s · nothing changed · answers 2 messages" in read


def test_an_answer_says_what_it_answers_where_that_does_not_stand_right_above() -> None:
    """Somebody else's prompt, or answer, came in between; an answer that was given stays as it was."""
    first = answered()
    assert as_read(answer(first, first.history[0]).view).startswith("Done.\nAsked by <@U0000001> · ")
    session = tell(working(), prompt(2, "and the docs", user_id="U0000002"))
    session = tell(session, ended_turn(session), now=T0 + 60)
    assert as_read(answer(session, session.history[0]).view) == (
        "↪ <@U0000001>: do thing 1\nDone.\ntook 1 min · nothing changed"
    )
    session = tell(session, ev.AnswerPosted(session.history[0].turn_id, f"{T0}.900001"), now=T0 + 61)
    session = tell(session, ev.TurnClaimed(session.launch, session.history[1].turn_id), now=T0 + 61)
    session = tell(session, ended_turn(session), now=T0 + 62)
    assert as_read(answer(session, session.history[1]).view).startswith("↪ <@U0000002>: and the docs\nDone.\n")
    later = tell(first, prompt(950_000))
    assert as_read(answer(later, first.history[0]).view) == as_read(answer(first, first.history[0]).view)


def test_progress_of_a_cancelled_turn() -> None:
    """It says that it is being ended, and offers that no longer."""
    read = as_read(progress(CANCELLING, CANCELLING.history[0], ProgressPicture("x" * 3_000)))
    assert read == "🔵 *Cancelling* – under 1 s"


# --------------------------------------------------------------------------------------- replies and errors


def test_help_reads() -> None:
    """All commands, the words with `!`, three examples, and what becomes of replies."""
    read = as_read(check(replies.help_text("/devflow")))
    for verb in ("start", "list", "status", "stop", "cancel", "pr", "retry", "help"):
        assert f"• `/devflow {verb}" in read
    assert "`/devflow` alone opens a form" in read
    for word in ("!stop", "!cancel", "!pr", "!status", "!retry", "!help", "!aside"):
        assert f"`{word}`" in read
    assert "stopped by itself wakes it" in read
    assert read.split("*For example*\n")[1].count("`/devflow") == 3


ENTRY = IndexEntry(
    "1a2b3c4d-0000-4000-8000-000000000000", "U1", T0, T0, "running", T0, "acme", "shop", BRANCH, pr_number=12, pr_url=PR
)


def test_a_list_reads() -> None:
    """A line a session, the way on to the next page; none = how to begin."""
    gone = replace(ENTRY, session_id="9" * 36, status="error", created_at=T0 - 90_000, pr_number=None)
    view = check(
        replies.session_list(
            [ENTRY, gone], T0 + 300, cursor="abc", permalinks={ENTRY.session_id: "https://s.example/p1"}
        )
    )
    assert as_read(view) == (
        f"`1a2b3c4d` *acme/shop* · `{BRANCH}` · running · 5 min ago · <{PR}|Pull request #12> · "
        "<https://s.example/p1|thread>\n"
        f"`99999999` *acme/shop* · `{BRANCH}` · ended with an error · 25 h ago\n"
        "[More]"
    )
    assert "/devflow start" in as_read(replies.session_list([], T0))
    assert "… and 10 more" in as_read(replies.session_list([ENTRY] * 30, T0))


def test_a_list_of_long_lines_stays_within_one_message() -> None:
    """Fewer sessions are shown then, and it says how many are not."""
    long = replace(ENTRY, pr_url="https://x.example/" + "p" * 2_000)
    read = as_read(check(replies.session_list([long] * 10, T0)))
    assert "… and 7 more" in read


def test_a_choice_reads() -> None:
    """Which sessions, and the exact words to type."""
    read = as_read(check(replies.choose_session([ENTRY, ENTRY, ENTRY], "stop", T0)))
    assert read.startswith("You have 3 live sessions:\n• `1a2b3c4d` *acme/shop*")
    assert read.endswith("Name one: `/devflow stop 1a2b3c4d`")
    assert "and 10 more: `/devflow list`" in as_read(replies.choose_session([ENTRY] * 30, "pr", T0, live=False))
    assert as_read(replies.choose_session([], "pr", T0)).endswith("`/devflow pr`")


def test_a_status_reads() -> None:
    """Five lines, and more only where there is more."""
    view = check(replies.session_status(opened(working()), T0 + 300, permalink="https://s.example/p1"))
    assert as_read(view) == (
        f"`a09e1f62` *running* – <{SHOP}|acme/shop>, begun 5 min ago by <@U0000001>\n"
        f"Branch {BRANCH_LINK} from `main`\n"
        "Task *RUNNING* – the worker is up\n"
        "Working on a prompt by <@U0000001>\n"
        f"<{PR}|Pull request #12>\n"
        "<https://s.example/p1|Its thread>"
    )
    plain = as_read(replies.session_status(a_session(status=Status.STOPPED), T0))
    assert plain.splitlines()[2:] == ["No task", "No prompt in work", "No pull request"]
    assert "exit code 137" in as_read(replies.session_status(failed(), T0))


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (replies.none_found("stop"), "no session to use `stop` on"),
        (replies.none_found("stop", "1a2b"), "no session that `1a2b` names"),
        (replies.session_gone(), "forgotten 24 hours"),
        (replies.accepted("stop", answered()), "Stopping…"),
        (replies.accepted("pr", answered()), "Opening the pull request…"),
        (replies.accepted("pr", opened(answered())), f"<{PR}|Pull request #12> is open already."),
        (replies.accepted("cancel", answered()), "Cancelling…"),
        (replies.accepted("retry", answered()), "Retrying…"),
        (replies.accepted("dance", answered()), "It will be done…"),
        (error_view(DevflowError("No <b>.", "Do & go."), "abc"), "No &lt;b&gt;.\nDo &amp; go.\nReference `abc`"),
        (error_view(DevflowError("")), "That did not work."),
        (unknown_error("r-1"), "give the reference `r-1`"),
    ],
)
def test_small_replies_read(view: object, said: str) -> None:
    """One sentence each."""
    assert said in as_read(check(view))  # type: ignore[arg-type]


IMPOSSIBLE = IllegalTransition("StopRequested has no place in a session that is stopped.", "Nothing was changed.")


@pytest.mark.parametrize(
    ("session", "asked", "said"),
    [
        (stopped(), "stop", "stopped already, by <@U0000002>, so there is nothing to stop."),
        (tell(stopped(), prompt(2)), "stop", "Retry in its thread runs the last prompt again."),
        (idle(), "cancel", "already stopped itself, so nothing is being worked on. A reply in its thread starts it"),
        (failed(), "stop", "already ended with an error, so there is nothing to stop. Retry in its thread"),
        (failed(), "retry", "cannot be started again just now. Try again in a moment."),
        (stopped(), "pr", "no pull request can be opened just now. Try again"),
        (stopped(), "prompt", "so the prompt was not taken."),
        (stopped(), "fly", "so that was not done."),
        (a_session(status=Status.STOPPED), "stop", "This session is over already, so"),
        (tell(working(), ev.ThreadLost("x")), "stop", "This session is over already, so"),
        (tell(stopped(), ev.ThreadLost("x")), "stop", "stopped already"),
        (working(), "stop", escape(IMPOSSIBLE.summary)),
    ],
)
def test_what_cannot_be_done_reads(session: Session, asked: str, said: str) -> None:
    """A friendly sentence for each status, and what can be done instead."""
    view = check(illegal(IMPOSSIBLE, session, asked))
    assert said in as_read(view)


@pytest.mark.parametrize(
    ("seconds", "took", "ago"),
    [
        (-5, "under 1 s", "just now"),
        (59, "59 s", "just now"),
        (60, "1 min", "1 min ago"),
        (125, "2 min 5 s", "2 min ago"),
        (3600, "1 h", "1 h ago"),
        (3780, "1 h 3 min", "1 h ago"),
        (47 * 3600, "47 h", "47 h ago"),
        (72 * 3600, "3 days", "3 days ago"),
    ],
)
def test_times_in_words(seconds: int, took: str, ago: str) -> None:
    """Two units at most."""
    assert words.duration(seconds) == took
    assert words.age(seconds) == ago


def test_names_in_words() -> None:
    """What is no id is shown, what is no address is no link, what would end code type does not."""
    assert words.mention("U0000001") == "<@U0000001>"
    assert words.mention("<!channel>") == "&lt;!channel&gt;"
    assert words.code("a`b\nc") == "`a'b c`"
    assert words.code("") == "`?`"
    assert words.link("javascript:alert(1)", "x") == "x"
    assert words.shown("&&&&", 11) == "&amp;&amp;…"
    assert words.status_words("paused") == "paused"


def test_a_pull_requests_body_mentions_nobody() -> None:
    """Prompts stand in fences longer than any of their own."""
    session = tell(answered(), prompt(2, "closes #1 @team\n````\ncode\n````"))
    session = tell(session, ev.TurnClaimed(session.launch, session.history[1].turn_id))
    session = tell(session, ended_turn(session))
    body = pull_request_body(session, "https://s.example/p1", proposed_body(session, None))
    assert "`````text\ncloses #1 @team" in body
    assert "```text\ndo thing 1\n```" in body
    assert "[The thread](https://s.example/p1)" in body
    assert session.session_id in body
    first = pull_request_body(a_session(), None, proposed_body(a_session(), None))
    assert "fix the flaky checkout test" in first
    assert "The thread" not in first
