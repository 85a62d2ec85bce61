"""Answers as server-sent events while they are made: pieces of text, what ends them, signs of life in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import structlog
from fastapi.responses import StreamingResponse

from latentcrs.base.errors import UserError

ALIVE = ": alive\n\n"
Result = TypeVar("Result")
LOG = structlog.stdlib.get_logger("latentcrs.serve")
_UNDER_WAY: set[asyncio.Task[None]] = set()
"""The event loop alone would not keep them."""


def event(data: str, name: str = "") -> str:
    """One event; `data` is on one line."""
    return f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"


async def streamed(
    take: Callable[[Callable[[str], None]], Awaitable[Result]],
    written: Callable[[str | Result | Exception], Iterable[str]],
    heartbeat: float,
    begins_within: float | None = None,
) -> StreamingResponse:
    """The response that streams what `take` makes, handed what is to be called with each piece of text.

    `written`: the events of a piece of text, of what `take` returned, of the error that ended it. `heartbeat`:
    seconds of silence between signs of life, before the first event none until `begins_within`. What fails before it
    has said anything by then raises its error here, so that the response has its status.
    """
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[str | Result | Exception]()

    def say(text: str) -> None:
        with suppress(RuntimeError):  # the server has ended; the turn is kept all the same
            loop.call_soon_threadsafe(queue.put_nowait, text)

    async def work() -> None:
        try:
            found = await take(say)
            await asyncio.sleep(0)  # behind the last piece of text
            queue.put_nowait(found)
        except Exception as error:
            queue.put_nowait(error)

    async def next_within(seconds: float | None) -> str | Result | Exception | None:
        try:
            return await asyncio.wait_for(queue.get(), seconds)
        except TimeoutError:
            return None

    task = asyncio.create_task(work())
    _UNDER_WAY.add(task)
    task.add_done_callback(_UNDER_WAY.discard)
    first = await next_within(begins_within)
    if isinstance(first, Exception):
        raise first

    async def lines() -> AsyncIterator[str]:
        what: str | Result | Exception | None = first
        try:
            while what is None or isinstance(what, str):
                for line in [ALIVE] if what is None else written(what):
                    yield line
                what = await next_within(heartbeat)
            if isinstance(what, Exception) and not isinstance(what, UserError):
                LOG.error("a stream ended in a fault", exc_info=what)
            for line in written(what):
                yield line
        finally:
            task.cancel()  # where the listener has gone: see `Threads`

    return StreamingResponse(
        lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
