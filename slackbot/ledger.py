"""The ledger of models: what a month and each person in it used, kept in the sessions' table (docs/table.md).

The model desk adds to it and asks it for limits. Every write is conditional on the page as it was read, so the counts
of several replicas add up.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from slackbot.core.errors import TemporaryError
from slackbot.core.ledger_item import LedgerPage, from_page_item, month_of, page_id, to_page_item
from slackbot.core.ports import SessionStore
from slackbot.core.spending import Counted, Reached, Scope, SpendingLimits, add, add_model, reached

FRESH_SECONDS = 15.0
"""How old what limits are judged by may be: so long another replica's counts may stay unseen."""

_MAX_RACES = 60
_MAX_SEEN = 5_000


class Ledger:
    """`now` gives Unix seconds. Raises what the store raises."""

    def __init__(
        self, store: SessionStore, *, now: Callable[[], float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._now = now
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], tuple[float, LedgerPage]] = OrderedDict()

    async def add(self, user_id: str, used: Sequence[tuple[str, Counted]]) -> None:
        """Counts calls of a person: (provider/model, counts) each."""

        def added(page: LedgerPage) -> LedgerPage:
            for model, counted in used:
                page = replace(page, counted=add(page.counted, counted), models=add_model(page.models, model, counted))
            return page

        for person in ("", user_id):
            await self._change(person, added)

    async def extend(self, scope: Scope, user_id: str) -> None:
        """The limit of the month, or of this person in it, is granted once more."""
        person = "" if scope is Scope.MONTH else user_id
        await self._change(person, lambda page: replace(page, extended=page.extended + 1))

    async def reached(self, limits: SpendingLimits, user_id: str, *, pending: Counted) -> list[Reached]:
        """What of the month's limits is used to 80 % or more, with what this replica has not written yet."""
        if not limits.is_monthly:
            return []
        found = []
        for scope, person in ((Scope.PERSON, user_id), (Scope.MONTH, "")):
            page = await self._recent(person)
            counted = add(page.counted, pending)
            found += reached(limits, scope, counted, extended=page.extended, of=f"{page.month}:{person}")
        return found

    async def page(self, user_id: str = "") -> LedgerPage:
        """This month's page of a person, or of all, as it is stored."""
        month = month_of(int(self._now()))
        item = await self._store.get(page_id(month, user_id), int(self._now()))
        return self._remember(from_page_item(item) if item is not None else LedgerPage(month, user_id))

    async def _recent(self, user_id: str) -> LedgerPage:
        seen = self._seen.get((month_of(int(self._now())), user_id))
        if seen is not None and self._clock() - seen[0] < FRESH_SECONDS:
            return seen[1]
        return await self.page(user_id)

    async def _change(self, user_id: str, changed: Callable[[LedgerPage], LedgerPage]) -> None:
        for _ in range(_MAX_RACES):
            before = await self.page(user_id)
            after = replace(changed(before), write_version=before.write_version + 1)
            now = int(self._now())
            item = to_page_item(after, now)
            if before.write_version == 0:
                done = await self._store.create(item, now)
            else:
                done = await self._store.replace(item, before.write_version)
            if done:
                self._remember(after)
                return
            await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311  spreads replicas, guards nothing
        raise TemporaryError("The ledger of models is being changed by too many at once.", "Try again in a moment.")

    def _remember(self, page: LedgerPage) -> LedgerPage:
        key = (page.month, page.user_id)
        self._seen[key] = (self._clock(), page)
        self._seen.move_to_end(key)
        while len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        return page
