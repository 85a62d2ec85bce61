"""The k-core of a log: the largest part in which every user and every item has interactions enough; and its rows as
that asks for them: counted, and what others lose when some users or items leave.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from latentcrs.data.engine import Engine

Side = Literal["user", "item"]
OTHER: dict[Side, Side] = {"user": "item", "item": "user"}

AT_ONCE = 1 << 20
"""Rows that are counted together, at least."""
SHRINK = 0.8
"""Share of the rows held under which those of users and items that have left are let go."""
ROOM = 1 << 20
"""Ids that are whole numbers up to this are their own codes, or up to four for each row."""
LARGEST = (1 << 31) - 1
"""The largest code."""


def k_core(log: nw.LazyFrame, user_core: int, item_core: int, engine: Engine) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The users and items of the (user_core, item_core)-core of `log`, taken to the fixed point by peeling.

    Everything is counted once. A round then takes away the users, and the items, that have too little, and subtracts
    what goes with them. Memory grows with users and items; with interactions only up to what `engine` holds at most.

    Args:
        log: columns user and item, one row per distinct pair; ids of any type.
        user_core: fewest interactions of a user that stays.
        item_core: fewest interactions of an item that stays.

    Returns:
        Two frames without order: (user, rows) and (item, rows), rows being the interactions in the core. Both empty
        where no such part exists.
    """
    least: dict[Side, int] = {"user": user_core, "item": item_core}
    pairs = engine.pairs(log.select("user", "item"))
    left = {side: pairs.counts(side) for side in OTHER}
    changed = True
    while changed:
        changed = False
        for side, other in OTHER.items():
            leaving = (left[side] > 0) & (left[side] < least[side])
            if leaving.any():
                changed = True
                # Of those that have left already more may be taken than they had.
                left[other] = np.maximum(left[other] - pairs.lost(side, leaving), 0)
                left[side] = np.where(leaving, 0, left[side])
                pairs.forget(left)
    return pairs.named("user", left["user"]), pairs.named("item", left["item"])


