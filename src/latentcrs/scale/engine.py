"""Who does work that comes in pieces, and who trains: this process, or Ray, imported where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from latentcrs.base.errors import UserError
from latentcrs.base.spread import Spread, here

if TYPE_CHECKING:
    from latentcrs.base.group import Together

ENGINES = ("local", "ray")


@contextmanager
def engine_of(name: str, workers: int | None = None, device: str = "auto") -> Iterator[Spread]:
    """The engine called `name`, while the block lasts.

    workers: how many of Ray, by default one for each of its GPUs (where `device` may be one) or processors.

    Raises:
        UserError: no such engine, the extra `ray` is missing, the cluster cannot be reached, or it has fewer
            processors than `workers`.
    """
    _refuse_unknown(name, workers)
    if name == "local":
        yield here
        return
    from latentcrs.scale.ray_workers import ray_workers

    with ray_workers(workers, device) as spread:
        yield spread


@contextmanager
def group_of(
    name: str, folder: str | Path, workers: int | None = None, device: str = "auto"
) -> Iterator[Together | None]:
    """Who trains on the engine called `name`, while the block lasts: None is this process.

    folder: path or URL of the checkpoints; workers: as in `engine_of`.

    Raises:
        UserError: as `engine_of`.
    """
    _refuse_unknown(name, workers)
    if name == "local":
        yield None
        return
    from latentcrs.scale.ray_training import ray_together

    with ray_together(folder, workers, device) as together:
        yield together


def _refuse_unknown(name: str, workers: int | None) -> None:
    if name not in ENGINES:
        raise UserError(f"There is no engine {name!r}; choose {' or '.join(ENGINES)}.")
    if name == "local" and workers is not None:
        raise UserError("--workers wants --engine ray.")
