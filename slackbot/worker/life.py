"""A worker's life: ask for the session, check out, start the agent, work on turns, save, leave.

Everything comes from and goes to the gateway (GatewayClient) and the repository (Checkout, Publisher).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

import structlog

from slackbot.core.errors import DevflowError, PermanentError, TemporaryError
from slackbot.core.redaction import redact
from slackbot.worker.acp_session import Choice
from slackbot.worker.agent import AgentHost
from slackbot.worker.agent_setup import ModelAccess
from slackbot.worker.checkout import Checkout
from slackbot.worker.editor import Editor, editor_environment, find_editor, own_address
from slackbot.worker.gateway_client import Fenced, GatewayClient, ToldToStop, patiently
from slackbot.worker.git import Credentials
from slackbot.worker.merging import abandon_merge
from slackbot.worker.model_proxy import ModelProxy
from slackbot.worker.place import Place
from slackbot.worker.project_steps import ProjectSteps
from slackbot.worker.publish import NotPushed, Publisher
from slackbot.worker.turn import TurnRunner
from slackbot.worker_protocol import Answer, GithubToken, Leaving, SessionInfo, TurnWork

log = structlog.get_logger()

START_SECONDS = 600.0
"""How long a worker tries to reach the gateway before it has a session."""
TOKEN_MARGIN_SECONDS = 300
"""A GitHub token that ends sooner than this is replaced before it is used."""
SAVE_SECONDS = 120.0
"""How long saving may take when nobody is in a hurry."""
SAVE_AT_SIGNAL_SECONDS = 9.0
"""The same after a signal: cancel (4 s), answer (3 s), save and last word (3 s) fit in 20 s; ECS kills after 30 s."""
LAST_WORD_SECONDS = 3.0
KEPT_ANSWERS = 8
EDITING_SECONDS = 120.0
"""Who did nothing in the editor for so long is taken to be elsewhere."""
EMPTY_POLL_PAUSE_SECONDS = 0.2

Reason = Literal["idle", "age", "signal", "failure"]
_Result = TypeVar("_Result")


class _Leave(Exception):  # not an error: the way out of the loop
    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.detail = detail


class Life:
    """One worker. `leaving` is set by a signal; `secrets` are hidden in all that is sent and logged."""

    def __init__(
        self, gateway: GatewayClient, place: Place, leaving: asyncio.Event, secrets: set[str], began: float
    ) -> None:
        self._gateway = gateway
        self._place = place
        self._leaving = leaving
        self._secrets = secrets
        self._began = began
        self._github: GithubToken | None = None
        self._checkout: Checkout | None = None
        self._publisher: Publisher | None = None
        self._host: AgentHost | None = None
        self._editor: Editor | None = None
        self._steps: ProjectSteps | None = None
        self._proxy: ModelProxy | None = None
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    async def live(self) -> int:
        """From the first question to the last word; gives the exit status."""
        try:
            try:
                info = await self._unless_leaving(
                    patiently(self._gateway.session, deadline=self._began + START_SECONDS, what="session")
                )
                info, runner = await self._begin(info)
                await self._work(info, runner)
            except _Leave as leave:
                return await self._leave(leave)
            except Fenced:
                raise
            except ToldToStop as told:
                return await self._leave(_Leave("signal", told.summary))
            except DevflowError as error:
                return await self._leave(_Leave("failure", f"{error.summary} {error.remedy}".strip()))
            except Exception as error:  # the session must hear of it, whatever it was
                log.exception("worker_stumbled")
                return await self._leave(_Leave("failure", f"The worker stumbled: {type(error).__name__}: {error}"))
        except Fenced as fenced:
            log.info("worker_fenced", why=fenced.summary)
            return 0
        finally:
            if self._host is not None:
                await self._host.discard()
            if self._steps is not None:
                await self._steps.close()
            if self._editor is not None:
                await self._editor.close()
            if self._proxy is not None:
                await self._proxy.close()
        return 0

    # -- beginning ----------------------------------------------------------------------------------

    async def _begin(self, info: SessionInfo) -> tuple[SessionInfo, TurnRunner]:
        """Checks out and starts the agent; gives the session as its repository lowers it, and the runner."""
        began = time.monotonic()
        self._deadline = self._began + info.max_session_seconds
        checkout = Checkout(self._place, info)
        publisher = Publisher(checkout, self._credentials(checkout))
        await self._unless_leaving(publisher.clone())
        self._checkout, self._publisher = checkout, publisher
        log.info("checked_out", branch=info.branch_name, seconds=round(time.monotonic() - began, 2))
        self._steps = ProjectSteps(checkout, self._redact)
        info = await self._steps.begin(info)
        self._host = AgentHost(
            info.agent,
            self._place.checkout,
            self._place.home,
            self._redact,
            info.permissions,
            choice=Choice(info.model, info.mode),
            access=await self._model_access(info),
            confinement=self._place.confinement,
        )
        await self._unless_leaving(self._host.ensure())
        port = await self._open_editor(info)
        await self._unless_leaving(patiently(lambda: self._gateway.ready(port), deadline=self._deadline, what="ready"))
        log.info("worker_ready", seconds=round(time.monotonic() - self._began, 2))
        return info, TurnRunner(
            info, self._gateway, self._host, checkout, publisher, self._leaving, self._redact, self._editor, self._steps
        )

    async def _open_editor(self, info: SessionInfo) -> int | None:
        """The port of the door to the editor; None where there is none."""
        program = find_editor()
        if info.editor_secret is None or program is None:
            return None
        self._secrets.add(info.editor_secret)
        self._editor = Editor(
            program,
            checkout=self._place.checkout,
            home=self._place.home,
            environment=editor_environment(self._place.home),
            secret=info.editor_secret,
            confinement=self._place.confinement,
        )
        try:
            host = await asyncio.to_thread(own_address, self._gateway.base_url)
            return await self._editor.open_door(host, self._place.editor_port)
        except OSError as error:
            log.warning("editor_door_not_opened", why=error.strerror)
            return None

    async def _model_access(self, info: SessionInfo) -> ModelAccess | None:
        """A proxy for the agent's calls to models, where the gateway has any; it lives as long as the worker."""
        if not info.model_providers:
            return None
        proxy = ModelProxy(self._gateway.base_url, self._gateway.token)
        await proxy.start()
        self._proxy = proxy
        self._secrets.add(proxy.key)
        return ModelAccess(proxy.url, proxy.key, info.model_providers)

    def _credentials(self, checkout: Checkout) -> Any:
        async def source(renew: bool) -> Credentials:
            if renew or self._github is None or self._github.expires_at - time.time() < TOKEN_MARGIN_SECONDS:
                self._github = await patiently(
                    self._gateway.github_token, deadline=time.monotonic() + SAVE_SECONDS, what="github_token"
                )
                self._secrets.add(self._github.token)
            return Credentials(checkout.prefix, self._github.token)

        return source

    def _redact(self, text: str) -> str:
        # File names may hold bytes that are no text; JSON cannot carry them.
        return redact(text.encode("utf-8", "replace").decode(), self._secrets)

    # -- turns --------------------------------------------------------------------------------------

    async def _work(self, info: SessionInfo, runner: TurnRunner) -> None:
        """Turn after turn; ends by raising _Leave, Fenced or ToldToStop."""
        idle_until = time.monotonic() + info.idle_seconds
        while True:
            if time.monotonic() > self._deadline:
                seconds = await self._stay("age")
                if not seconds:
                    raise _Leave("age", f"The session reached its longest time, {info.max_session_seconds} seconds.")
                self._deadline = time.monotonic() + seconds
            asked_at = time.monotonic()
            work = await self._next_turn(await runner.unpushed_files())
            if work is None:
                if time.monotonic() >= idle_until and not self._in_editor(info.idle_seconds):
                    seconds = await self._stay("idle")
                    if not seconds:
                        raise _Leave("idle")
                    idle_until = time.monotonic() + seconds
                if time.monotonic() - asked_at < EMPTY_POLL_PAUSE_SECONDS:
                    await self._unless_leaving(asyncio.sleep(EMPTY_POLL_PAUSE_SECONDS))
                continue
            await self._turn(work, runner)
            idle_until = time.monotonic() + info.idle_seconds

    async def _stay(self, reason: Literal["idle", "age"]) -> int:
        """How many seconds more people want it to stay, before it leaves for a limit."""
        try:
            return await self._unless_leaving(self._gateway.stay(reason))
        except ToldToStop as told:
            raise _Leave("signal", told.summary) from told

    def _in_editor(self, seconds: float) -> bool:
        """Whether somebody worked in the editor within the last `seconds`."""
        active_at = self._editor.active_at if self._editor is not None else None
        return active_at is not None and time.monotonic() - active_at < seconds

    async def _next_turn(self, unpushed_files: int) -> TurnWork | None:
        try:
            return await self._unless_leaving(
                patiently(
                    lambda: self._gateway.next_turn(
                        in_editor=self._in_editor(EDITING_SECONDS), unpushed_files=unpushed_files
                    ),
                    deadline=self._deadline,
                    what="next_turn",
                )
            )
        except ToldToStop as told:
            raise _Leave("signal", told.summary) from told

    async def _turn(self, work: TurnWork, runner: TurnRunner) -> None:
        answer = self._answers.get(work.turn_id)
        if answer is None:
            try:
                answer = await runner.run(work)
            except ToldToStop:
                return  # the turn was taken away; the next question tells what is wanted
            self._answers[work.turn_id] = answer
            while len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
        else:
            log.info("turn_given_back", turn_id=work.turn_id)
        await self._deliver(work.turn_id, answer)

    async def _deliver(self, turn_id: str, answer: Answer) -> None:
        """Repeats the answer until the gateway has it or wants it no more."""

        def delivery(deadline: float) -> Coroutine[Any, Any, None]:
            return patiently(lambda: self._gateway.answer(turn_id, answer), deadline=deadline, what="answer")

        try:
            try:
                await self._unless_leaving(delivery(self._deadline))
            except _Leave:
                await delivery(time.monotonic() + LAST_WORD_SECONDS)
                raise
        except ToldToStop as told:
            log.info("answer_not_wanted", turn_id=turn_id, why=told.summary)
        except PermanentError as error:
            log.error("answer_refused", turn_id=turn_id, why=error.summary)
            short = Answer(
                outcome="failed",
                response=f"The agent's answer could not be taken over: {error.summary} Its commits are on the branch.",
                commit_sha=answer.commit_sha,
                handle=answer.handle,
                reports=answer.reports,
            )
            try:
                await patiently(lambda: self._gateway.answer(turn_id, short), deadline=self._deadline, what="answer")
            except (PermanentError, ToldToStop) as again:
                log.error("answer_given_up", turn_id=turn_id, why=again.summary)

    # -- leaving ------------------------------------------------------------------------------------

    async def _leave(self, leave: _Leave) -> int:
        """Ends the agent, saves what is unsaved, says the last word."""
        log.info("worker_leaves", reason=leave.reason, detail=leave.detail)
        if self._steps is not None:
            await self._steps.close()
        if self._editor is not None:
            await self._editor.close()
        if self._host is not None:
            await self._host.discard()
        hurry = self._leaving.is_set()
        commit_sha, note = None, ""
        if self._checkout is not None and self._publisher is not None:
            try:
                async with asyncio.timeout(SAVE_AT_SIGNAL_SECONDS if hurry else SAVE_SECONDS):
                    commit_sha, note = await _save(self._checkout, self._publisher, leave.reason)
            except TimeoutError:
                note = "Unsaved work could not be pushed in time."
            except Fenced:
                raise
            except DevflowError as error:
                note = f"Unsaved work could not be pushed: {error.summary}"
        if note:
            log.warning("worker_save", note=note)
        word = Leaving(
            reason=leave.reason,
            detail=self._redact(" ".join(filter(None, (leave.detail, note))))[:2000],
            commit_sha=commit_sha,
        )
        deadline = time.monotonic() + (LAST_WORD_SECONDS if hurry else SAVE_SECONDS)
        try:
            await patiently(lambda: self._gateway.leaving(word), deadline=deadline, what="leaving")
        except (TemporaryError, ToldToStop, PermanentError) as error:
            log.warning("last_word_not_heard", why=error.summary)
        return 1 if leave.reason == "failure" else 0

    async def _unless_leaving(self, doing: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of `doing`; _Leave when a signal comes first, without beginning it if it came before."""
        if self._leaving.is_set():
            doing.close()
            raise _Leave("signal", "The task was told to stop.")
        task = asyncio.ensure_future(doing)
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Leave("signal", "The task was told to stop.")
        finally:
            for each in (task, leaving):
                each.cancel()
            await asyncio.gather(task, leaving, return_exceptions=True)


async def _save(checkout: Checkout, publisher: Publisher, reason: str) -> tuple[str | None, str]:
    """Commits and pushes what is unsaved. Gives the pushed commit, and a note when it went elsewhere."""
    await abandon_merge(checkout)
    head, _ = await checkout.commit_leftovers(f"Save unfinished work\n\nDevFlow-Saved: {reason}\n")
    try:
        published = await publisher.publish(head)
    except NotPushed as failure:
        branch = await publisher.rescue(head)
        return None, f"{failure.summary} The unsaved work is on the branch {branch}."
    return (published.commit_sha if published else None), ""
