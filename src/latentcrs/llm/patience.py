"""How long an endpoint is waited for, and how much of it is read: a whole answer within the time-out and a size, and
no longer pause than the time-out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import httpx2

from latentcrs.base.waiting import model_seconds_left
from latentcrs.llm.model import ModelError

LARGEST_ANSWER = 8 << 20
"""Bytes: far more than any answer that is asked for, and nothing that a process would miss."""


class OutOfTime(BaseException):
    """No time is left for another attempt. No `Exception`: the client tries again, and waits, after any of those."""


def wait_at_most(request: httpx2.Request) -> None:
    """A request hook, for each attempt: bounds its time-outs by what whoever waits has left for a language model.

    Raises:
        OutOfTime: nothing is left.
    """
    left = model_seconds_left()
    if left <= 0:
        raise OutOfTime
    if math.isfinite(left):
        given = request.extensions.get("timeout", {})
        kinds = ("connect", "read", "write", "pool")
        request.extensions["timeout"] = {
            kind: left if given.get(kind) is None else min(given[kind], left) for kind in kinds
        }


def wait_no_longer(response: httpx2.Response) -> None:
    """A response hook: bounds what the client's own time-outs leave open.

    A read time-out begins anew with every byte, so an endpoint that dribbles (or sends keep-alive comments) is never
    given up. Here an answer's body has the read time-out and `LARGEST_ANSWER` bytes in all. And an endpoint that asks
    for a longer pause (Retry-After) than the time-out is not asked again: somebody waits for the answer.
    """
    seconds = response.request.extensions.get("timeout", {}).get("read")
    if seconds is None:
        return
    try:
        if float(response.headers.get("retry-after", 0)) > seconds:
            response.headers["x-should-retry"] = "false"  # understood by the openai client
    except ValueError:  # a date: the client bounds it
        pass
    if isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = _Bounded(response.stream, seconds)


class _Bounded(httpx2.SyncByteStream):
    """A stream of bytes that raises `ReadTimeout` once `seconds` have passed, `ModelError` where it is too long."""

    def __init__(self, stream: httpx2.SyncByteStream, seconds: float) -> None:
        self._stream, self._until = stream, time.monotonic() + seconds

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._stream:
            if time.monotonic() > self._until:
                raise httpx2.ReadTimeout("the answer took too long")
            size += len(piece)
            if size > LARGEST_ANSWER:
                raise ModelError(
                    "answer too long", f"The language model's answer has more than {LARGEST_ANSWER:,} bytes."
                )
            yield piece

    def close(self) -> None:
        self._stream.close()
