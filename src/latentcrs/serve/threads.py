"""Where everything that computes is done: beside the event loop, in turns, and only while somebody waits for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import anyio.to_thread
import structlog
from anyio import CapacityLimiter
from fastapi import Request

from latentcrs.base.errors import UserError
from latentcrs.base.waiting import NobodyWaits, model_within, wanted_while
from latentcrs.serve.errors import Gone, TooSlow

Result = TypeVar("Result")
LOG = structlog.stdlib.get_logger("latentcrs.serve")


class Threads:
    """Runs work in threads: `most` at once, of one caller never all of them where there are several, so that nobody's
    heavy requests hold up everybody else; and of one conversation one after the other.

    What has begun goes on to its end where nobody waits for it any longer, unless it asks (`waiting.still_wanted`);
    what has not is never begun. Language models have half of the time that is left to it.
    """

    def __init__(self, most: int, seconds: float) -> None:
        """`seconds`: that work is waited for, its waiting included."""
        self._seconds = seconds
        self._all = asyncio.Semaphore(most)
        self._callers = _Places(max(1, most - max(1, most // 4)))
        self._conversations = _Places(1)
        self._limiter: CapacityLimiter | None = None  # made in the event loop
        self._under_way: set[asyncio.Task[Any]] = set()

    async def run(
        self, caller: str, work: Callable[[], Result], conversation: str = "", request: Request | None = None
    ) -> Result:
        """What `work` for a caller returns. `conversation`: the one it goes on with. `request`: whose client waits.

        Raises:
            TooSlow: it takes too long.
            Gone: the client has gone.
        """
        job = _Job(work, asyncio.get_running_loop().time() + self._seconds)
        task = asyncio.create_task(self._done(job, caller, conversation))
        self._under_way.add(task)  # the event loop alone would not keep it
        task.add_done_callback(self._ended)
        watch = None if request is None else asyncio.create_task(_left(request))
        try:
            waited = {task} if watch is None else {task, watch}
            done, _ = await asyncio.wait(waited, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if task in done:
                return task.result()
            if done:
                raise Gone("Whoever asked this has gone.")
            if job.has_begun:
                raise TooSlow("This takes too long; a turn is finished and kept all the same: read it later.")
            raise TooSlow("Others are answered first for too long, so this was not begun; ask again.")
        finally:
            if watch is not None:
                watch.cancel()
            job.is_wanted = False
            if not job.has_begun:
                task.cancel()

    async def answer(self, request: Request, work: Callable[[], Result], conversation: str = "") -> Result:
        """`run` for whoever sent `request` (see `Callers.known`), while they wait."""
        return await self.run(request.state.caller, work, conversation, request)

    async def _done(self, job: _Job[Result], caller: str, conversation: str) -> Result:
        async with self._conversations.of(conversation), self._callers.of(caller), self._all:
            if self._limiter is None:
                self._limiter = CapacityLimiter(math.inf)  # the semaphores count
            job.has_begun = True
            left = job.until - asyncio.get_running_loop().time()
            return await anyio.to_thread.run_sync(job.run, left / 2, limiter=self._limiter)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, (UserError, NobodyWaits)):
            LOG.debug("work ended with an error", exc_info=error)  # who waits for it says more


class _Job(Generic[Result]):
    """One piece of work. until: when nobody waits for it any longer, by the event loop's clock."""

    def __init__(self, work: Callable[[], Result], until: float) -> None:
        self.until, self.is_wanted, self.has_begun = until, True, False
        self._work = work

    def run(self, model_seconds: float) -> Result:
        with wanted_while(lambda: self.is_wanted), model_within(model_seconds):
            return self._work()


class _Places:
    """`most` places for each name, of those names that somebody uses just now."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """One place of this name; any number of ""."""
        if not name:
            yield
            return
        places, users = self._used.get(name) or (asyncio.Semaphore(self._most), 0)
        self._used[name] = places, users + 1
        try:
            async with places:
                yield
        finally:
            places, users = self._used[name]
            if users == 1:
                del self._used[name]
            else:
                self._used[name] = places, users - 1


async def _left(request: Request) -> None:
    """Ends when the client of a request has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass  # a part of the body that nobody reads
