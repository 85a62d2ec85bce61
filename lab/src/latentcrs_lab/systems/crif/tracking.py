"""CRIF's tracking phase: the candidates of a session, their order, what may be asked, and the state in numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from latentcrs.systems.facets import Facets
from latentcrs.systems.sessions import Sessions

SIZES = (1, 5, 10, 20, 30, 50, 100)
"""Upper bounds of the candidates' number, in lists of what is shown in a turn: the paper's bins of 10 to 1,000."""
FEATURES = 4 + len(SIZES) + 1


class Tracking:
    """What follows from the answers in a session, without anything learned."""

    def __init__(self, facets: Facets, turns: int, shown: int) -> None:
        """turns: of a conversation. shown: items in a turn."""
        self._has = sparse.csr_array(facets.weights)  # (n, F)
        self._turns, self._bounds = turns, np.array(SIZES) * shown

    def fits(self, sessions: Sessions) -> NDArray[np.float32]:
        """(B, n): how many accepted facets an item has, less the rejected ones it has."""
        clashes = (sparse.csr_array(sessions.rejected, dtype=np.float32) @ self._has.T).toarray()
        fits: NDArray[np.float32] = sessions.matches - clashes
        return fits

    def candidates(self, sessions: Sessions, fits: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(B, n): of the items that may be shown those that fit best."""
        free = np.where(sessions.gone, -np.inf, fits)
        candidates: NDArray[np.bool_] = (free == free.max(1, keepdims=True)) & ~sessions.gone
        return candidates

    def questions(
        self, sessions: Sessions, weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The facet of the highest entropy over the candidates, (B,), and whether there is one whose answer is not
        known. weights (B, n): what each candidate counts, 0 for other items.
        """
        if self._has.shape[1] == 0:
            return np.zeros(len(sessions), np.int64), np.zeros(len(sessions), bool)
        total = np.maximum(weights.sum(1, keepdims=True), 1e-9)
        share = (sparse.csr_array(weights / total) @ self._has).toarray()
        told = sessions.asked | sessions.accepted | sessions.rejected
        found = entropy(np.where(told, 0, share))
        best = found.argmax(1)
        return best, found[np.arange(len(best)), best] > 0

    def states(self, sessions: Sessions, candidates: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(B, FEATURES): how often the user said yes, no, that it cannot be said, and refused a list, in turns; and
        which of `SIZES` the number of candidates lies in.
        """
        yes = (sessions.asked & sessions.accepted).sum(1)
        no = (sessions.asked & sessions.rejected).sum(1)
        asked = sessions.asked.sum(1)
        told = np.stack([yes, no, asked - yes - no, sessions.turns - asked], 1) / self._turns
        size = np.eye(len(SIZES) + 1)[np.searchsorted(self._bounds, candidates.sum(1))]
        return np.concatenate([told, size], 1).astype(np.float32)


def ordered(fits: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keys (B, n), the larger the better: items by how they fit, equals by `scores`."""
    low = scores.min(1, keepdims=True)
    span = np.maximum(scores.max(1, keepdims=True) - low, 1e-9)
    keys: NDArray[np.float32] = (fits + (scores - low) / span * np.float32(0.999)).astype(np.float32)
    return keys


def entropy(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """-p ln p - (1 - p) ln(1 - p), 0 where p is 0 or 1 but for rounding."""
    open_ = (share > 1e-5) & (share < 1 - 1e-5)
    p = np.where(open_, share, 0.5)
    return np.where(open_, -p * np.log(p) - (1 - p) * np.log1p(-p), 0).astype(np.float32)
