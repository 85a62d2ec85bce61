"""Items by a column: "the cheapest", "newest first", "which of these is the shortest?"."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latentcrs.hear import HeardRule, Sort
from latentcrs.recommend import Recommender
from latentcrs.store.session import Session


def first_by(
    recommender: Recommender, sort: Sort, session: Session, available: NDArray[np.bool_], rules: Sequence[HeardRule]
) -> NDArray[np.bool_]:
    """The items, (n,), that come first by an order: all of the last list where that is meant, else `session.k` of
    those available that pass the rules.
    """
    if sort.listed:
        only = np.zeros(len(available), bool)
        only[recommender.item_numbers(session.listed)] = True
        return only & recommender.offered
    passing = available.copy()
    for heard in rules:
        passing &= recommender.mask(heard.rule)
    numbers = np.flatnonzero(passing if passing.any() else available)
    only = np.zeros(len(available), bool)
    only[numbers[recommender.ordered(sort.column, sort.descending, numbers)[: session.k]]] = True
    return only
