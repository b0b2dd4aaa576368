"""What a worker has at hand for its turns, opened in order and closed together: the checkout and its publisher, the
repository's own steps, the agent, the web editor, the way to the models.

Data: the session as the gateway tells it in; a `TurnRunner` out. GitHub's short-lived tokens come from the gateway.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from slackbot.worker.agent_host import AgentHost
from slackbot.worker.agent_setup import ModelAccess
from slackbot.worker.agents import Choice
from slackbot.worker.checkout import Checkout
from slackbot.worker.editor import Editor, editor_environment, find_editor, own_address
from slackbot.worker.gateway_client import GatewayClient, patiently
from slackbot.worker.git_identity import Credentials
from slackbot.worker.leaving import SAVE_SECONDS, unless_leaving
from slackbot.worker.logs import log
from slackbot.worker.place import Place
from slackbot.worker.publish import Publisher
from slackbot.worker_protocol import GithubToken, SessionInfo

if TYPE_CHECKING:
    from slackbot.worker.model_proxy import ModelProxy
    from slackbot.worker.project_steps import ProjectSteps
    from slackbot.worker.turn import TurnRunner

TOKEN_MARGIN_SECONDS = 300
"""A GitHub token that ends sooner than this is replaced before it is used."""


class Equipment:
    """Of one worker. Whatever it learns that is secret goes into `secrets`, which `redact` hides."""

    def __init__(
        self,
        gateway: GatewayClient,
        place: Place,
        leaving: asyncio.Event,
        secrets: set[str],
        redact: Callable[[str], str],
    ) -> None:
        self._gateway = gateway
        self._place = place
        self._leaving = leaving
        self._secrets = secrets
        self._redact = redact
        self._github: GithubToken | None = None
        self._host: AgentHost | None = None
        self._steps: ProjectSteps | None = None
        self._proxy: ModelProxy | None = None
        self._loading: asyncio.Task[object] | None = None
        self.editor: Editor | None = None
        self.branch: tuple[Checkout, Publisher] | None = None
        """None until the repository is checked out."""

    async def open(self, info: SessionInfo, deadline: float) -> tuple[SessionInfo, TurnRunner]:
        """Checks out, starts the agent and says that it is ready; gives the session as its repository lowers it, and
        the runner. Leaves, and the errors of the parts, come through."""
        began = time.monotonic()
        checkout = Checkout(self._place, info)
        publisher = Publisher(checkout, self._credentials(checkout))
        if info.model_providers:  # their proxy needs it before the agent starts
            self._loading = asyncio.create_task(self._gateway.load())
        await unless_leaving(self._leaving, publisher.clone())
        self.branch = (checkout, publisher)
        log.info("checked_out", branch=info.branch_name, seconds=round(time.monotonic() - began, 2))
        # What is imported from here on need not be there for the checkout.
        from slackbot.worker.project_steps import ProjectSteps

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
        await unless_leaving(self._leaving, self._host.ensure())
        port = await self._open_editor(info)
        await unless_leaving(
            self._leaving, patiently(lambda: self._gateway.ready(port), deadline=deadline, what="ready")
        )
        # Nobody waits for it: calls go the plain way until it is there.
        self._loading = self._loading or asyncio.create_task(self._gateway.load())
        from slackbot.worker.turn import TurnRunner

        runner = TurnRunner(
            info,
            self._gateway,
            self._host,
            checkout,
            publisher,
            self._leaving,
            self._redact,
            self.editor,
            self._steps,
        )
        return info, runner

    async def put_down(self) -> None:
        """Ends what works in the checkout, so that it can be saved: set-up, editor and agent."""
        if self._steps is not None:
            await self._steps.close()
        if self.editor is not None:
            await self.editor.close()
        if self._host is not None:
            await self._host.discard()

    async def close(self) -> None:
        """Ends all of it; what was ended before is passed over."""
        await self.put_down()
        if self._proxy is not None:
            await self._proxy.close()
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)

    async def _open_editor(self, info: SessionInfo) -> int | None:
        """The port of the door to the editor; None where there is none."""
        program = find_editor()
        if info.editor_secret is None or program is None:
            return None
        self._secrets.add(info.editor_secret)
        self.editor = Editor(
            program,
            checkout=self._place.checkout,
            home=self._place.home,
            environment=editor_environment(self._place.home),
            secret=info.editor_secret,
            confinement=self._place.confinement,
        )
        try:
            host = await asyncio.to_thread(own_address, self._gateway.base_url)
            return await self.editor.open_door(host, self._place.editor_port)
        except OSError as error:
            log.warning("editor_door_not_opened", why=error.strerror)
            return None

    async def _model_access(self, info: SessionInfo) -> ModelAccess | None:
        """A proxy for the agent's calls to models, where the gateway has any; it lives as long as the worker."""
        if not info.model_providers:
            return None
        from slackbot.worker.model_proxy import ModelProxy

        proxy = ModelProxy(self._gateway.base_url, self._gateway.token)
        await proxy.start()
        self._proxy = proxy
        self._secrets.add(proxy.key)
        return ModelAccess(proxy.url, proxy.key, info.model_providers)

    def _credentials(self, checkout: Checkout) -> Any:
        async def source(renew: bool) -> Credentials:
            if renew or self._github is None or self._github.expires_at - time.time() < TOKEN_MARGIN_SECONDS:
                self._github = await patiently(
                    partial(self._gateway.github_token, renew=renew),
                    deadline=time.monotonic() + SAVE_SECONDS,
                    what="github_token",
                )
                self._secrets.add(self._github.token)
            return Credentials(checkout.prefix, self._github.token)

        return source
