"""Many sessions of a system that asks about facets, side by side: what each was told, and what it may still show."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latentcrs.data.histories import Histories
from latentcrs.systems.facets import Facets

RECOMMEND = -1
"""Stands where an action asks for no facet."""


@dataclass
class Sessions:
    """B sessions.

    users (B,): -1 for somebody who is new. histories: what they did before. accepted, rejected (B, F): facets that
    the user wants, and does not want. asked (B, F): those the system has asked about, whatever the answer. gone
    (B, n): items that may not be shown (again): the history, and what was shown. shown (B, n): what was shown, and
    refused by that. matches (B, n): how many of the accepted facets each item has. turns (B,): turns that were taken.
    """

    facets: Facets
    users: NDArray[np.int64]
    histories: Histories
    accepted: NDArray[np.bool_]
    rejected: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    gone: NDArray[np.bool_]
    shown: NDArray[np.bool_]
    matches: NDArray[np.int16]
    turns: NDArray[np.int64]

    @classmethod
    def begin(
        cls,
        facets: Facets,
        users: NDArray[np.int64],
        histories: Histories,
        accepted: NDArray[np.bool_],
        rejected: NDArray[np.bool_],
    ) -> Sessions:
        """Sessions in which the user has spoken once: (B, F) facets wanted and not wanted in the opening."""
        n, count = len(facets.has), len(users)
        gone = np.zeros((count, n), bool)
        gone[histories.pairs()] = True
        new = cls(
            facets, users, histories, np.zeros_like(accepted), rejected.copy(), np.zeros_like(accepted), gone,
            np.zeros((count, n), bool), np.zeros((count, n), np.int16), np.zeros(count, np.int64),
        )  # fmt: skip
        rows, wanted = np.nonzero(accepted)
        new.answered(rows, wanted, np.ones(len(rows), np.int8))
        new.asked[:] = False
        return new

    def __len__(self) -> int:
        return len(self.users)

    def some(self, rows: NDArray[np.int64]) -> Sessions:
        """Copies of the sessions `rows`."""
        kept = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "facets"}
        return Sessions(self.facets, **{name: value[rows] for name, value in kept.items()})

    def answered(self, rows: NDArray[np.int64], facets: NDArray[np.int64], answers: NDArray[np.int8]) -> None:
        """The users of `rows` were asked about `facets`: 1 yes, 0 no, -1 it cannot be said. A row may come twice."""
        self.asked[rows, facets] = True
        yes = (answers > 0) & ~self.accepted[rows, facets]
        np.add.at(self.matches, rows[yes], self.facets.has[:, facets[yes]].T)
        self.accepted[rows[yes], facets[yes]] = True
        no = answers == 0
        self.rejected[rows[no], facets[no]] = True

    def refused(self, rows: NDArray[np.int64], items: NDArray[np.int64]) -> None:
        """The users of `rows` were shown `items` (len(rows), k; -1 for none), and did not want them."""
        places, columns = np.nonzero(items >= 0)
        self.gone[rows[places], items[places, columns]] = True
        self.shown[rows[places], items[places, columns]] = True

    def candidates(self) -> NDArray[np.bool_]:
        """(B, n): items that may be shown and have every accepted facet; where no item has, those with the most."""
        free = np.where(self.gone, np.int16(-1), self.matches)
        return (free == free.max(1, keepdims=True)) & ~self.gone

    def askable(self) -> NDArray[np.bool_]:
        """(B, F): facets that some candidate has, some lacks, and nobody has asked about or told."""
        candidates = self.candidates().astype(np.float32)
        having = candidates @ self.facets.weights
        total = candidates.sum(1, keepdims=True)
        return (having > 0) & (having < total) & ~(self.asked | self.accepted | self.rejected)


@dataclass(frozen=True)
class Acts:
    """What a policy does in B sessions. asks (B,): a facet, or `RECOMMEND`. items (B, k): best first, -1: no more."""

    asks: NDArray[np.int64]
    items: NDArray[np.int64]


class AskingPolicy(Protocol):
    """A trained system that asks about facets or recommends."""

    name: str

    def act(self, sessions: Sessions) -> Acts:
        """What to do next in each session."""

    def scores(self, sessions: Sessions) -> NDArray[np.float32]:
        """(B, n): how well every item fits, higher is better, whatever has been shown: the order for Recall@K."""


def best(scores: NDArray[np.float32], allowed: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """The k best allowed items of each row, (B, k), best first; -1 where fewer are allowed."""
    ranked = np.where(allowed, scores, -np.inf)
    k = min(k, ranked.shape[1])
    top = np.argpartition(-ranked, k - 1, axis=1)[:, :k] if k < ranked.shape[1] else np.argsort(-ranked, axis=1)
    order = np.argsort(-np.take_along_axis(ranked, top, 1), axis=1, kind="stable")
    top = np.take_along_axis(top, order, 1)
    return np.where(np.isneginf(np.take_along_axis(ranked, top, 1)), -1, top)
