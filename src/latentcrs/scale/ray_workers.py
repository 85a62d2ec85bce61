"""Work in pieces on Ray: one actor for each worker, a bounded number of pieces under way, dead workers replaced."""

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.spread import Piece, Result, Spread

AHEAD = 2
"""Pieces that a worker has at once: the one it does, and the next, so that it never waits for this process."""
DEATHS = 3  # of one worker, or over one piece; more than that is no accident
OBJECTS_BYTES = 512 << 20  # Ray's store on this machine: pieces and results under way


@contextmanager
def ray_workers(workers: int | None = None, device: str = "auto") -> Iterator[Spread]:
    """A `Spread` over Ray's workers, while the block lasts: on the cluster of `RAY_ADDRESS`, else on this machine.

    See `engine_of`.
    """
    with ray_cluster(workers) as ray:
        count, on_gpus = workers_of(ray, workers, device)

        def spread(open_job: Callable[[], Callable[[Piece], Result]], pieces: Iterable[Piece]) -> Iterator[Result]:
            return _spread(ray, open_job, pieces, count, {"num_cpus": 1, "num_gpus": int(on_gpus)})

        yield spread


def workers_of(ray: Any, workers: int | None, device: str) -> tuple[int, bool]:
    """How many workers there are, by default as many as the cluster can have, and whether each has a GPU.

    Raises:
        UserError: too many for the cluster.
    """
    there = ray.cluster_resources()
    gpus = int(there.get("GPU", 0)) if device.partition(":")[0] in ("auto", "cuda") else 0
    most = gpus or int(there.get("CPU", 0))
    if workers is not None and workers > most:
        raise UserError(f"Ray has {most} {'GPUs' if gpus else 'processors'} here, too few for {workers} workers.")
    return workers or most, gpus > 0


@contextmanager
def ray_cluster(workers: int | None = None) -> Iterator[Any]:
    """The module `ray`, connected while the block lasts. A cluster that runs already is joined and left running.

    workers: processors of a cluster that is started here; by default as many as this machine has.

    Raises:
        UserError: the extra `ray` is missing, the cluster cannot be reached, or this machine has fewer processors.
    """
    # Ray believes what it is told of the machine that it is started on.
    if "RAY_ADDRESS" not in os.environ and workers is not None and workers > (most := os.cpu_count() or 1):
        raise UserError(f"This machine has {most} processors, too few for {workers} workers.")
    if (
        sys.platform != "win32" and len(tempfile.gettempdir()) > 36
    ):  # Ray's sockets would have paths of over 107 bytes
        os.environ.setdefault("RAY_TMPDIR", "/tmp")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise UserError(
            "--engine ray needs the extra 'ray', which is not installed: pip install 'latentcrs[ray]'."
        ) from None
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS", "local")
    started: dict[str, Any] = {"num_cpus": workers, "object_store_memory": OBJECTS_BYTES, "include_dashboard": False}
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **(started if address == "local" else {}))
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"Ray cannot be reached at {address}: {first_line(error)}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


class _Worker:
    """What runs on a worker. The job is opened with the first piece, so that its error is that piece's."""

    def __init__(self, open_job: Callable[[], Callable[[Any], Any]]) -> None:
        self._open_job = open_job

    @cached_property
    def _job(self) -> Callable[[Any], Any]:
        return self._open_job()

    def do(self, piece: Any) -> Any:
        return self._job(piece)


def _spread(
    ray: Any, open_job: Callable[[], Callable[[Any], Any]], pieces: Iterable[Any], count: int, needs: dict[str, int]
) -> Iterator[Any]:
    options = {**needs, "max_restarts": DEATHS, "max_task_retries": DEATHS}
    pool = [ray.remote(_Worker).options(**options).remote(open_job) for _ in range(count)]
    under_way: dict[Any, Any] = {}
    left = iter(pieces)

    def hand_out(worker: Any) -> None:
        for piece in left:
            under_way[worker.do.remote(piece)] = worker
            return

    try:
        for _ in range(AHEAD):
            for worker in pool:
                hand_out(worker)
        while under_way:
            done = ray.wait(list(under_way))[0][0]
            worker = under_way.pop(done)
            hand_out(worker)
            try:
                yield ray.get(done)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, UserError):
                    raise error.cause from None
                raise  # with what the worker was doing
            except ray.exceptions.RayActorError as error:
                raise UserError(f"A worker of Ray died {DEATHS + 1} times: {first_line(error)}") from None
    finally:
        for worker in pool:
            ray.kill(worker)
