"""Plain attribute filtering: what any system that asks about attributes must beat.

`attributes` shows the most popular items that have every attribute it was told (Abs Greedy without a model, as in
Christakopoulou et al., KDD 2016). `max-entropy` asks about the facet that splits those most evenly while more than a
handful are left (Dhingra et al., ACL 2017; the baseline of the same name in EAR and UNICORN).
"""

import numpy as np
from numpy.typing import NDArray

from latentcrs.systems.sessions import RECOMMEND, Acts, Sessions, best

ENOUGH = 10
"""Candidates that are few enough to be shown."""


class AttributeFilter:
    """Popularity among the items that have the accepted facets; `asks`: questions first."""

    def __init__(self, counts: NDArray[np.int64], asks: bool, k: int = 5, turns: int = 5) -> None:
        """counts (n,): how often each item was chosen. k: items shown in a turn. turns: of a whole conversation."""
        self.name = "max-entropy" if asks else "attributes"
        self._counts, self._asks, self._k, self._turns = counts.astype(np.float32), asks, k, turns

    def act(self, sessions: Sessions) -> Acts:
        """See `AskingPolicy.act`."""
        candidates = sessions.candidates()
        items = best(np.broadcast_to(self._counts, candidates.shape), ~sessions.gone & candidates, self._k)
        short = (items < 0).any(1)
        if short.any():  # too few candidates: the next best behind them
            items[short] = best(self._ordered(sessions)[short], ~sessions.gone[short], self._k)
        asks = np.full(len(sessions), RECOMMEND)
        if self._asks:
            allowed = sessions.askable()
            weight = candidates.astype(np.float32)
            share = (weight @ sessions.facets.weights) / weight.sum(1, keepdims=True)
            even = np.where(allowed, -np.abs(share - 0.5), -np.inf)
            wants = (candidates.sum(1) > ENOUGH) & (sessions.turns < self._turns - 1) & allowed.any(1)
            asks[wants] = even[wants].argmax(1)
        return Acts(asks, items)

    def scores(self, sessions: Sessions) -> NDArray[np.float32]:
        """See `AskingPolicy.scores`."""
        return self._ordered(sessions)

    def _ordered(self, sessions: Sessions) -> NDArray[np.float32]:
        """Items by how many accepted facets they have, the popular first among equals."""
        clashes = sessions.rejected.astype(np.float32) @ sessions.facets.weights.T
        share = self._counts / (self._counts.max() + 1)
        return (sessions.matches - clashes + share).astype(np.float32)
