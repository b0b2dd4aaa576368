"""How fast DevFlow writes into one channel, so that Slack need not refuse it.

`slack.py` asks here before it posts or changes a message; a token bucket per channel.
About one message a second and channel, short bursts allowed: https://docs.slack.dev/apis/web-api/rate-limits
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from slackbot.core.errors import TemporaryError

_CHANNELS_KEPT = 512


@dataclass
class _Bucket:
    tokens: float
    counted_at: float
    posts: deque[asyncio.Future[None]] = field(default_factory=deque)
    changes: deque[asyncio.Future[None]] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None

    @property
    def is_awaited(self) -> bool:
        return bool(self.posts or self.changes)


class ChannelPacer:
    """Turns to write, per channel. Changes of messages (progress) let every waiting post go first.

    `posts_per_second` None or 0: everybody's turn is now.
    """

    def __init__(
        self,
        posts_per_second: float | None,
        *,
        burst: int = 5,
        longest_post_wait_seconds: float = 20.0,
        longest_change_wait_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = posts_per_second or 0.0
        self._burst = float(burst)
        self._longest_post_wait_seconds = longest_post_wait_seconds
        self._longest_change_wait_seconds = longest_change_wait_seconds
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    async def turn(self, channel_id: str, *, is_change: bool = False) -> None:
        """Returns when it is time to write; `TemporaryError` at once when that would take too long."""
        if self._rate <= 0:
            return
        bucket = self._bucket(channel_id)
        if bucket.tokens >= 1 and not bucket.is_awaited:
            bucket.tokens -= 1
            return
        queue = bucket.changes if is_change else bucket.posts
        ahead = len(bucket.posts) + (len(bucket.changes) if is_change else 0)
        wait_seconds = max(0.0, (ahead + 1 - bucket.tokens) / self._rate)
        longest = self._longest_change_wait_seconds if is_change else self._longest_post_wait_seconds
        if wait_seconds > longest:
            raise TemporaryError(
                "DevFlow has more to say in this channel than Slack allows at once.",
                "It is tried again by itself.",
                retry_after_seconds=wait_seconds,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._schedule(bucket)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in queue:
                queue.remove(turn)
            else:
                # It had its turn and does not use it: the next one may.
                bucket.tokens += 1
                self._schedule(bucket)
            raise

    def hold(self, channel_id: str, seconds: float) -> None:
        """Slack asked to wait: the channel's next turn comes after `seconds`."""
        if self._rate > 0:
            bucket = self._bucket(channel_id)
            bucket.tokens = min(bucket.tokens, 1 - seconds * self._rate)

    def _bucket(self, channel_id: str) -> _Bucket:
        bucket = self._buckets.get(channel_id)
        if bucket is None:
            if len(self._buckets) >= _CHANNELS_KEPT:
                self._forget_idle()
            bucket = self._buckets[channel_id] = _Bucket(self._burst, self._clock())
        self._count(bucket)
        return bucket

    def _count(self, bucket: _Bucket) -> None:
        now = self._clock()
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.counted_at) * self._rate)
        bucket.counted_at = now

    def _forget_idle(self) -> None:
        for channel_id, bucket in list(self._buckets.items()):
            self._count(bucket)
            if bucket.tokens >= self._burst and not bucket.is_awaited:
                del self._buckets[channel_id]

    def _schedule(self, bucket: _Bucket) -> None:
        if bucket.timer is None and bucket.is_awaited:
            delay = max(0.0, (1 - bucket.tokens) / self._rate)
            bucket.timer = asyncio.get_running_loop().call_later(delay, self._grant, bucket)

    def _grant(self, bucket: _Bucket) -> None:
        bucket.timer = None
        self._count(bucket)
        # A hair's breadth of slack, for a timer that fires early by its clock's grain.
        while bucket.tokens >= 0.999 and bucket.is_awaited:
            turn = (bucket.posts or bucket.changes).popleft()
            if not turn.done():
                turn.set_result(None)
                bucket.tokens -= 1
        self._schedule(bucket)
