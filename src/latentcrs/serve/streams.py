"""A turn as server-sent events: `text` (pieces of the reply), then `turn` (its JSON) or `problem`; signs of life."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi.responses import StreamingResponse

from latentcrs.serve.problems import problem_of
from latentcrs.store.session import Turn

HEARTBEAT = ": alive\n\n"
Event = tuple[str, str]
"""Name and data."""
_UNDER_WAY: set[asyncio.Task[None]] = set()
"""The event loop alone would not keep them."""


async def streamed(
    take: Callable[[Callable[[str], None]], Awaitable[Turn]], heartbeat: float, request_id: str
) -> StreamingResponse:
    """The response that streams the turn which `take` makes, handed what is to be called with each piece of text.

    A turn that fails before it has said anything raises its error here, so that the response has its status.
    """
    loop, events = asyncio.get_running_loop(), asyncio.Queue[Event | Exception]()

    def say(text: str) -> None:
        loop.call_soon_threadsafe(events.put_nowait, ("text", json.dumps({"text": text})))

    async def work() -> None:
        try:
            turn = await take(say)
            await asyncio.sleep(0)  # behind the last piece of text
            events.put_nowait(("turn", turn.model_dump_json()))
        except Exception as error:
            events.put_nowait(error)

    task = asyncio.create_task(work())
    _UNDER_WAY.add(task)
    task.add_done_callback(_UNDER_WAY.discard)
    try:
        first = await asyncio.wait_for(events.get(), heartbeat)
    except TimeoutError:
        first = None
    if isinstance(first, Exception):
        raise first
    return StreamingResponse(
        _lines(first, events, heartbeat, request_id, task),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _lines(
    first: Event | None,
    events: asyncio.Queue[Event | Exception],
    heartbeat: float,
    request_id: str,
    task: asyncio.Task[None],
) -> AsyncIterator[str]:
    try:
        async for line in _told(first, events, heartbeat, request_id):
            yield line
    finally:
        task.cancel()  # where the listener has gone: see `Threads`


async def _told(
    first: Event | None, events: asyncio.Queue[Event | Exception], heartbeat: float, request_id: str
) -> AsyncIterator[str]:
    found: Event | Exception | None = first
    while True:
        if found is None:
            yield HEARTBEAT
        elif isinstance(found, Exception):
            problem, _ = problem_of(found, request_id)
            yield f"event: problem\ndata: {problem.model_dump_json()}\n\n"
            return
        else:
            yield f"event: {found[0]}\ndata: {found[1]}\n\n"
            if found[0] == "turn":
                return
        try:
            found = await asyncio.wait_for(events.get(), heartbeat)
        except TimeoutError:
            found = None
