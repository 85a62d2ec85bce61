"""The k-core of a log: the largest part in which every user and every item has interactions enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import narwhals as nw


def collected(frame: nw.LazyFrame) -> nw.LazyFrame:
    """`frame` computed once and held in memory."""
    return frame.collect(**streaming(frame)).lazy()


def k_core(
    log: nw.LazyFrame,
    user_core: int,
    item_core: int,
    hold: Callable[[nw.LazyFrame], nw.LazyFrame] = collected,
) -> tuple[nw.LazyFrame, nw.LazyFrame]:
    """The users and items of the (user_core, item_core)-core of `log`, taken to the fixed point by peeling.

    Everything is counted once. A round then takes away the users, and the items, that have too little, and subtracts
    what goes with them: it reads the two columns of the log from wherever they lie, and groups only the rows that
    leave. Memory grows with users and items, never with interactions.

    Args:
        log: columns user and item, one row per distinct pair.
        user_core: fewest interactions of a user that stays.
        item_core: fewest interactions of an item that stays.
        hold: computes a frame of at most as many rows as there are users or items, once, and returns it.

    Returns:
        Two frames without order: (user, rows) and (item, rows), rows being the interactions in the core. Both empty
        where no such part exists.
    """
    log = log.select("user", "item")
    least = {"user": user_core, "item": item_core}
    alive = {side: hold(counts_of(log, side)) for side in least}
    while True:
        changed = False
        for side, other in (("user", "item"), ("item", "user")):
            # Rows of such a user whose item left before are counted too; the left join does not find their item.
            dying = hold(alive[side].filter(nw.col("rows") < least[side]).select(side))
            if number_of_rows(dying) == 0:
                continue
            changed = True
            lost = counts_of(log.join(dying, on=side, how="semi"), other).rename({"rows": "lost"})
            alive[side] = alive[side].filter(nw.col("rows") >= least[side])
            left = alive[other].join(lost, on=other, how="left")
            alive[other] = hold(left.select(other, nw.col("rows") - nw.col("lost").fill_null(0)))
        if not changed:
            return alive["user"], alive["item"]


def counts_of(log: nw.LazyFrame, side: str) -> nw.LazyFrame:
    """(`side`, rows): how many rows of `log` each user or item has."""
    return log.group_by(side).agg(nw.len().cast(nw.Int64).alias("rows"))


def number_of_rows(frame: nw.LazyFrame) -> int:
    """How many rows `frame` has."""
    return int(frame.select(nw.len().alias("rows")).collect(**streaming(frame)).item())


def streaming(log: nw.LazyFrame) -> dict[str, Any]:
    """Keywords that make `collect` work in bounded memory where the backend has such an engine."""
    return {"engine": "streaming"} if log.implementation.is_polars() else {}
