"""Training on Ray Train: a group of workers that share every batch, started anew when one of them dies."""

import logging
import os
import posixpath
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from latentcrs.base import progress
from latentcrs.base.errors import UserError, first_line
from latentcrs.base.group import Together
from latentcrs.base.places import file_system, told_in_a_sentence
from latentcrs.scale.ray_workers import DEATHS, ray_cluster, workers_of

LOOK = 0.5
"""Seconds between two looks at how far the workers are."""


@contextmanager
def ray_together(folder: str | Path, workers: int | None = None, device: str = "auto") -> Iterator[Together]:
    """A `Together` over Ray's workers, while the block lasts: on the cluster of `RAY_ADDRESS`, else on this machine.

    folder: where training keeps its checkpoints; Ray Train keeps what it needs there while it runs. Workers on
    processors speak gloo, those on GPUs nccl.

    Raises:
        UserError: as `group_of`.
    """
    if "RAY_ADDRESS" not in os.environ:
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # of machines that a cloud takes back
    with ray_cluster(workers) as ray:
        count, on_gpus = workers_of(ray, workers, device)
        try:
            import ray.train.torch
        except ImportError:
            raise UserError("Ray has no Ray Train here; install it with: pip install 'latentcrs[ray]'.") from None

        def together(job: Callable[..., Any]) -> Any:
            return _train(ray, job, count, on_gpus, folder)

        yield together


def _train(ray: Any, job: Callable[..., Any], count: int, on_gpus: bool, folder: str | Path) -> Any:
    from pyarrow.fs import FSSpecHandler, PyFileSystem
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    logging.getLogger("ray.train").setLevel(logging.ERROR)
    (system, root), name = file_system(folder), f"ray-{uuid.uuid4().hex[:8]}"
    with told_in_a_sentence(folder):
        system.makedirs(root, exist_ok=True)

    base: Any = TorchTrainer

    class Trainer(base):
        def _create_default_callbacks(self) -> list[Any]:
            """Without the one that watches over the controller from outside: it asks Ray's dashboard, which a Ray
            that was started here has not, and waits 12 seconds for it at the end.
            """
            dropped = {"PlacementGroupCleanerCallback"} if "RAY_ADDRESS" not in os.environ else set()
            return [kept for kept in super()._create_default_callbacks() if type(kept).__name__ not in dropped]

    board = ray.remote(_Board).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    trainer = Trainer(
        _work,
        # The job as an object of its own: what it trains on is stored once, and read by each worker.
        train_loop_config={"job": ray.put(job), "board": board},
        torch_config=TorchConfig(backend="nccl" if on_gpus else "gloo"),
        scaling_config=ScalingConfig(num_workers=count, use_gpu=on_gpus),
        run_config=RunConfig(
            name=name,
            storage_path=root,
            storage_filesystem=PyFileSystem(FSSpecHandler(system)),
            failure_config=FailureConfig(max_failures=DEATHS),
        ),
    )
    # In a thread, where it leaves Ctrl-C alone; this one shows how far the workers are.
    pool = ThreadPoolExecutor(1)
    try:
        running = pool.submit(trainer.fit)
        with ExitStack() as screen:
            shown = _Shown(screen)
            while not wait([running], LOOK).done:
                shown.follow(ray.get(board.take.remote()))
            shown.follow(ray.get(board.take.remote()))
            ended: Any = running.result()  # within: a step that failed is not said to be done
        return ended.return_value
    except ray.train.TrainingFailedError as error:
        raise _sentence(error) from error
    finally:
        pool.shutdown(wait=False)
        ray.kill(board)
        if system.exists(there := posixpath.join(root, name)):
            system.rm(there, recursive=True)


def _sentence(error: Any) -> UserError:
    """What a user is told: the worker's own sentence where it has one."""
    failures = list(getattr(error, "worker_failures", {}).values()) or [error]
    for failure in failures:
        while failure is not None:
            if isinstance(failure, UserError):
                return failure
            failure = getattr(failure, "_base_exc", None) or failure.__cause__
    return UserError(f"The workers of Ray failed {DEATHS + 1} times; the last time: {first_line(failures[0])}")


def _work(config: dict[str, Any]) -> Any:
    """What each worker does."""
    import ray
    import torch
    from ray.train import get_context
    from ray.train.torch import get_device

    job, device = ray.get(config["job"]), get_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if get_context().get_world_rank() == 0:
        board = config["board"]
        if ray.get(board.start.remote()) > 1:
            board.tell.remote(("say", ("a worker was lost; going on from the last checkpoint",)))
        progress.show_elsewhere(lambda what, *values: board.tell.remote((what, values)))
    return job(device=str(device))


class _Board:
    """An actor: what the first worker has to show, until it is fetched."""

    def __init__(self) -> None:
        self._told: list[tuple[str, tuple[Any, ...]]] = []
        self._starts = 0

    def start(self) -> int:
        """Count a start of the workers; returns how many there were."""
        self._starts += 1
        return self._starts

    def tell(self, event: tuple[str, tuple[Any, ...]]) -> None:
        self._told.append(event)

    def take(self) -> list[tuple[str, tuple[Any, ...]]]:
        told, self._told = self._told, []
        return told


class _Shown:
    """The bar of the step that the first worker is in."""

    def __init__(self, screen: ExitStack) -> None:
        self._screen = screen
        self._bar: progress.Step | None = None

    def follow(self, events: list[tuple[str, tuple[Any, ...]]]) -> None:
        """Show what was told: see `progress.show_elsewhere`."""
        for what, values in events:
            if what == "say":
                progress.say(*values)
            elif what == "step":
                if self._bar is not None:  # its worker died in the middle
                    self._bar.given_up = True
                self._screen.close()
                self._bar = self._screen.enter_context(progress.step(*values))
            elif self._bar is not None and what == "at":
                self._bar.at(values[0])
                self._bar.note(values[1])
            elif self._bar is not None:
                (self._bar.seconds,) = values
                self._screen.close()
                self._bar = None
