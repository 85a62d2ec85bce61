"""The benchmark of preparing: its k-core beside pandas' straightforward loop, on a real log made larger."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.bench.machine import hardware
from latentcrs.data.raw import RawData
from latentcrs.data.scales import threshold_of
from latentcrs_lab.bench.core_sides import SIDES

TARGET = 5.0
"""How many times faster than pandas the k-core is to be."""


@dataclass(frozen=True)
class Side:
    """One of the two. seconds: a median, from the file to what is kept; peak_mib: of its own process, a median."""

    name: str
    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Comparison:
    """Both on one log, with ids of one sort (numbers or text)."""

    ids: str
    ours: Side
    pandas: Side
    rows_left: int

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.pandas.seconds / self.ours.seconds


@dataclass(frozen=True)
class PrepareBenchmark:
    """What `bench prepare` found."""

    data: str
    copies: int
    rows: int
    users: int
    items: int
    core: int
    repeats: int
    comparisons: list[Comparison]
    busy: float  # load average before: ours uses every core, pandas one, so others' work costs ours more
    hardware: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        told = asdict(self)
        for one, comparison in zip(told["comparisons"], self.comparisons, strict=True):
            one["ratio"] = comparison.ratio
        return {**told, "target": TARGET}


def bench_prepare(raw: RawData, rows: int, core: int, repeats: int) -> PrepareBenchmark:
    """Time the `core`-core of the log of `raw`, made larger until it has about `rows` rows.

    The log is repeated with other users and other items each time: real in all it has, since no copy touches
    another, and as many rounds are needed as in the log itself. Ours and pandas' take turns, each in a process of
    its own that reads a Parquet file and finds what is kept.

    Raises:
        UserError: a process failed, or the two differ.
    """
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="latentcrs-") as name:
        folder = Path(name)
        with step("Making the log larger"):
            log, copies = enlarged(raw, rows)
            shape = (len(log), log["user"].n_unique(), log["item"].n_unique())
            log.write_parquet(folder / "numbers.parquet")
            as_text(log).write_parquet(folder / "text.parquet")
            del log
        comparisons = []
        with step("Taking k-cores", total=2 * 2 * repeats) as bar:
            for ids in ("numbers", "text"):
                found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
                for _ in range(repeats):
                    for side in SIDES:
                        found[side].append(run_alone(side, folder / f"{ids}.parquet", core))
                        bar.advance()
                left = {int(run["rows"]) for runs in found.values() for run in runs}
                if len(left) != 1:
                    raise UserError(f"the two k-cores differ in what they keep: {sorted(left)} rows.")
                ours, peer = (side_of(side, runs) for side, runs in found.items())
                comparisons.append(Comparison(ids, ours, peer, left.pop()))
    data = raw.source if raw.name == "own" else raw.name
    return PrepareBenchmark(data, copies, *shape, core, repeats, comparisons, busy, hardware("cpu"))


def enlarged(raw: RawData, rows: int) -> tuple[pl.DataFrame, int]:
    """(user, item) Int32, distinct pairs of the log of `raw`, repeated with other users and items; and how often."""
    log = raw.interactions.filter(pl.col("problem").is_null())
    if raw.has_ratings:
        least = raw.threshold
        if least is None:  # as preparation does: it follows the scale
            least, _ = threshold_of(log.group_by("rating").agg(pl.len().alias("rows")).collect())
        if least is not None:
            log = log.filter(pl.col("rating") >= least)
    pairs = log.select(pl.col("user_id", "item_id").rank("dense").cast(pl.Int32) - 1).unique(maintain_order=True)
    one = pairs.rename({"user_id": "user", "item_id": "item"}).collect()
    if len(one) == 0:
        raise UserError("the log has no rows that can be used.")
    users, items = (int(one[side].max()) + 1 for side in ("user", "item"))  # type: ignore[arg-type]
    copies = max(1, round(rows / len(one)))
    return pl.concat(
        [one.select(pl.col("user") + users * n, pl.col("item") + items * n) for n in range(copies)]
    ), copies


def as_text(log: pl.DataFrame) -> pl.DataFrame:
    """`log` with ids as Amazon writes them: a letter and thirteen digits for people, nine for products."""
    return log.select(
        pl.format("A{}", pl.col("user").cast(pl.String).str.zfill(13)).alias("user"),
        pl.format("B{}", pl.col("item").cast(pl.String).str.zfill(9)).alias("item"),
    )


def side_of(name: str, runs: list[dict[str, float]]) -> Side:
    """The medians of some runs."""
    return Side(name, *(statistics.median(run[figure] for run in runs) for figure in ("seconds", "peak_mib")))


def run_alone(side: str, log: Path, core: int) -> dict[str, float]:
    """One run in a process of its own: seconds, peak_mib, rows."""
    command = [sys.executable, "-m", "latentcrs_lab.bench.core_sides", side, str(log), str(core)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it was killed"]
        raise UserError(f"the process of {side} failed: {said[-1]}.")
    return json.loads(done.stdout)
