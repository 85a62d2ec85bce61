"""How much one caller may ask for: requests and turns in a while."""

import re
import time

import structlog
from limits import RateLimitItem, parse_many
from limits.errors import ConfigurationError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from latentcrs.base.errors import UserError
from latentcrs.serve.errors import TooMany

REDIS = {"socket_connect_timeout": 2, "socket_timeout": 2}
"""Seconds that a request waits for counts kept elsewhere."""
SCHEMES = ("memory", "redis", "rediss", "redis+unix", "redis+sentinel", "redis+cluster")
MOST = 1_000_000_000
"""Of what is counted, and of seconds."""
ALONE_SECONDS = 10.0
"""How long they are not asked for after one that waited in vain."""
JUMP_SECONDS = 2.0
"""By which a clock that runs evenly is not off from one request to the next."""
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
        self._ahead = _ahead()

    def limits(self, what: str) -> bool:
        """Whether `what` is counted at all."""
        return self._items[what] is not None

    def spend(self, what: str, caller: str) -> None:
        """Count one of `what` ("turns", "requests") for a caller: here alone while nobody answers where all count.

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

    def _follow_clock(self) -> None:
        """Counts have the calendar's time, so they could lie ahead: where the clock jumps, counting begins anew."""
        ahead = _ahead()
        if abs(ahead - self._ahead) > JUMP_SECONDS:
            LOG.warning("the clock was set; rates counted in this process begin anew")
            for limiter in (self._limiter, self._alone):
                if isinstance(limiter.storage, MemoryStorage):
                    limiter.storage.reset()
        self._ahead = ahead

    def _reset(self, item: RateLimitItem, what: str, caller: str) -> float | None:
        """Count one: None, or where there is no room for it the time at which there is."""
        self._follow_clock()
        if time.monotonic() >= self._alone_until:
            try:
                return _spent(self._limiter, item, what, caller)
            except self._storage.base_exceptions as error:
                self._alone_until = time.monotonic() + ALONE_SECONDS
                LOG.warning("rates are counted in this process alone", reason=type(error).__name__)
        return _spent(self._alone, item, what, caller)


def _ahead() -> float:
    """Seconds that the calendar's clock is ahead of the one that nobody sets."""
    return time.time() - time.monotonic()


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
    zero = any(int(number) == 0 for number in re.findall(r"\d+", rate))  # the library takes 0 minutes for 1
    if zero or not (1 <= item.amount <= MOST and 1 <= item.get_expiry() <= MOST):
        raise UserError(
            f"A rate of {rate!r} is none: give 1 to {MOST:,} in a while, as in '120/minute', or 'off' for no limit."
        )
    return item
