"""Users a second of bulk recommendation by one, two and more workers of Ray.

python lab/scripts/ray_workers.py BUNDLE [--workers 1 --workers 2] [--copies 10] [--repeats 3] [--json]
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.base.spread import Spread, here
from latentcrs.bench.machine import hardware
from latentcrs.bench.report import Report, hardware_line, tell
from latentcrs.cli.options import MOST
from latentcrs.recommend.bulk import open_ranker, user_blocks
from latentcrs.recommend.bundle import read_manifest
from latentcrs.recommend.users import trained_dataset
from latentcrs.scale.engine import engine_of

K = 20
BLOCK = 1024
ALONE = "this process"


@dataclass(frozen=True)
class Workers:
    """Medians of rounds. workers: 0 is this process, on one thread. per_second: users, from the first block that came
    back to the last; first_seconds: until then, with what a worker imports and opens.
    """

    workers: int
    per_second: float
    first_seconds: float


@dataclass(frozen=True)
class WorkersBenchmark:
    """Every number of workers on the users of one data set, each taken `copies` times."""

    dataset: str
    users: int
    copies: int
    found: list[Workers]
    busy: float
    hardware: dict[str, Any]

    def growth(self, workers: int) -> float:
        """Speed beside that of one worker."""
        by = {one.workers: one.per_second for one in self.found}
        return by[workers] / by[1]

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        told = [{**asdict(one), "growth": self.growth(one.workers)} for one in self.found]
        return {**asdict(self), "found": told}


def bench_workers(
    bundle: str | Path, counts: Sequence[int] = (1, 2), copies: int = 10, repeats: int = 3
) -> WorkersBenchmark:
    """Rank the catalogue for `copies` times all users of a bundle's data set, here and by Ray, each `repeats` times.

    Raises:
        UserError: no bundle there, its data set is gone, Ray is missing, or it has fewer processors than workers.
    """
    if 1 not in counts:
        raise UserError("--workers must name 1 too, which the others are compared with.")
    busy, folder = os.getloadavg()[0], Path(bundle).resolve()
    dataset = trained_dataset(read_manifest(folder))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a worker has
    job, blocks = partial(open_ranker, folder, K), list(user_blocks(dataset, BLOCK)) * copies

    def once(spread: Spread) -> tuple[float, float]:
        began, done = time.perf_counter(), []
        for _, table in spread(job, blocks):
            done.append((time.perf_counter(), len(table)))
        later = sum(users for _, users in done[1:])
        return later / (done[-1][0] - done[0][0]), done[0][0] - began

    def measured(workers: int, spread: Spread) -> Workers:
        rounds = []
        for _ in range(repeats):
            rounds.append(once(spread))
            bar.advance()
        return Workers(workers, *map(statistics.median, zip(*rounds, strict=True)))

    try:
        with step("workers", (1 + len(counts)) * repeats) as bar:
            found = [measured(0, here)]
            for count in sorted(counts):
                with engine_of("ray", count, "cpu") as spread:
                    found.append(measured(count, spread))
    finally:
        torch.set_num_threads(threads)
    return WorkersBenchmark(dataset.info.name, dataset.info.users, copies, found, busy, hardware("cpu"))


def main(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    counts: Annotated[list[int] | None, typer.Option("--workers", min=1, help="So many of Ray's; several.")] = None,
    copies: Annotated[int, typer.Option(min=1, max=MOST, help="How often every user is taken.")] = 10,
    repeats: Annotated[int, typer.Option(min=1, max=MOST, help="Rounds; medians are told.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Users a second of bulk recommendation by one, two and more workers of Ray.

    Example: `python lab/scripts/ray_workers.py models/ml-1m --workers 1 --workers 4`
    """
    found = bench_workers(bundle, counts or (1, 2), copies, repeats)
    report = Report(
        f"The best {K} for every user of {found.dataset}, {found.copies} times over ({found.users * found.copies:,} "
        "users), one thread a worker",
        ("workers", "users a second", "times one worker", "first block after"),
        [
            (
                str(one.workers) if one.workers else ALONE,
                f"{one.per_second:,.0f}",
                f"{found.growth(one.workers):.2f}",
                f"{one.first_seconds:.1f} s",
            )
            for one in found.found
        ],
        conditions=f"Medians of {repeats} rounds. {hardware_line(found.hardware, found.busy)}",
    )
    tell(found, report, as_json)


if __name__ == "__main__":
    typer.run(main)
