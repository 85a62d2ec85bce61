"""Raw data as every source hands it over: one lazy log, one catalogue, and what is known about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from latentcrs.data.dataset import ColumnKind
from latentcrs.data.lines import LineProblem

if TYPE_CHECKING:
    from latentcrs.data.events import Events
    from latentcrs.data.mapping import Mapping

RAW_INTERACTIONS_SCHEMA = {
    "user_id": pl.String,
    "item_id": pl.String,
    "rating": pl.Float64,  # null where the log has none
    "timestamp": pl.Int64,  # seconds since 1970; null where the log has none
    "event": pl.Int64,  # code of the kind of event, see `RawData.events`; null where the log has none
    "order": pl.Int64,  # finer order within one timestamp (a position, milliseconds); null where there is none
    "line": pl.Int64,  # line of the file, 1 is the first (for Parquet: row, 1 is the first); the last tie-break
    "problem": pl.String,  # why the row cannot be used (a field that cannot be read), null for a good row
}
"""Columns of `RawData.interactions`, in this order; `raw_interactions` puts a frame into it."""


@dataclass(frozen=True)
class LogTable:
    """A log that lies as Parquet, for an engine that reads it by itself.

    files: paths or URLs, in the order of their rows.
    rows: how many each file has.
    columns: those that are read.
    read: turns any of the rows, with `LINE` and `PROBLEM` of `latentcrs.data.tables`, into the raw schema.
    """

    files: tuple[str, ...]
    rows: tuple[int, ...]
    columns: tuple[str, ...]
    read: Callable[[pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True)
class RawData:
    """What a reader returns, before anything is filtered.

    interactions: lazy, columns of `RAW_INTERACTIONS_SCHEMA`, in the order of the file.
    items: item_id (String), title (String, null where missing), then attribute columns in any form: strings as they
        are in the file, or List(String) where the file has lists. `latentcrs.data.columns` types and cleans them.
    kinds: kinds of attribute columns that need no inspection.
    """

    name: str
    source: str  # the files it was read from, in words
    terms: str  # the terms of use, in words
    interactions: pl.LazyFrame
    items: pl.DataFrame
    kinds: dict[str, ColumnKind] = field(default_factory=dict)
    has_ratings: bool = True
    threshold: float | None = 4.0  # the default; used only where has_ratings; None: it follows the scale
    user_core: int = 5  # the default
    item_core: int = 5  # the default
    files: dict[str, Path | str] = field(default_factory=dict)  # "interactions", "items" -> the file, for messages
    problems: list[LineProblem] = field(default_factory=list)  # what was wrong below the level of the log's rows
    notes: list[str] = field(default_factory=list)  # what was guessed, and done to values: a sentence each
    item_lines: pl.Series | None = None  # the line of the catalogue that each row of `items` comes from, if known
    table: LogTable | None = None  # the same log as Parquet, where it lies so
    decimal: str | None = None  # what stands before decimals in the catalogue's numbers, where that is known
    events: Events | None = None  # what kinds of events mean, where the log has them
    repeats: bool = False  # rows that repeat a user and item are kept
    same_ids: tuple[str, ...] = ()  # what is ignored in item ids; those of the log come without it already
    mapping: Mapping | None = None  # which columns were settled on, where that was to be found out


@dataclass(frozen=True)
class Source:
    """One kind of data that `latentcrs data prepare NAME --from PATH` reads."""

    name: str  # as on the command line
    about: str  # one line for `latentcrs data list`
    terms: str
    # (--from path, a workspace folder that lives until the data set is prepared, for unpacked files) -> raw data
    read: Callable[[Path, Path], RawData]


def first_reason(reasons: dict[str, pl.Expr]) -> pl.Expr:
    """The first of `reasons` whose expression holds in a row; null where none does."""
    return pl.coalesce([pl.when(holds).then(pl.lit(reason)) for reason, holds in reasons.items()])


def unusable(rating: pl.Expr, timestamp: pl.Expr, too_many: pl.Expr | None = None) -> pl.Expr:
    """Why a row of text is of no use; null for a good one. rating, timestamp: null where they cannot be read."""
    reasons = {"no user": pl.col("user_id").fill_null("") == "", "no item": pl.col("item_id").fill_null("") == ""}
    reasons |= {} if too_many is None else {"too many fields": too_many}
    return first_reason(
        {**reasons, "unreadable rating": rating.is_null(), "unreadable timestamp": timestamp.is_null()}
    )


def raw_interactions(log: pl.LazyFrame) -> pl.LazyFrame:
    """`log` with exactly the columns of `RAW_INTERACTIONS_SCHEMA`; columns it lacks are null.

    `line` must be there: readers number rows at the scan, where the file's order is still known.
    """
    present = set(log.collect_schema().names())
    return log.select(
        [
            (pl.col(name).cast(kind) if name in present else pl.lit(None, dtype=kind)).alias(name)
            for name, kind in RAW_INTERACTIONS_SCHEMA.items()
        ]
    )
