"""From raw ids in file order to dense ids in each user's order: bounded memory, however long the log."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import narwhals as nw
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from latentcrs.data.core import streaming
from latentcrs.data.dataset import INTERACTIONS_SCHEMA

ROWS_AT_ONCE = 6_000_000
"""Rows that are sorted together: about 300 MB with the copy that sorting makes."""

ORDER = ["user", "timestamp", "order", "line"]


@dataclass
class EncodedLog:
    """A log with dense ids, in the order of the file.

    path: parquet with user, item (Int32), rating, timestamp, order, line.
    users: user_id and rows, sorted by id; a user's row is its dense id.
    rows: how many rows `path` has.
    """

    path: Path
    users: pl.DataFrame
    rows: int


def encode(log: nw.LazyFrame, item_ids: pl.Series, path: Path) -> EncodedLog:
    """Write `log` (columns of the raw schema, every row usable) to `path` with dense ids.

    Users are numbered by sorted id (numbers in their own order: 2 before 10), items by their place in `item_ids`,
    so the numbering does not depend on how threads are scheduled.
    """
    counted = log.group_by("user_id").agg(nw.len().cast(nw.Int64).alias("rows")).collect(**streaming(log)).to_polars()
    users = counted.sort(pl.col("user_id").str.len_chars(), "user_id")
    user_codes = users.select("user_id", pl.int_range(pl.len(), dtype=pl.Int32).alias("user"))
    item_codes = pl.DataFrame({"item_id": item_ids, "item": pl.Series(range(len(item_ids)), dtype=pl.Int32)})
    encoded = (
        log.join(nw.from_native(user_codes).lazy(), on="user_id", how="inner")
        .join(nw.from_native(item_codes).lazy(), on="item_id", how="inner")
        .select("user", "item", nw.col("rating").cast(nw.Float32), "timestamp", "order", "line")
    )
    encoded.sink_parquet(path)
    return EncodedLog(path, users, int(users["rows"].sum()))


def order_log(
    encoded: EncodedLog, path: Path, on_duplicates: Callable[[pl.DataFrame], None], on_part: Callable[[int], None]
) -> None:
    """Write to `path` the rows by (user, timestamp, order, line), the first of each (user, item) only.

    One row group holds whole users. Rows without a timestamp come before those with one: nobody can say that they
    were the last.

    Args:
        on_duplicates: called with the rows left out (user, item, line).
        on_part: called with the number of rows read, after each part.
    """
    log = nw.scan_parquet(encoded.path, backend="polars")
    writer = None
    try:
        for first, last in user_ranges(encoded.users["rows"].to_numpy()):
            part = log.filter(nw.col("user") >= first, nw.col("user") < last).collect(**streaming(log))
            part = part.sort(ORDER, nulls_last=False)
            key = nw.col("user").cast(nw.Int64) * (1 << 32) + nw.col("item")
            part = part.with_columns(key.is_first_distinct().alias("first"))
            on_duplicates(part.filter(~nw.col("first")).select("user", "item", "line").to_polars())
            kept = part.filter(nw.col("first")).select("user", "item", "timestamp", "rating").to_arrow()
            writer = writer or pq.ParquetWriter(path, kept.schema, compression="zstd")
            writer.write_table(kept, row_group_size=max(1, len(kept)))
            on_part(len(part))
    finally:
        if writer is not None:
            writer.close()


def user_ranges(rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges [first, last) of consecutive users with about `ROWS_AT_ONCE` rows each; rows: (users,)."""
    part = np.cumsum(rows) // ROWS_AT_ONCE
    bounds = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(rows)]
    yield from itertools.pairwise(bounds)


def write_interactions(
    ordered: Path, path: Path, users: NDArray[np.int32], items: NDArray[np.int32], on_part: Callable[[int], None]
) -> int:
    """Write `interactions.parquet`: the rows of `ordered` whose user and item stay, renumbered, with positions.

    Args:
        users, items: new dense id per old one, -1 for those that do not stay.

    Returns:
        How many rows were written.
    """
    written = 0
    source = pq.ParquetFile(ordered)
    schema = pl.DataFrame(schema=INTERACTIONS_SCHEMA).to_arrow().schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in range(source.num_row_groups):
            table = source.read_row_group(group)
            user = users[table["user"].to_numpy()]
            item = items[table["item"].to_numpy()]
            stays = (user >= 0) & (item >= 0)
            user, item = user[stays], item[stays]
            # Rows are sorted by user: a row's position is its distance from the user's first row.
            starts = np.flatnonzero(np.diff(user, prepend=-1))
            lengths = np.diff(np.append(starts, len(user)))
            position = np.arange(len(user)) - np.repeat(starts, lengths)
            kept = table.filter(pa.array(stays))
            columns = [user, item, position.astype(np.int32), kept["timestamp"], kept["rating"]]
            writer.write_table(pa.table(columns, names=list(INTERACTIONS_SCHEMA)).cast(schema))
            written += len(user)
            on_part(len(stays))
    return written


def renumber(stay: pl.Series, size: int) -> NDArray[np.int32]:
    """New dense ids for the old ones in `stay`, keeping their order; -1 for the rest. (size,)"""
    new = np.full(size, -1, np.int32)
    old = np.sort(stay.to_numpy())
    new[old] = np.arange(len(old), dtype=np.int32)
    return new
