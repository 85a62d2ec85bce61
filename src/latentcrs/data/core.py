"""The k-core of a log: the largest part in which every user and every item has interactions enough."""

from __future__ import annotations

import narwhals as nw
import numpy as np
import polars as pl

from latentcrs.data.engine import Engine
from latentcrs.data.pairs import OTHER, Side


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
