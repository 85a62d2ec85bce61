"""Where the heavy steps of preparing run: their Narwhals code is the same, an engine only reads, keeps and writes."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from latentcrs.data.core import FramePairs, HeldPairs, Pairs
from latentcrs.data.raw import RawData

ROWS_AT_ONCE = 6_000_000
"""Rows that Polars sorts together: about 300 MB with the copy that sorting makes."""

Plan = Callable[[nw.LazyFrame], nw.LazyFrame]


class Engine(ABC):
    """Reads, keeps and writes lazy frames of one backend. Names are of tables in the engine's own workspace.

    A plan for `keep_by_user` and `save_by_user` has to give the same rows when it is applied to parts that hold
    whole users, one after the other.
    """

    failures: tuple[type[Exception], ...]  # what reading a damaged file raises
    few: int = 100_000  # ids that a filter may name, which reads a log up to ten times faster than a join

    @abstractmethod
    def log(self, raw: RawData) -> nw.LazyFrame:
        """The log of `raw`, columns of `RAW_INTERACTIONS_SCHEMA`."""

    @abstractmethod
    def table(self, frame: pl.DataFrame) -> nw.LazyFrame:
        """`frame`, with at most a row per user or item, as the engine's own."""

    @abstractmethod
    def keep(self, frame: nw.LazyFrame, name: str) -> nw.LazyFrame:
        """`frame` computed once, to be read again and again."""

    @abstractmethod
    def keep_by_user(
        self, log: nw.LazyFrame, rows: NDArray[np.int64], plan: Plan, name: str, on_part: Callable[[int], None]
    ) -> nw.LazyFrame:
        """`plan` applied to `log` (its column `user` is dense), computed once.

        Args:
            rows: how many rows each user has. (users,)
            on_part: called with a number of rows done, after each part.
        """

    @abstractmethod
    def forget(self, name: str) -> None:
        """Remove a kept table, which nothing will read any more."""

    def pairs(self, log: nw.LazyFrame) -> Pairs:
        """The rows of `log` (columns user and item), to be asked again and again."""
        return FramePairs(log, self)

    @abstractmethod
    def save(self, frame: nw.LazyFrame, path: Path) -> None:
        """Write `frame` to one Parquet file on this machine, in its order."""

    @abstractmethod
    def save_by_user(
        self, log: nw.LazyFrame, rows: NDArray[np.int64], plan: Plan, path: Path, on_part: Callable[[int], None]
    ) -> None:
        """`plan` applied to `log` as in `keep_by_user`, written as in `save`."""

    def collect(self, frame: nw.LazyFrame) -> pl.DataFrame:
        """`frame`, with at most a row per user or item, in memory."""
        return frame.collect(**streaming(frame)).to_polars()


class PolarsEngine(Engine):
    """One process: memory grows with users and items, and not with interactions. `work`: a folder for these."""

    failures = (pl.exceptions.PolarsError, OSError)
    held = 32_000_000  # rows of a log that the k-core may have in memory: 256 MB

    def __init__(self, work: Path) -> None:
        self.work = work

    def log(self, raw: RawData) -> nw.LazyFrame:
        return nw.from_native(raw.interactions)

    def table(self, frame: pl.DataFrame) -> nw.LazyFrame:
        return nw.from_native(frame).lazy()

    def keep(self, frame: nw.LazyFrame, name: str) -> nw.LazyFrame:
        self.save(frame, self._place(name))
        return nw.scan_parquet(self._place(name), backend="polars")

    def keep_by_user(
        self, log: nw.LazyFrame, rows: NDArray[np.int64], plan: Plan, name: str, on_part: Callable[[int], None]
    ) -> nw.LazyFrame:
        self.save_by_user(log, rows, plan, self._place(name), on_part)
        return nw.scan_parquet(self._place(name), backend="polars")

    def forget(self, name: str) -> None:
        self._place(name).unlink()

    def pairs(self, log: nw.LazyFrame) -> Pairs:
        return HeldPairs(log.to_native()) if number_of_rows(log) <= self.held else FramePairs(log, self)

    def save(self, frame: nw.LazyFrame, path: Path) -> None:
        frame.sink_parquet(path)

    def save_by_user(
        self, log: nw.LazyFrame, rows: NDArray[np.int64], plan: Plan, path: Path, on_part: Callable[[int], None]
    ) -> None:
        writer = None
        try:
            for first, last in user_ranges(rows):
                part = plan(log.filter(nw.col("user") >= first, nw.col("user") < last))
                table = part.collect(**streaming(log)).to_arrow()
                writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
                writer.write_table(table, row_group_size=max(1, len(table)))
                on_part(int(rows[first:last].sum()))
        finally:
            if writer is not None:
                writer.close()

    def _place(self, name: str) -> Path:
        return self.work / f"{name}.parquet"


def user_ranges(rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges [first, last) of consecutive users with about `ROWS_AT_ONCE` rows each; rows: (users,)."""
    part = np.cumsum(rows) // ROWS_AT_ONCE
    bounds = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(rows)]
    yield from itertools.pairwise(bounds)


def number_of_rows(frame: nw.LazyFrame) -> int:
    """How many rows `frame` has."""
    return int(frame.select(nw.len().alias("rows")).collect(**streaming(frame)).item())


def streaming(frame: nw.LazyFrame) -> dict[str, Any]:
    """Keywords that make `collect` work in bounded memory where the backend has such an engine."""
    return {"engine": "streaming"} if frame.implementation.is_polars() else {}
