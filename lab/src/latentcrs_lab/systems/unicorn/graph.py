"""The dynamic weighted graph of a session, and the few actions that the policy weighs: items by preference,
attributes by weighted entropy.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit, softmax

from latentcrs.systems.facets import Facets
from latentcrs.systems.sessions import Sessions, best
from latentcrs_lab.systems.unicorn.embeddings import Preference, in_order
from latentcrs_lab.systems.unicorn.settings import UnicornSettings

NONE = -1
"""Stands where there is no node."""


@dataclass
class Graphs:
    """The graphs of B sessions: a user, accepted attributes, attributes that may be asked about, candidate items.

    users (B, d): the users' embeddings. accepted (B, A), asks (B, K): facets. shares (B, K): how much of the
    candidates' weight has the facet. items (B, M): best first; after the candidates come those that are no nodes and
    fill up what is shown. weights (B, M): of the edges from the user to the candidates, 0 for other items.
    turns (B,): that were taken.
    """

    users: NDArray[np.float32]
    accepted: NDArray[np.int32]
    asks: NDArray[np.int32]
    shares: NDArray[np.float32]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]
    turns: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.users)

    def some(self, rows: NDArray[np.int64]) -> Graphs:
        """The graphs of `rows`."""
        return Graphs(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def replaced(self, rows: NDArray[np.int64], others: Graphs) -> Graphs:
        """These graphs with `others` in place of `rows`."""
        found = {}
        for field in fields(self):
            found[field.name] = getattr(self, field.name).copy()
            found[field.name][rows] = getattr(others, field.name)
        return Graphs(**found)

    def actions(self, count: int) -> NDArray[np.bool_]:
        """Which actions there are, (B, K + count): to ask about each of `asks`, to recommend each of the first
        `count` candidates; where there is no candidate either, the first item.
        """
        items = self.weights[:, :count] > 0
        items[:, 0] = True
        return np.concatenate([self.asks != NONE, items], 1)


class GraphPruner:
    """Finds the graph of a session."""

    def __init__(self, facets: Facets, preference: Preference, settings: UnicornSettings) -> None:
        self._preference, self._settings = preference, settings
        self._having = sparse.csr_array(facets.weights.T)  # (F, n)

    def __call__(self, sessions: Sessions) -> Graphs:
        """The graphs of B sessions, as they stand before the next act."""
        settings = self._settings
        users = self._preference.users(sessions.histories)
        scores = self._preference.scores(users, sessions.accepted, sessions.rejected)
        candidates = sessions.candidates()
        weights = candidate_weights(scores, candidates, settings.weights)
        items = best(in_order(scores, sessions.matches), ~sessions.gone, settings.graph_items)
        shares = (self._having @ weights.T).T / weights.sum(1, keepdims=True).clip(1e-9)
        # On the last turn, and where all candidates can be shown at once, an answer is worth nothing.
        worth = (sessions.turns < settings.turns - 1) & (candidates.sum(1) > settings.shown)
        told = sessions.asked | sessions.accepted | sessions.rejected
        entropy = entropies(shares)
        asks = _filled(best(entropy, (entropy > 0) & ~told & worth[:, None], settings.facets), settings.facets)
        return Graphs(
            users,
            _first(sessions.accepted, settings.graph_accepted),
            asks,
            _at(shares, asks),
            items.astype(np.int32),
            _at(weights, items),
            sessions.turns.astype(np.int32),
        )


def candidate_weights(scores: NDArray[np.float32], candidates: NDArray[np.bool_], form: str) -> NDArray[np.float32]:
    """w_v of the candidates, 0 of other items: (B, n) -> (B, n). The sigmoid of the score as in the paper, or its
    softmax over the candidates: scores that were trained as logits then weigh by probability.
    """
    if form == "sigmoid":
        return np.where(candidates, expit(scores), 0).astype(np.float32)
    some = np.where(candidates, scores, np.where(candidates.any(1, keepdims=True), -np.inf, 0))
    return np.where(candidates, softmax(some, axis=1), 0).astype(np.float32)


def entropies(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """The entropy, in bits, of an answer that is yes with these probabilities; 0 where the answer is known."""
    yes = np.clip(shares, 1e-6, 1 - 1e-6)
    found = -yes * np.log2(yes) - (1 - yes) * np.log2(1 - yes)
    return np.where((shares > 1e-6) & (shares < 1 - 1e-6), found, 0).astype(np.float32)


def _filled(places: NDArray[np.int64], count: int) -> NDArray[np.int32]:
    """(B, k) -> (B, count), `NONE` behind."""
    return np.pad(places, ((0, 0), (0, count - places.shape[1])), constant_values=NONE).astype(np.int32)


def _at(values: NDArray[np.float32], places: NDArray[np.integer]) -> NDArray[np.float32]:
    """(B, n), (B, k) -> (B, k), 0 where there is no place."""
    if not values.shape[1]:
        return np.zeros(places.shape, np.float32)
    return np.where(places >= 0, np.take_along_axis(values, np.maximum(places, 0), 1), 0).astype(np.float32)


def _first(marked: NDArray[np.bool_], most: int) -> NDArray[np.int32]:
    """The numbers of the marked columns, (B, n) -> (B, most)."""
    found = np.full((len(marked), most), NONE, np.int32)
    rows, columns = np.nonzero(marked)
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = place < most
    found[rows[kept], place[kept]] = columns[kept]
    return found