class Pairs(ABC):
    """Rows (user, item), no two alike. Users and items have codes from 0, which are this object's own."""

    @abstractmethod
    def counts(self, side: Side) -> NDArray[np.int64]:
        """How many rows each user or item has, by code; zero for a code that nobody has. (codes,)"""

    @abstractmethod
    def lost(self, side: Side, leaving: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many rows each of the other side loses when those `leaving` (codes,) do. (codes of the other side,)

        Rows whose other end left before may count too: only what is said of those still there is right.
        """

    @abstractmethod
    def named(self, side: Side, left: NDArray[np.int64]) -> pl.DataFrame:
        """(`side`, rows) of those with rows `left` (codes,)."""

    def forget(self, left: dict[Side, NDArray[np.int64]]) -> None:  # noqa: B027
        """Nobody will ask for the rows of users and items with none `left` (codes,)."""


class FramePairs(Pairs):
    """Rows that stay where they are and are read at every question; users and items are here, sorted by id."""

    def __init__(self, log: nw.LazyFrame, engine: Engine) -> None:
        self._log, self._engine = log, engine
        self._counted = {side: engine.collect(counts_of(log, side)).sort(side) for side in OTHER}

    def counts(self, side: Side) -> NDArray[np.int64]:
        return self._counted[side]["rows"].to_numpy()

    def lost(self, side: Side, leaving: NDArray[np.bool_]) -> NDArray[np.int64]:
        ids, other = self._counted[side][side].filter(pl.Series(leaving)), OTHER[side]
        if len(ids) <= self._engine.few:
            rows = self._log.filter(nw.col(side).is_in(ids.to_list()))
        else:
            rows = self._log.join(self._engine.table(ids.to_frame()), on=side, how="semi")
        found = self._engine.collect(counts_of(rows, other))
        lost = np.zeros(len(self._counted[other]), np.int64)
        lost[self._counted[other][other].search_sorted(found[other]).to_numpy()] = found["rows"].to_numpy()
        return lost

    def named(self, side: Side, left: NDArray[np.int64]) -> pl.DataFrame:
        return self._counted[side].with_columns(rows=pl.Series(left)).filter(pl.col("rows") > 0)


class HeldPairs(Pairs):
    """Rows in this process, eight bytes each and fewer as they leave. Small numbers are their own codes."""

    def __init__(self, log: pl.LazyFrame) -> None:
        self._types = log.collect_schema()
        # Names live as long as a column of them does.
        self._names = {side: pl.Series(side, [], pl.Categorical(pl.Categories.random())) for side in OTHER}
        self._numbered = {side for side in OTHER if not self._types[side].is_integer()}
        self._parts = self._read(log)
        self._rows = sum(map(len, self._parts))
        small = min(max(ROOM, 4 * self._rows), LARGEST)
        large = {side for side in OTHER if codes_in(self._parts, side) > small}
        if large:
            self._numbered |= large
            self._parts = self._read(log)
        self._codes = {side: codes_in(self._parts, side) for side in OTHER}

    def counts(self, side: Side) -> NDArray[np.int64]:
        return self._sum(side, (part[side] for part in self._parts))

    def lost(self, side: Side, leaving: NDArray[np.bool_]) -> NDArray[np.int64]:
        # `take` reads whole numbers of 32 bits twice as fast as brackets do.
        masks = (pl.Series(leaving.take(part[side].to_numpy())) for part in self._parts)
        other = OTHER[side]
        return self._sum(other, (part[other].filter(mask) for part, mask in zip(self._parts, masks, strict=True)))

    def named(self, side: Side, left: NDArray[np.int64]) -> pl.DataFrame:
        codes = np.flatnonzero(left)
        ids = pl.Series(side, codes, pl.UInt32)
        if side in self._numbered:
            ids = ids.cat.to(self._names[side].dtype).cast(pl.String)
        return pl.DataFrame({side: ids.cast(self._types[side]), "rows": left[codes]})

    def forget(self, left: dict[Side, NDArray[np.int64]]) -> None:
        rows = int(left["user"].sum())
        if rows < SHRINK * self._rows:
            stay = {side: left[side] > 0 for side in OTHER}
            for number, part in enumerate(self._parts):
                mask = stay["user"].take(part["user"].to_numpy())
                mask &= stay["item"].take(part["item"].to_numpy())
                self._parts[number] = part.filter(pl.Series(mask))
            self._rows = rows

    def _read(self, log: pl.LazyFrame) -> list[pl.DataFrame]:
        """(user, item) of `log` as codes, Int32, part by part; null for a number that is too large to be one."""
        ids = {side: pl.col(side) for side in OTHER}
        for side in self._numbered:
            ids[side] = ids[side].cast(pl.String).cast(self._names[side].dtype).to_physical()
        coded = log.select(ids[side].cast(pl.Int32, strict=False) for side in OTHER)
        return [part.rechunk() for part in coded.collect_batches(maintain_order=False, engine="streaming")]

    def _sum(self, side: Side, columns: Iterable[pl.Series]) -> NDArray[np.int64]:
        """How often each code is in these columns, counted for many rows together."""
        counts, waiting, rows = np.zeros(self._codes[side], np.int64), [], 0
        for column in itertools.chain(columns, [None]):
            if column is not None and len(column):
                waiting.append(column)
                rows += len(column)
            if waiting and (column is None or rows >= AT_ONCE):
                counts += np.bincount(pl.concat(waiting).to_numpy(), minlength=len(counts))
                waiting, rows = [], 0
        return counts


def codes_in(parts: list[pl.DataFrame], side: Side) -> int:
    """How many codes there are when the ids in `parts` are codes; too many when one of them cannot be a code."""
    columns = [part[side] for part in parts if len(part)]
    if any(ids.null_count() or ids.min() < 0 for ids in columns):  # type: ignore[operator]
        return LARGEST + 1
    return 1 + max((int(ids.max()) for ids in columns), default=-1)  # type: ignore[arg-type]


def counts_of(log: nw.LazyFrame, side: Side) -> nw.LazyFrame:
    """(`side`, rows): how many rows of `log` each user or item has."""
    return log.group_by(side).agg(nw.len().cast(nw.Int64).alias("rows"))
