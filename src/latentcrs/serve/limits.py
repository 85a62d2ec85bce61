"""How much one caller may ask for: requests and turns in a while, and how many turns are worked on at once."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog
from limits import RateLimitItem, parse_many
from limits.errors import ConfigurationError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from latentcrs.errors import UserError
from latentcrs.serve.errors import TooMany, TooSlow

Result = TypeVar("Result")
REDIS = {"socket_connect_timeout": 2, "socket_timeout": 2}
"""Seconds that a request waits for counts kept elsewhere."""
SCHEMES = ("memory", "redis", "rediss", "redis+unix", "redis+sentinel", "redis+cluster")
MOST = 1_000_000_000
"""Of what is counted, and of seconds."""
ALONE_SECONDS = 10.0
"""How long they are not asked for after one that waited in vain."""
LOG = structlog.stdlib.get_logger("latentcrs.serve")


class Rates:
    """The rates of one server: `turns` and `requests`, each as in "120/minute", "" for no limit."""

    def __init__(self, turns: str, requests: str, url: str = "memory://") -> None:
        """
        Raises:
            UserError: a rate or an address that cannot be read, the package for it is missing, or nobody answers
                there.
        """
        self._items = {"turns": _item(turns), "requests": _item(requests)}
        self._storage = _storage(url)
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._alone, self._alone_until = MovingWindowRateLimiter(MemoryStorage()), 0.0

    def limits(self, what: str) -> bool:
        """Whether `what` is counted at all."""
        return self._items[what] is not None

    def spend(self, what: str, caller: str) -> None:
        """Count one of `what` ("turns", "requests") for a caller: in this process alone while nobody answers where
        all count.

        Raises:
            TooMany: it would be one more than allowed.
        """
        item = self._items[what]
        if item is None:
            return
        reset = self._reset(item, what, caller)
        if reset is None:
            return
        wait = max(1, round(reset - time.time() + 0.5))
        raise TooMany(f"More than {item.amount} {what} in {item.get_expiry()} seconds; try again later.", wait)

    def _reset(self, item: RateLimitItem, what: str, caller: str) -> float | None:
        """Count one: None, or where there is no room for it the time at which there is."""
        if time.monotonic() >= self._alone_until:
            try:
                return _spent(self._limiter, item, what, caller)
            except self._storage.base_exceptions as error:
                self._alone_until = time.monotonic() + ALONE_SECONDS
                LOG.warning("rates are counted in this process alone", reason=type(error).__name__)
        return _spent(self._alone, item, what, caller)


class Threads:
    """Runs turns beside the event loop: `most` at once, and of one conversation one after the other, so that nobody
    holds more than one thread with it.
    """

    def __init__(self, most: int, seconds: float) -> None:
        """`seconds`: that a turn is waited for, its waiting included."""
        self._seconds = seconds
        self._limiter = anyio.CapacityLimiter(most)
        self._queues: dict[str, tuple[asyncio.Lock, int]] = {}

    async def run(self, owner: str, id: str, work: Callable[[], Result]) -> Result:
        """What `work` on a conversation returns. It goes on to its end where nobody waits for it any longer.

        Raises:
            TooSlow: nobody waits any longer.
        """
        try:
            with anyio.fail_after(self._seconds):
                async with self._turn_of(f"{owner} {id}"):
                    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)
        except TimeoutError:
            raise TooSlow(
                "The turn takes too long; it is finished and kept all the same: read the conversation later."
            ) from None

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


def _spent(limiter: MovingWindowRateLimiter, item: RateLimitItem, what: str, caller: str) -> float | None:
    """None, or where there is no room the time at which there is."""
    if limiter.hit(item, what, caller):
        return None
    return limiter.get_window_stats(item, what, caller).reset_time


def _storage(url: str) -> Storage:
    shown = re.sub(r"://.*@", "://", url)  # without a password
    try:
        if url.partition("://")[0] not in SCHEMES:
            raise ValueError("scheme")
        storage = storage_from_string(url, **(REDIS if url.startswith("redis") else {}))
        if not isinstance(storage, Storage):
            raise ValueError("asynchronous")
    except (ConfigurationError, ValueError) as error:
        if "'redis'" in str(error):  # missing, or too old
            raise UserError(
                f"Rates counted at {shown} need the package redis; install it: pip install 'latentcrs[redis]'"
            ) from None
        raise UserError(
            f"Rates cannot be counted at {shown!r}: give memory://, or redis://user:password@host:port/0 (special "
            "characters in its password are written as in %40 for @)."
        ) from None
    try:
        there = storage.check()
    except storage.base_exceptions:
        there = False
    if not there:
        raise UserError(f"Rates cannot be counted at {shown}: nobody answers there, or not to this password.")
    return storage


def _item(rate: str) -> RateLimitItem | None:
    if not rate:
        return None
    try:
        (item,) = parse_many(rate)
    except ValueError:
        raise UserError(f"A rate is written as in '120/minute', not {rate!r}.") from None
    if not (1 <= item.amount <= MOST and 1 <= item.get_expiry() <= MOST):
        raise UserError(
            f"A rate of {rate!r} is none: give 1 to {MOST:,} in a while, as in '120/minute', or 'off' for no limit."
        )
    return item
