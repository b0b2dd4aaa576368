"""From a wish to a stored session: look before the leap, post the root, store, and only then acknowledge.

Called by the front desk. Everything that can be wrong is found before the root message is posted, so that nobody
sees a session that never was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from slackbot.admission import Admission
from slackbot.core.agent_names import AGENT_NAMES
from slackbot.core.attachments import Attached, choose, with_earlier
from slackbot.core.clipping import MAX_PROMPT_BYTES, clip
from slackbot.core.errors import DevflowError, PermanentError, Refused, TemporaryError
from slackbot.core.naming import branch_name_for
from slackbot.core.ports import Chat, CodeHost, Repository, SessionStore
from slackbot.core.repository_name import RepositoryName
from slackbot.core.repository_policy import Policies
from slackbot.core.session import (
    TTL_SECONDS,
    Branch,
    PullRequestState,
    Session,
    Status,
    Thread,
    Turn,
    TurnState,
    derive_session_id,
)
from slackbot.core.start_request import StartRequest
from slackbot.engine import Engine
from slackbot.session_limits import Place, SessionLimits
from slackbot.start_checks import StartChecks
from slackbot.views.attachments import files_left_out
from slackbot.views.card import (
    MAX_PROMPT,
    ROOT_EVENT_TYPE,
    RootRequest,
    parse_root_metadata,
    prompt_of_root,
    root,
    root_metadata,
)
from slackbot.views.language import DEFAULT, say

__all__ = ["LostRoot", "SessionStarter", "StartLimits", "StartRequest"]

log = structlog.get_logger()

FORM_SECONDS = 600
FORM_SESSIONS = 5
"""A form is sent again within this time, and before so many other sessions of the person began."""

CHECK_SECONDS = 2.0
"""Slack gives a command 3 seconds in all; what cannot be checked in this time is not begun."""


@dataclass(frozen=True)
class StartLimits:
    """How many sessions may be live, and which agent works where nobody names one; `agents` can be named."""

    max_sessions: int
    max_sessions_per_user: int
    default_agent: str
    agents: tuple[str, ...] = AGENT_NAMES


@dataclass(frozen=True)
class LostRoot:
    """A root message of ours, as it stands in its thread."""

    channel_id: str
    thread_ts: str
    wish: RootRequest
    prompt: str
    status_ts: str
    """The card: the root itself, or our reply in a thread that people began."""

    @property
    def ran_before(self) -> bool:
        """Whether a session was ever stored for it."""
        return self.wish.branch_name is not None


class SessionStarter:
    """Starts sessions, and starts them again from their root message where the store knows nothing of them."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: SessionStore,
        chat: Chat,
        code_host: CodeHost,
        admission: Admission,
        team_id: str,
        bot_user_id: str,
        limits: StartLimits,
        policies: Policies,
    ) -> None:
        self._engine = engine
        self._store = store
        self._chat = chat
        self._code_host = code_host
        self._admission = admission
        self._team_id = team_id
        self._bot_user_id = bot_user_id
        self.limits = SessionLimits(
            store,
            now=engine.now,
            max_sessions=limits.max_sessions,
            max_sessions_per_user=limits.max_sessions_per_user,
        )
        self._default_agent = limits.default_agent
        self._policies = policies
        self.checks = StartChecks(
            code_host=code_host, admission=admission, limits=self.limits, policies=policies, agents=limits.agents
        )

    async def start(self, request: StartRequest) -> Session:
        """Posts the root and stores the session, durable on return. Raises before the root what is wrong.

        In a thread that people began no root is posted: the card is going to be a reply. The same request there
        twice is one session, and so is the same form twice.
        """
        begun = await self._begun_by(request)
        if begun is not None:
            return begun
        with self.limits.place(request.user_id, replaces=request.replaces) as place:
            return await self._start(request, place)

    async def _start(self, request: StartRequest, place: Place) -> Session:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                repository = await self.checks.check(request, place)
        except TimeoutError as error:
            raise TemporaryError(
                "GitHub or Slack took too long to answer, so nothing was started.", "Try again in a moment."
            ) from error
        base_branch = request.base_branch or repository.default_branch
        agent, model, mode = self._choice(request, repository.name)
        language = await self._admission.language(request.user_id)
        thread_ts = request.thread_ts or await self._post_root(request, repository, base_branch, language)
        session = self._new_session(request, repository, thread_ts, base_branch, agent, language)
        session = replace(session, model=model, mode=mode)
        place.session_id = session.session_id
        session = await self._with_first_turn(session, request)
        begun = await self._begun_by(request)
        if begun is not None:
            await self._take_back(session)
            return begun
        try:
            created = await self._engine.create(session)
        except DevflowError:
            if request.thread_ts is None:
                await self._take_back(session)
            raise
        if not created:
            return await self._already_there(session)
        log.info(
            "session_started",
            session_id=session.session_id,
            user_id=session.user_id,
            repository=session.repository.full_name,
            agent=agent,
        )
        return session

    async def _begun_by(self, request: StartRequest) -> Session | None:
        """The session that the same form began a moment ago; whoever sent it was not told."""
        if request.request_id is None or request.thread_ts is not None:
            return None
        now = self._engine.now()
        page = await self._store.list_by_user(request.user_id, now, FORM_SESSIONS)
        for entry in page.entries:
            session = await self._engine.load(entry.session_id) if now - entry.created_at < FORM_SECONDS else None
            if session is not None and request.request_id in session.heard:
                return session
        return None

    async def _post_root(self, request: StartRequest, repository: Repository, base_branch: str, language: str) -> str:
        agent, model, mode = self._choice(request, repository.name)
        view = root(
            request.prompt,
            repository.name,
            base_branch,
            agent,
            request.user_id,
            repository_url=repository.html_url,
            language=language,
        )
        metadata = root_metadata(
            repository=repository.name,
            base_branch=base_branch,
            agent=agent,
            user_id=request.user_id,
            model=model,
            mode=mode,
        )
        return await self._chat.post_message(request.channel_id, text=view.text, blocks=view.blocks, metadata=metadata)

    async def _already_there(self, session: Session) -> Session:
        """The thread's session, where it is the very one that was asked for: Slack delivered the message again."""
        there = await self._engine.load(session.session_id)
        if there is not None and there.turn(session.history[0].turn_id) is not None:
            return there
        raise Refused(
            "There is a session in this thread already, so none was started.",
            "Mention @DevFlow in the thread to tell it what to do.",
        )

    async def find_root(self, channel_id: str, thread_ts: str) -> LostRoot | None:
        """What the root of a thread asks for, or, in a thread that people began, our card; None where neither is."""
        found = await self._chat.get_message(channel_id, thread_ts, thread_ts)
        if found is None:
            return None
        if found.user_id != self._bot_user_id:
            cards = await self._chat.find_messages(channel_id, thread_ts, event_type=ROOT_EVENT_TYPE)
            found = cards[0] if cards else None
        wish = parse_root_metadata(found.metadata) if found is not None else None
        if found is None or wish is None:
            return None
        return LostRoot(channel_id, thread_ts, wish, prompt_of_root(found.text), found.ts)

    async def revive(self, lost: LostRoot) -> Session | None:
        """A session for a root of ours that the store knows nothing of: a crash came between the root and its
        session, or the item expired. All that `start` asks for must still be so, for the root's owner.
        """
        session_id = derive_session_id(self._team_id, lost.channel_id, lost.thread_ts)
        # Expired while no bot was there, and not over: it must not be written over.
        if await self._engine.rescue(session_id, 0):
            return await self._engine.load(session_id)
        with self.limits.place(lost.wish.user_id, session_id) as place:
            return await self._revive(lost, place)

    async def _revive(self, lost: LostRoot, place: Place) -> Session | None:
        wish, channel_id, thread_ts = lost.wish, lost.channel_id, lost.thread_ts
        request = StartRequest(wish.user_id, channel_id, wish.repository, lost.prompt)
        repository = await self.checks.check(request, place, must_post=False)
        language = await self._admission.language(wish.user_id)
        session = self._new_session(request, repository, thread_ts, wish.base_branch, wish.agent, language)
        session = replace(session, model=wish.model, mode=wish.mode)
        session = replace(session, thread=replace(session.thread, status_ts=lost.status_ts))
        if wish.branch_name is None:
            session = await self._with_first_turn(session, request)
        else:
            # It ran before: the branch may hold work, and only what is said now is a prompt.
            branch = await self._code_host.get_branch(repository, wish.branch_name)
            session = replace(
                session,
                branch_name=wish.branch_name,
                branch=Branch(base_sha=branch.head_sha if branch else None),
                pr_number=wish.pr_number,
                pr_url=wish.pr_url,
                pull_request=await self._pull_request_of(wish, repository),
            )
        if await self._engine.create(session):
            log.info("session_revived", session_id=session.session_id, ran_before=lost.ran_before)
            return session
        return await self._engine.load(session.session_id)

    # ---------------------------------------------------------------------------------- parts

    async def _pull_request_of(self, wish: RootRequest, repository: Repository) -> PullRequestState:
        """What has become of the pull request since; unknown where GitHub does not say."""
        if wish.pr_number is None:
            return PullRequestState()
        try:
            return PullRequestState(state=(await self._code_host.get_pull_request(repository, wish.pr_number)).state)
        except DevflowError as error:
            log.info("pull_request_not_read", repository=wish.repository.full_name, why=error.summary)
            return PullRequestState()

    def _choice(self, request: StartRequest, name: RepositoryName) -> tuple[str, str | None, str | None]:
        """Agent, model and mode: what the person said, else the rule for the repository, else the usual agent."""
        rule = self._policies.of(name)
        ruled = (rule.agent, rule.model, rule.mode) if rule is not None else (None, None, None)
        agent = request.agent or ruled[0] or self._default_agent
        # Models and modes are an agent's own: those of the rule are for the rule's agent.
        fits = ruled[0] is None or agent == ruled[0]
        return agent, request.model or (ruled[1] if fits else None), request.mode or (ruled[2] if fits else None)

    def _new_session(
        self,
        request: StartRequest,
        repository: Repository,
        thread_ts: str,
        base_branch: str,
        agent: str,
        language: str,
    ) -> Session:
        now = self._engine.now()
        session_id = derive_session_id(self._team_id, request.channel_id, thread_ts)
        return Session(
            session_id=session_id,
            user_id=request.user_id,
            repository=repository.name,
            repository_url=repository.html_url,
            branch_name=branch_name_for(request.prompt, session_id),
            status=Status.STARTING,
            initial_prompt=clip(request.prompt, MAX_PROMPT_BYTES)[0],
            github_installation_id=repository.installation_id,
            created_at=now,
            updated_at=now,
            ttl=now + TTL_SECONDS,
            base_branch=base_branch,
            agent=agent,
            thread=Thread(
                team_id=self._team_id,
                channel_id=request.channel_id,
                thread_ts=thread_ts,
                # In a thread that people began the card is a reply, which is still to be posted.
                status_ts=thread_ts if request.thread_ts is None else None,
                language=None if language == DEFAULT else language,
            ),
            heard=(request.request_id,) if request.request_id else (),
            launch=self._engine.now_milliseconds(),
        )

    async def _with_first_turn(self, session: Session, request: StartRequest) -> Session:
        thread, prompt = session.thread, request.prompt
        stored, shortened = clip(prompt, MAX_PROMPT_BYTES)
        file_id = None
        if shortened or (request.prompt_ts is None and len(prompt) > MAX_PROMPT):
            try:
                title = say(session.language, "start.prompt_file")
                file_id = await self._chat.upload_file(
                    thread.channel_id, thread.thread_ts, filename="prompt.md", title=title, content=prompt
                )
            except (PermanentError, TemporaryError) as error:
                log.warning("prompt_not_attached", session_id=session.session_id, why=error.summary)
        first = Turn(
            turn_id=f"{thread.channel_id}:{request.prompt_ts or thread.thread_ts}",
            user_id=session.user_id,
            prompt=stored,
            state=TurnState.QUEUED,
            prompted_at=session.created_at,
            prompt_ts=request.prompt_ts,
            prompt_file=file_id if shortened else None,
            context=request.context,
            shortened=shortened,
            files=await self._files_of(request, thread.thread_ts),
        )
        return replace(session, history=(first,))

    async def _files_of(self, request: StartRequest, thread_ts: str) -> tuple[Mapping[str, str | int], ...]:
        """What is attached to the message that the session begins from, and to what goes along with it."""
        own: tuple[Attached, ...] = ()
        try:
            if request.prompt_ts is not None:
                message = await self._chat.get_message(request.channel_id, thread_ts, request.prompt_ts)
                own = message.files if message is not None else ()
            files, left_out = choose(own)
            if left_out:
                view = files_left_out(left_out, language=await self._admission.language(request.user_id))
                await self._chat.post_ephemeral(
                    request.channel_id, request.user_id, text=view.text, blocks=view.blocks, thread_ts=thread_ts
                )
        except DevflowError as error:
            log.warning("files_not_read", channel_id=request.channel_id, why=error.summary)
            files = ()
        along, _ = choose(request.files)
        return with_earlier([file.entry() for file in files], [file.entry() for file in along])

    async def _take_back(self, session: Session) -> None:
        thread = session.thread
        try:
            await self._chat.delete_message(thread.channel_id, thread.thread_ts)
        except DevflowError as error:
            log.warning("root_not_taken_back", session_id=session.session_id, why=error.summary)
