"""The desks that people come to, made and joined: what each needs of the others, in one place.

Called by the composition root; listeners get the whole of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from slackbot.address_desk import AddressDesk
from slackbot.admission import Admission
from slackbot.answer_desk import AnswerDesk
from slackbot.audit import AuditLog
from slackbot.command_desk import CommandDesk
from slackbot.core.ports import Chat, CodeHost, SessionStore
from slackbot.core.repository_policy import Policies
from slackbot.core.session import Session
from slackbot.editor_links import EditorLinks
from slackbot.engine import Engine
from slackbot.forget_desk import ForgetDesk
from slackbot.form_desk import FormDesk
from slackbot.front_desk import FrontDesk
from slackbot.home_desk import HomeDesk
from slackbot.listen_desk import ListenDesk
from slackbot.pull_request_acts import TermsOf
from slackbot.pull_request_desk import PullRequestDesk
from slackbot.session_finder import SessionFinder
from slackbot.session_start import SessionStarter, StartLimits
from slackbot.start_desk import StartDesk
from slackbot.start_reading import StartReading


@dataclass(frozen=True)
class Workspace:
    """Who the bot is, and where: of auth.test and of the code host."""

    team_id: str
    bot_user_id: str
    url: str
    """"" = not known."""
    hosts: frozenset[str]
    """Host names under which people name repositories."""


@dataclass(frozen=True)
class Desks:
    commands: CommandDesk
    """`/devflow ...`, and every verb about a session."""
    front: FrontDesk
    """Replies and the buttons of sessions."""
    start: StartDesk
    """What is asked before a session begins."""
    form: FormDesk
    address: AddressDesk
    """Mentions and direct messages."""
    listen: ListenDesk
    """Words between people that were meant for DevFlow."""
    pull_requests: PullRequestDesk
    """Forms and buttons of pull requests."""
    home: HomeDesk
    answers: AnswerDesk
    """What an answer changed, and what the agent asks."""


def open_desks(
    *,
    engine: Engine,
    store: SessionStore,
    chat: Chat,
    code_host: CodeHost,
    admission: Admission,
    audit: AuditLog,
    workspace: Workspace,
    limits: StartLimits,
    policies: Policies,
    raise_limit: Callable[[Session, str, str], Awaitable[None]],
    editor_links: EditorLinks | None,
    terms_of: TermsOf,
) -> Desks:
    """All desks, on the same engine, store and ports; `raise_limit` lets a session go past what may be spent."""
    starter = SessionStarter(
        engine=engine,
        store=store,
        chat=chat,
        code_host=code_host,
        admission=admission,
        team_id=workspace.team_id,
        bot_user_id=workspace.bot_user_id,
        limits=limits,
        policies=policies,
    )
    reading = StartReading(
        engine=engine,
        store=store,
        chat=chat,
        checks=starter.checks,
        bot_user_id=workspace.bot_user_id,
        hosts=workspace.hosts,
    )
    form = FormDesk(
        engine=engine,
        starter=starter,
        reading=reading,
        chat=chat,
        code_host=code_host,
        admission=admission,
        team_id=workspace.team_id,
        bot_user_id=workspace.bot_user_id,
        hosts=workspace.hosts,
        workspace_url=workspace.url,
    )
    start = StartDesk(
        starter=starter,
        reading=reading,
        form=form,
        chat=chat,
        admission=admission,
        hosts=workspace.hosts,
        workspace_url=workspace.url,
    )
    finder = SessionFinder(engine=engine, store=store, admission=admission, workspace_url=workspace.url)
    commands = CommandDesk(
        engine=engine,
        limits=starter.limits,
        start_desk=start,
        finder=finder,
        admission=admission,
        audit=audit,
        forgetting=ForgetDesk(engine=engine, audit=audit),
        team_id=workspace.team_id,
        workspace_url=workspace.url,
        hosts=workspace.hosts,
        raise_limit=raise_limit,
        editor_links=editor_links,
    )
    front = FrontDesk(
        engine=engine,
        starter=starter,
        commands=commands,
        admission=admission,
        team_id=workspace.team_id,
        bot_user_id=workspace.bot_user_id,
    )
    address = AddressDesk(
        front=front, commands=commands, start=start, starter=starter, bot_user_id=workspace.bot_user_id
    )
    pull_requests = PullRequestDesk(
        engine=engine,
        front=front,
        chat=chat,
        code_host=code_host,
        admission=admission,
        limits=starter.limits,
        terms_of=terms_of,
    )
    home = HomeDesk(engine=engine, chat=chat, admission=admission, commands=commands, finder=finder)
    listen = ListenDesk(front=front, chat=chat)
    answers = AnswerDesk(engine=engine, front_desk=front, chat=chat, code_host=code_host)
    return Desks(
        commands=commands,
        front=front,
        start=start,
        form=form,
        address=address,
        pull_requests=pull_requests,
        home=home,
        listen=listen,
        answers=answers,
    )
