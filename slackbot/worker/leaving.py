"""How a worker leaves: what may end its waiting, saving what is unsaved, and the last word.

Data: the signal that `main` catches in; commits to the branch (`Publisher`), a `Leaving` to the gateway.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeVar

from slackbot.core.errors import DevflowError, PermanentError, TemporaryError
from slackbot.worker.checkout import Checkout
from slackbot.worker.gateway_client import Fenced, GatewayClient, ToldToStop, patiently
from slackbot.worker.logs import log
from slackbot.worker.merging import abandon_merge
from slackbot.worker.publish import Publisher
from slackbot.worker.push_words import NotPushed
from slackbot.worker_protocol import Leaving

SAVE_SECONDS = 120.0
"""How long saving may take when nobody is in a hurry."""
SAVE_AT_SIGNAL_SECONDS = 9.0
"""The same after a signal: cancel (4 s), answer (3 s), save and last word (3 s) fit in 20 s; ECS kills after 30 s."""
LAST_WORD_SECONDS = 3.0

Reason = Literal["idle", "age", "signal", "failure"]
_Result = TypeVar("_Result")


class Leaves(Exception):
    """The worker is to leave, and why."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.detail = detail


async def unless_leaving(leaving: asyncio.Event, doing: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of `doing`; Leaves when a signal comes first, without beginning it if it came before."""
    if leaving.is_set():
        doing.close()
        raise Leaves("signal", "The task was told to stop.")
    task = asyncio.ensure_future(doing)
    waiting = asyncio.create_task(leaving.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Leaves("signal", "The task was told to stop.")
    finally:
        for each in (task, waiting):
            each.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)


async def save(checkout: Checkout, publisher: Publisher, reason: Reason, *, hurry: bool) -> tuple[str | None, str]:
    """Commits and pushes what is unsaved. Gives the pushed commit, and a note when it went elsewhere or nowhere."""
    try:
        async with asyncio.timeout(SAVE_AT_SIGNAL_SECONDS if hurry else SAVE_SECONDS):
            return await _save(checkout, publisher, reason)
    except TimeoutError:
        return None, "Unsaved work could not be pushed in time."
    except Fenced:
        raise
    except DevflowError as error:
        return None, f"Unsaved work could not be pushed: {error.summary}"


async def _save(checkout: Checkout, publisher: Publisher, reason: Reason) -> tuple[str | None, str]:
    await abandon_merge(checkout)
    head, _ = await checkout.commit_leftovers(f"Save unfinished work\n\nDevFlow-Saved: {reason}\n")
    left_out = checkout.left_out
    try:
        published = await publisher.publish(head)
    except NotPushed as failure:
        branch = await publisher.rescue(head)
        return None, f"{failure.summary} The unsaved work is on the branch {branch}. {left_out}".strip()
    return (published.commit_sha if published else None), left_out


async def say_last_word(
    gateway: GatewayClient, leave: Leaves, redact: Callable[[str], str], saved: tuple[str | None, str], *, hurry: bool
) -> None:
    """Tells the gateway why the worker goes and what it saved; goes also when nobody hears it."""
    commit_sha, note = saved
    if note:
        log.warning("worker_save", note=note)
    word = Leaving(
        reason=leave.reason,
        detail=redact(" ".join(filter(None, (leave.detail, note))))[:2000],
        commit_sha=commit_sha,
    )
    deadline = time.monotonic() + (LAST_WORD_SECONDS if hurry else SAVE_SECONDS)
    try:
        await patiently(lambda: gateway.leaving(word), deadline=deadline, what="leaving")
    except (TemporaryError, ToldToStop, PermanentError) as error:
        log.warning("last_word_not_heard", why=error.summary)
