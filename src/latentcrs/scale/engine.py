"""Who does work that comes in pieces: this process, or Ray. Ray is imported where it is asked for, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from latentcrs.errors import UserError
from latentcrs.spread import Spread, here

ENGINES = ("local", "ray")


@contextmanager
def engine_of(name: str, workers: int | None = None, device: str = "auto") -> Iterator[Spread]:
    """The engine called `name`, while the block lasts.

    workers: how many of Ray, by default one for each of its GPUs (where `device` may be one) or processors.

    Raises:
        UserError: no such engine, the extra `ray` is missing, the cluster cannot be reached, or it has fewer
            processors than `workers`.
    """
    if name not in ENGINES:
        raise UserError(f"There is no engine {name!r}; choose {' or '.join(ENGINES)}.")
    if name == "local":
        if workers is not None:
            raise UserError("--workers wants --engine ray.")
        yield here
        return
    from latentcrs.scale.ray_workers import ray_workers

    with ray_workers(workers, device) as spread:
        yield spread
