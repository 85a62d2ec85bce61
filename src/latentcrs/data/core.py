"""The k-core of a log: the largest part in which every user and every item has interactions enough."""

from __future__ import annotations

from typing import Any

import narwhals as nw

from latentcrs.data.engine import Engine


def k_core(log: nw.LazyFrame, user_core: int, item_core: int, engine: Engine) -> tuple[nw.LazyFrame, nw.LazyFrame]:
    """The users and items of the (user_core, item_core)-core of `log`, taken to the fixed point by peeling.

    Everything is counted once. A round then takes away the users, and the items, that have too little, and subtracts
    what goes with them: it reads the two columns of the log from wherever they lie, and groups only the rows that
    leave. Memory grows with users and items, never with interactions.

    Args:
        log: columns user and item, one row per distinct pair.
        user_core: fewest interactions of a user that stays.
        item_core: fewest interactions of an item that stays.

    Returns:
        Two frames without order: (user, rows) and (item, rows), rows being the interactions in the core. Both empty
        where no such part exists.
    """
    log = log.select("user", "item")
    least = {"user": user_core, "item": item_core}
    alive = {side: engine.hold(counts_of(log, side)) for side in least}
    while True:
        changed = False
        for side, other in (("user", "item"), ("item", "user")):
            dying = alive[side].filter(nw.col("rows") < least[side])
            names = named(dying, side, engine)
            if names == []:
                continue
            changed = True
            alive[side] = alive[side].filter(nw.col("rows") >= least[side])
            # Rows whose item left before are counted too, and find no count any more to be taken from.
            leaving = part(log, side, dying, names)
            lost = engine.hold(counts_of(leaving, other).rename({"rows": "lost"}))
            names = named(lost, other, engine)
            less = part(alive[other], other, lost, names).join(lost, on=other, how="inner")
            less = less.select(other, nw.col("rows") - nw.col("lost"))
            alive[other] = engine.hold(nw.concat([part(alive[other], other, lost, names, within=False), less]))
        if not changed:
            return alive["user"], alive["item"]


def named(keys: nw.LazyFrame, side: str, engine: Engine) -> list[Any] | None:
    """The ids in `keys`; None where they are too many to be named in a filter."""
    ids = engine.collect(keys.select(side).head(engine.few + 1))[side].to_list()
    return ids if len(ids) <= engine.few else None


def part(
    frame: nw.LazyFrame, side: str, keys: nw.LazyFrame, names: list[Any] | None, within: bool = True
) -> nw.LazyFrame:
    """The rows of `frame` whose `side` is one of those in `keys`, or (`within` false) none of them."""
    if names is None:
        return frame.join(keys.select(side), on=side, how="semi" if within else "anti")
    chosen = nw.col(side).is_in(names)
    return frame.filter(chosen if within else ~chosen)


def counts_of(log: nw.LazyFrame, side: str) -> nw.LazyFrame:
    """(`side`, rows): how many rows of `log` each user or item has."""
    return log.group_by(side).agg(nw.len().cast(nw.Int64).alias("rows"))
