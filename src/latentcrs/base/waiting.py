"""Who waits for what a thread does: whether anybody still does, and how long a language model may take of it.

Both are told to the thread and what it calls by its context, so that nothing between has to hand them on.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_IS_WANTED: ContextVar[Callable[[], bool]] = ContextVar("is_wanted", default=lambda: True)
_MODEL_UNTIL: ContextVar[float] = ContextVar("model_until", default=float("inf"))


class NobodyWaits(Exception):
    """Whoever asked for this has gone, so it was left."""


@contextmanager
def wanted_while(is_wanted: Callable[[], bool]) -> Iterator[None]:
    """What the block does may be left from when `is_wanted` says no: see `still_wanted`."""
    token = _IS_WANTED.set(is_wanted)
    try:
        yield
    finally:
        _IS_WANTED.reset(token)


def still_wanted() -> None:
    """Called between the parts of long work that nothing is lost by leaving.

    Raises:
        NobodyWaits: whoever asked for it has gone.
    """
    if not _IS_WANTED.get()():
        raise NobodyWaits


@contextmanager
def model_within(seconds: float) -> Iterator[None]:
    """All calls of language models in the block share `seconds`, also those tried again; later ones fail."""
    token = _MODEL_UNTIL.set(min(_MODEL_UNTIL.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _MODEL_UNTIL.reset(token)


def model_seconds_left() -> float:
    """Seconds that a language model may still take here; at most 0 where they are spent, infinite without a limit."""
    return _MODEL_UNTIL.get() - time.monotonic()
