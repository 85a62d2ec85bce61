"""How much one caller may ask for: requests and turns in a while, and how many turns are worked on at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import anyio.to_thread
from limits import RateLimitItem, parse
from limits.errors import ConfigurationError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from latentcrs.errors import UserError
from latentcrs.serve.errors import TooMany

Result = TypeVar("Result")


class Rates:
    """The rates of one server: `turns` and `requests`, each as in "120/minute", "" for no limit."""

    def __init__(self, turns: str, requests: str, url: str = "memory://") -> None:
        """
        Raises:
            UserError: a rate or an address that cannot be read.
        """
        self._items = {"turns": _item(turns), "requests": _item(requests)}
        try:
            self._limiter = MovingWindowRateLimiter(storage_from_string(url))
        except (ConfigurationError, ValueError) as error:
            raise UserError(f"The counts of rates cannot be kept at {url!r}: {error}.") from None

    def spend(self, what: str, caller: str) -> None:
        """Count one of `what` ("turns", "requests") for a caller.

        Raises:
            TooMany: it would be one more than allowed.
        """
        item = self._items[what]
        if item is None or self._limiter.hit(item, what, caller):
            return
        reset = self._limiter.get_window_stats(item, what, caller).reset_time
        wait = max(1, round(reset - time.time() + 0.5))
        raise TooMany(f"More than {item.amount} {what} in {item.get_expiry()} seconds; try again later.", wait)


class Threads:
    """Runs what takes time beside the event loop: `most` at once, and of one conversation one after the other, so
    that nobody holds more than one thread with it.
    """

    def __init__(self, most: int) -> None:
        self._limiter = anyio.CapacityLimiter(most)
        self._queues: dict[str, tuple[asyncio.Lock, int]] = {}

    async def run(self, conversation: str, work: Callable[[], Result], seconds: float) -> Result:
        """What `work` returns. It goes on to its end where nobody waits for it any longer.

        Raises:
            TimeoutError: it takes longer than `seconds`, waiting included.
        """
        with anyio.fail_after(seconds):
            async with self._turn_of(conversation):
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)

    @asynccontextmanager
    async def _turn_of(self, conversation: str) -> AsyncIterator[None]:
        lock, waiting = self._queues.get(conversation) or (asyncio.Lock(), 0)
        self._queues[conversation] = lock, waiting + 1
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._queues[conversation]
            if waiting == 1:
                del self._queues[conversation]
            else:
                self._queues[conversation] = lock, waiting - 1


def _item(rate: str) -> RateLimitItem | None:
    if not rate:
        return None
    try:
        return parse(rate)
    except ValueError:
        raise UserError(f"A rate is written as in '120/minute', not {rate!r}.") from None
