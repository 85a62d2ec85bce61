"""The steps of a turn: how long each takes, and who watches them."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

from latentcrs.store.session import Turn

Watch = Callable[[str], AbstractContextManager[object]]
"""What is entered and left with each step, by its name; steps lie within each other."""
_WATCH: ContextVar[Watch] = ContextVar("watch", default=nullcontext)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Watch the steps of the turns that are made within, in this thread."""
    before = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(before)


@contextmanager
def timed(turn: Turn, step: str) -> Iterator[None]:
    """A step of `turn`: its milliseconds are added to what the step took before."""
    began = time.perf_counter()
    with _WATCH.get()(step):
        yield
    turn.milliseconds[step] = round(turn.milliseconds.get(step, 0.0) + (time.perf_counter() - began) * 1000, 2)
