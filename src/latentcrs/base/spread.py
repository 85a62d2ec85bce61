"""Work in pieces, wherever it is done: what rooms ask of an engine, and the engine that is this process."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class Spread(Protocol):
    """Does many pieces of work, on one worker or on many.

    `open_job` is called once on each worker and returns what does one piece there. `pieces` are read only as workers
    become free, so that memory holds a few of them. Results come in any order; a piece may be done twice where a
    worker dies, but has one result.
    """

    def __call__(
        self, open_job: Callable[[], Callable[[Piece], Result]], pieces: Iterable[Piece]
    ) -> Iterator[Result]: ...


def here(open_job: Callable[[], Callable[[Piece], Result]], pieces: Iterable[Piece]) -> Iterator[Result]:
    """A `Spread` of one worker: this process, one piece after the other."""
    job = None
    for piece in pieces:
        job = job or open_job()
        yield job(piece)
