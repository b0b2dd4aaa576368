"""Where a bot of these tests can be made to die: right before and right after each call through a port.

`bot_entry.py` puts `Trap`s around the adapters; the driver in `crash_run.py` chooses a `Point` and arms it over stdin.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from slackbot.core.ports import Chat, CodeHost, SessionStore, Tasks

C = TypeVar("C")

SIDES = ("before", "after")
PORTS: dict[str, type] = {"store": SessionStore, "tasks": Tasks, "code_host": CodeHost, "chat": Chat}

NEEDS: dict[str, str] = {
    "store.create": "start", "code_host.create_branch": "start", "code_host.compare": "pull_request",
    "code_host.open_pull_request": "pull_request", "code_host.delete_branch": "stop", "tasks.run_task": "start",
    "tasks.stop_task": "stop", "chat.post_ephemeral": "odd", "chat.get_permalink": "pull_request",
    "chat.upload_file": "long", "chat.get_message": "odd", "chat.delete_message": "slow", "chat.publish_home": "home",
    "chat.open_modal": "look", "chat.update_modal": "look", "code_host.compare_files": "look",
    "code_host.pull_request_template": "pull_request_form", "code_host.list_branches": "pull_request_form",
    "code_host.list_reviewers": "pull_request_form", "code_host.list_repositories": "form",
    "store.list_by_user": "form", "store.delete": "forget",
}  # fmt: skip
"""What people must do for a call to be made at all; every other call is made whatever they do."""

_NEVER_CALLED = {
    "store.close", "tasks.close", "code_host.close", "chat.close", "chat.forget_channel",
    "code_host.compare", "code_host.get_pull_request", "chat.read_file", "chat.user_group_members",
    "chat.share_file", "chat.stream_file", "chat.upload_bytes", "store.add_up",
    "code_host.check_details", "code_host.create_ref", "code_host.delete_ref", "code_host.get_ref",
    "code_host.mark_ready_for_review", "code_host.merge_options", "code_host.merge_pull_request",
    "code_host.reply_to_review_comment", "code_host.update_ref",
}  # fmt: skip
"""Calls of an orderly end, and calls that nothing in these runs leads to."""


@dataclass(frozen=True)
class Point:
    """`call` is `port.method`; the process dies at the `count`-th of these calls, before or after it."""

    call: str
    side: str
    count: int

    def __str__(self) -> str:
        return f"{self.call} {self.side} {self.count}"


def methods_of(port: type) -> set[str]:
    """The names of its methods, those of its parts too."""
    return {
        name
        for part in port.__mro__
        if part.__module__.startswith("slackbot.")
        for name, value in vars(part).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def all_calls() -> list[str]:
    """Every method of every port that these runs lead to."""
    methods = [f"{name}.{method}" for name, port in PORTS.items() for method in methods_of(port)]
    return sorted(set(methods) - _NEVER_CALLED)


class Trap:
    """Counts the calls of one process, and ends it with SIGKILL at the armed one."""

    def __init__(self) -> None:
        self._call, self._side, self._left = "", "", 0

    def arm(self, line: str) -> None:
        """`port.method side count`; replaces what was armed before."""
        self._left = 0
        self._call, self._side, count = line.split()
        self._left = int(count)

    def pass_by(self, call: str, side: str) -> None:
        """One call begins or has just ended."""
        if self._left > 0 and call == self._call and side == self._side:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, port: str, adapter: type[C]) -> type[C]:
        """The same adapter, with the trap on both sides of each call of its port."""
        methods = {name: self._trapped(f"{port}.{name}", getattr(adapter, name)) for name in methods_of(PORTS[port])}
        return type(adapter.__name__, (adapter,), methods)

    def _trapped(self, call: str, method: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isasyncgenfunction(method):

            @functools.wraps(method)
            async def each(*arguments: Any, **named: Any) -> Any:
                self.pass_by(call, "before")
                async for value in method(*arguments, **named):
                    yield value
                self.pass_by(call, "after")

            return each

        if not inspect.iscoroutinefunction(method):
            return method

        @functools.wraps(method)
        async def once(*arguments: Any, **named: Any) -> Any:
            self.pass_by(call, "before")
            result = await method(*arguments, **named)
            self.pass_by(call, "after")
            return result

        return once
