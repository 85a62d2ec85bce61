"""The k-core of a log: the largest part in which every user and every item has interactions enough."""

from __future__ import annotations

from typing import Any

import narwhals as nw


def k_core(log: nw.LazyFrame, user_core: int, item_core: int) -> tuple[nw.DataFrame, nw.DataFrame]:
    """The users and items of the (user_core, item_core)-core of `log`, taken to the fixed point.

    Each round looks only at counts: memory grows with users and items, never with interactions, and the log is read
    once or twice per round from wherever it lies.

    Args:
        log: columns user and item, one row per distinct pair.
        user_core: fewest interactions of a user that stays.
        item_core: fewest interactions of an item that stays.

    Returns:
        Two frames (column `user`, column `item`), without order. Both empty where no such part exists.
    """
    log = log.select("user", "item")
    alive = {"user": counts_of(log, "user", user_core), "item": counts_of(log, "item", item_core)}
    least = {"user": user_core, "item": item_core}
    while True:
        before = {side: len(frame) for side, frame in alive.items()}
        for side, other in (("user", "item"), ("item", "user")):
            left = log.join(alive[other].lazy(), on=other, how="semi")
            left = left.join(alive[side].lazy(), on=side, how="semi")
            alive[side] = counts_of(left, side, least[side])
        if before == {side: len(frame) for side, frame in alive.items()}:
            return alive["user"], alive["item"]


def counts_of(log: nw.LazyFrame, side: str, least: int) -> nw.DataFrame:
    """Users or items (`side`) with at least `least` rows in `log`, as one column."""
    counts = log.group_by(side).agg(nw.len().alias("rows"))
    return counts.filter(nw.col("rows") >= least).select(side).collect(**streaming(log))


def streaming(log: nw.LazyFrame) -> dict[str, Any]:
    """Keywords that make `collect` work in bounded memory where the backend has such an engine."""
    return {"engine": "streaming"} if log.implementation.is_polars() else {}
