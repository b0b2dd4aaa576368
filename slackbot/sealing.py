"""What every write of a session carries: version, times, the lease for what is owed, the card as last drawn.

The engine gives it the session as `decide` left it, and stores what it gives back. Whose a lease is, is asked here too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from slackbot.core.deadlines import next_deadline
from slackbot.core.effects import owes_lasting, owing_the_same
from slackbot.core.history_budget import fit
from slackbot.core.item import BUDGET_BYTES, sized_item
from slackbot.core.ports import Item
from slackbot.core.repository_policy import LimitsOf
from slackbot.core.session import TTL_SECONDS, Lease, Session
from slackbot.core.values import replace

LEASE_SECONDS = 30
"""How long one replica has what is owed to itself; another steps in after it."""

K = TypeVar("K")
V = TypeVar("V")

_MAX_REMEMBERED = 20_000


class Sealer:
    """`now` gives Unix seconds; `replica_id` names this process in leases."""

    def __init__(self, *, replica_id: str, now: Callable[[], int], limits_of: LimitsOf) -> None:
        self._replica_id = replica_id
        self._now = now
        self.limits_of = limits_of
        """What may take how long in a repository's sessions."""
        self._drawn: OrderedDict[str, str] = OrderedDict()

    def sealed(self, after: Session) -> tuple[Session, Item, int]:
        """The session as it is to be written, and its item, which is small enough, with its size in bytes."""
        sealed = self._seal(after)
        item, size_bytes = sized_item(sealed)
        if size_bytes > BUDGET_BYTES:
            # What had to leave the history may change what is owed, so it is sealed once more.
            sealed = self._seal(fit(after))
            item, size_bytes = sized_item(sealed)
        return sealed, item, size_bytes

    def _seal(self, after: Session) -> Session:
        """What every write carries: version, times, the lease for what is owed, the card as last drawn."""
        now = self._now()
        after = replace(after, write_version=after.write_version + 1, updated_at=now, ttl=now + TTL_SECONDS)
        told = self._drawn.get(after.session_id)
        if told is not None and after.thread.status_ts is not None and after.thread.card != told:
            after = replace(after, thread=replace(after.thread, card=told))
        lease = after.lease
        foreign = lease is not None and lease.owner != self._replica_id and lease.until > now
        if not owes_lasting(after):
            due_at = next_deadline(after, self.limits_of(after.repository))
            sealed = replace(after, lease=lease if foreign else None, due_at=due_at)
        elif foreign and lease is not None:
            sealed = replace(after, due_at=lease.until)
        else:
            until = now + LEASE_SECONDS
            sealed = replace(after, lease=Lease(self._replica_id, until), due_at=until)
        # Neither a lease nor `due_at` changes what is owed.
        return owing_the_same(after, sealed)

    def is_mine(self, lease: Lease | None) -> bool:
        return lease is not None and lease.owner == self._replica_id and lease.until > self._now()

    def holds_lease(self, session: Session) -> bool:
        lease = session.lease
        return lease is not None and self.is_mine(lease) and lease.until > self._now() + LEASE_SECONDS // 3

    def seconds_of_another(self, lease: Lease | None) -> int:
        """How long another replica still has what is owed to itself; 0 = it has not."""
        if lease is None or lease.owner == self._replica_id:
            return 0
        return max(0, lease.until - self._now())

    def drew(self, session_id: str, card: str) -> None:
        """This process drew the card so; the next write says it."""
        keep_in(self._drawn, session_id, card)

    def drawn(self, session_id: str) -> str | None:
        """The card as this process last drew it."""
        return self._drawn.get(session_id)

    def forget(self, session_id: str) -> None:
        """The session is gone."""
        self._drawn.pop(session_id, None)


def keep_in(memory: OrderedDict[K, V], key: K, value: V) -> None:
    """A bounded memory: the oldest leaves. Losing an entry costs a look-up, never correctness."""
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _MAX_REMEMBERED:
        memory.popitem(last=False)
