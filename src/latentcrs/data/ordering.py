"""From raw ids in file order to dense ids in each user's order, as lazy steps that run on any engine."""

from dataclasses import dataclass

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.dropped import DROPPED_SCHEMA, DUPLICATE
from latentcrs.data.engine import Engine, Plan

ORDER = ["timestamp", "order", "line"]
"""What a user's rows are sorted by, nulls first: nobody can say that a row without a time was the last. `line` is
different in every row, so that no engine has a tie to break."""


@dataclass
class EncodedLog:
    """A log with dense ids.

    log: user, item (Int32), rating (Float32), timestamp, event, order, line.
    users: user_id and rows, sorted by id; a user's row is its dense id.
    user_codes, item_codes: (user_id, user) and (item_id, item), as the engine's own.
    """

    log: nw.LazyFrame
    users: pl.DataFrame
    user_codes: nw.LazyFrame
    item_codes: nw.LazyFrame

    @property
    def rows_of_users(self) -> NDArray[np.int64]:
        """How many rows each user has: (users,)."""
        return self.users["rows"].to_numpy()

    @property
    def rows(self) -> int:
        """How many rows the log has."""
        return int(self.users["rows"].sum())


def encode(log: nw.LazyFrame, item_ids: pl.Series, engine: Engine, name: str) -> EncodedLog:
    """`log` (columns of the raw schema, every row usable) with dense ids, kept under `name`.

    Users are numbered by sorted id (numbers in their own order: 2 before 10), items by their place in `item_ids`,
    so the numbering does not depend on how threads or workers are scheduled.
    """
    counted = engine.collect(log.group_by("user_id").agg(nw.len().cast(nw.Int64).alias("rows")))
    users = counted.sort(pl.col("user_id").str.len_chars(), "user_id")
    user_codes = engine.table(users.select("user_id", pl.int_range(pl.len(), dtype=pl.Int32).alias("user")))
    items = pl.Series("item", range(len(item_ids)), dtype=pl.Int32)
    item_codes = engine.table(pl.DataFrame({"item_id": item_ids, "item": items}))
    encoded = (
        log.join(user_codes, on="user_id", how="inner")
        .join(item_codes, on="item_id", how="inner")
        .select("user", "item", nw.col("rating").cast(nw.Float32), "timestamp", "event", "order", "line")
    )
    return EncodedLog(engine.keep(encoded, name), users, user_codes, item_codes)


def mark_first(log: nw.LazyFrame) -> nw.LazyFrame:
    """`log` with `first`: whether a row is the first, in `ORDER`, of its user and item."""
    return log.with_columns(nw.col("item").is_first_distinct().over("user", order_by=ORDER).alias("first"))


def mark_weighted(log: nw.LazyFrame) -> nw.LazyFrame:
    """`log` as `mark_first` has it, every row with the largest weight (`rating`) of its user and item."""
    return mark_first(log).with_columns(nw.col("rating").max().over("user", "item").alias("rating"))


def name_duplicates(encoded: EncodedLog, file: str) -> Plan:
    """A plan over a marked log: its rows that are not the first, in the columns of `DROPPED_SCHEMA`, by line."""

    def plan(marked: nw.LazyFrame) -> nw.LazyFrame:
        named = (
            marked.filter(~nw.col("first"))
            .join(encoded.user_codes, on="user", how="inner")
            .join(encoded.item_codes, on="item", how="inner")
        )
        named = named.with_columns(nw.lit(file).alias("file"), nw.lit(DUPLICATE).alias("reason"))
        return named.select(*DROPPED_SCHEMA).sort("line")

    return plan


def number_positions(users: nw.LazyFrame, items: nw.LazyFrame, repeats: bool = False) -> Plan:
    """A plan over a marked log: the first rows of the users and items that stay, with new ids, by user and position.

    Args:
        users, items: (user, new_user) and (item, new_item), Int32.
        repeats: take all rows, not the first ones.
    """

    def plan(marked: nw.LazyFrame) -> nw.LazyFrame:
        kept = marked if repeats else marked.filter(nw.col("first"))
        stays = kept.join(users, on="user", how="inner").join(items, on="item", how="inner")
        position = nw.col("line").cum_count().over("new_user", order_by=ORDER) - 1
        return stays.select(
            nw.col("new_user").alias("user"),
            nw.col("new_item").alias("item"),
            position.cast(nw.Int32).alias("position"),
            "timestamp",
            "rating",
        ).sort("user", "position")

    return plan


def renumbered(stay: pl.Series, name: str) -> pl.DataFrame:
    """(`name`, new_`name`): new dense ids, Int32, for the old ones in `stay`, in their order."""
    old = stay.cast(pl.Int32).sort().alias(name)
    return pl.DataFrame({name: old, f"new_{name}": pl.Series(range(len(old)), dtype=pl.Int32)})
