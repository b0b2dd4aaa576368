"""What card and notice say of launches that are repeated or must wait, and the link to a task's log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slackbot.core import events as ev
from slackbot.core.session import Session, TaskState
from slackbot.views.card import card
from slackbot.views.notice import notice
from slackbot.views.task_words import attempt_line, log_link, task_line
from tests.core.builders import T0, a_session, failed, observed, prompt, running, starting, tell

LOG = "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#logsV2:log-groups/log-group/g"


def logged(session: Session, url: str | None = LOG) -> Session:
    return replace(session, task=replace(session.task, log_url=url))


def test_which_attempt_it_is() -> None:
    """Only while starting, and only after a launch was lost; the reason is shown as text, whatever it holds."""
    again = starting(task=TaskState(failed_launches=1, launch_fault="Spot <!channel> & gone."))
    assert attempt_line(again) == "Attempt 2 of 3 – the last one failed: Spot &lt;!channel&gt; &amp; gone."
    assert str(attempt_line(again)) in str(card(again).blocks)
    assert attempt_line(starting()) is None
    assert attempt_line(replace(running(), task=again.task)) is None


def test_what_is_waited_for() -> None:
    """Of the branch as of the task."""
    session = tell(a_session(), prompt(1))
    session = tell(session, ev.LaunchDelayed(session.launch, "GitHub did not answer."))
    assert task_line(session) == "Task: making the branch first – GitHub did not answer."
    session = tell(session, ev.BranchMade(session.branch_name, "b" * 40))
    session = tell(session, ev.LaunchDelayed(session.launch, "There is no room."))
    assert task_line(session) == "Task: being asked for – There is no room."


def test_the_link_to_the_log() -> None:
    """On the card while there is a task, and in the notice of its end, also when the session has long gone on."""
    session = logged(running())
    assert f"<{LOG}|Task log>" in str(card(session).blocks)
    ended = tell(session, observed(session, "STOPPED", exit_code=3), now=T0 + 60)
    again = tell(ended, ev.RetryRequested("press:1", "U1"), now=T0 + 90)
    for later in (ended, again):
        assert f"<{LOG}|Task log>" in str(notice(later, later.thread.notices[0]).blocks)


@pytest.mark.parametrize("url", [None, "", "javascript:alert(1)", "https://x.example/|<!channel>"])
def test_no_log_or_none_that_may_be_linked(url: str | None) -> None:
    """Then nothing is said of it."""
    assert log_link(url) is None
    assert "Task log" not in str(card(logged(running(), url)).blocks)
    session = failed()
    assert "Task log" not in str(notice(session, session.thread.notices[0]).blocks)
