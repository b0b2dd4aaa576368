"""Opening an agent's session over ACP: the earlier one where its state is still there, else a new one; then its mode
and its model, set explicitly, because defaults differ between versions and come back after a load.

Called by `agent`. https://agentclientprotocol.com/protocol/session-setup, .../session-modes, .../session-config-options
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from acp import RequestError
from acp.client.connection import ClientSideConnection
from acp.schema import (
    InitializeResponse,
    LoadSessionResponse,
    NewSessionResponse,
    ResumeSessionResponse,
    SessionConfigOptionSelect,
    SessionConfigSelectOption,
)

from slackbot.worker.agents import AgentFailed
from slackbot.worker.logs import log

Prefer = Callable[[Sequence[str]], list[str]]
"""Of the modes offered those that are worth setting, best first."""

Opened = NewSessionResponse | LoadSessionResponse | ResumeSessionResponse


async def open_session(
    connection: ClientSideConnection, hello: InitializeResponse, cwd: Path, earlier: str | None
) -> tuple[str, Opened, bool]:
    """(id, what the agent said of it, whether it is the earlier one). An earlier one that is gone becomes a new one."""
    if earlier is not None:
        resumed = await _again(connection, hello, cwd, earlier)
        if resumed is not None:
            return earlier, resumed, True
    made = await connection.new_session(cwd=str(cwd), mcp_servers=[])
    return made.session_id, made, False


async def _again(connection: ClientSideConnection, hello: InitializeResponse, cwd: Path, earlier: str) -> Opened | None:
    can = hello.agent_capabilities
    try:
        # Resuming is preferred: loading tells the whole conversation once more, which nobody listens to.
        if can is not None and can.session_capabilities is not None and can.session_capabilities.resume is not None:
            return await connection.resume_session(session_id=earlier, cwd=str(cwd), mcp_servers=[])
        if can is not None and can.load_session:
            return await connection.load_session(session_id=earlier, cwd=str(cwd), mcp_servers=[])
    except RequestError as error:
        log.info("agent_session_not_resumed", why=str(error))
    return None


async def choose_mode(
    connection: ClientSideConnection, session_id: str, opened: Opened, wanted: str | None, prefer: Prefer
) -> None:
    """Sets the mode: `wanted`, which must be offered, else the first of those preferred that the agent takes."""
    modes = [mode.id for mode in opened.modes.available_modes] if opened.modes else []
    option = _option(opened, "mode")
    offered = modes or _values(option)
    if wanted is not None and wanted not in offered:
        there = ", ".join(offered) or "none"
        raise AgentFailed(
            f"The agent has no mode {wanted!r}; it has {there}.", "Start again with one of them as mode=."
        )
    for mode in [wanted] if wanted is not None else prefer(offered):
        try:
            if modes:
                await connection.set_session_mode(session_id=session_id, mode_id=mode)
            elif option is not None:
                await connection.set_config_option(config_id=option.id, session_id=session_id, value=mode)
        except RequestError as error:  # claude refuses bypassPermissions to root with "Internal error"
            log.info("agent_mode_refused", mode=mode, why=str(error))
            if wanted is not None:
                raise AgentFailed(f"The agent refuses its mode {wanted!r}: {error}.", "Choose another one.") from error
            continue
        log.info("agent_mode_set", mode=mode)
        return


async def choose_model(
    connection: ClientSideConnection, session_id: str, opened: Opened, wanted: str | None, *, is_set_up: bool
) -> None:
    """Sets the model where the agent lets one choose. `is_set_up`: it was told of the model at its start already."""
    option = _option(opened, "model")
    if wanted is None or option is None:
        if wanted is not None and not is_set_up:
            raise AgentFailed("The agent offers no choice of a model.", "Start again without model=.")
        return
    if option.current_value == wanted:
        return
    if wanted not in _values(option):
        if is_set_up:
            return
        there = ", ".join(_values(option)[:30])
        raise AgentFailed(
            f"The agent has no model {wanted!r}; it has {there}.", "Start again with one of them as model=."
        )
    await connection.set_config_option(config_id=option.id, session_id=session_id, value=wanted)
    log.info("agent_model_set", model=wanted)


def _option(opened: Opened, kind: str) -> SessionConfigOptionSelect | None:
    for option in opened.config_options or []:
        if isinstance(option, SessionConfigOptionSelect) and kind in (option.id, option.category):
            return option
    return None


def _values(option: SessionConfigOptionSelect | None) -> list[str]:
    found: list[str] = []
    for value in option.options if option is not None else []:
        values = [value] if isinstance(value, SessionConfigSelectOption) else value.options
        found += [one.value for one in values]
    return found
