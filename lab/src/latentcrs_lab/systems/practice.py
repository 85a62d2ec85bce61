"""Sessions that policies which ask about facets are trained in."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.dataset import PreparedDataset
from latentcrs.systems.facets import Facets
from latentcrs.systems.hearing import FacetHearing
from latentcrs.systems.sessions import RECOMMEND, Acts, Sessions


class Practice:
    """Sessions that policies are trained in: with rows of requests, answered from the catalogue at no cost."""

    def __init__(
        self,
        dataset: PreparedDataset,
        facets: Facets,
        requests: pl.DataFrame,
        accepted: NDArray[np.bool_],
        rejected: NDArray[np.bool_],
    ) -> None:
        """requests: columns of `REQUESTS_SCHEMA`. accepted, rejected (rows, F): the facets heard in their texts, see
        `hearing.heard_facets`.
        """
        self.facets = facets
        self.users: NDArray[np.int64] = requests["user"].fill_null(-1).to_numpy().astype(np.int64)
        self.targets: NDArray[np.int64] = requests["target"].to_numpy().astype(np.int64)
        self.histories = dataset.request_histories(requests)
        self.accepted, self.rejected = accepted, rejected

    def __len__(self) -> int:
        return len(self.users)

    def begin(self, rows: NDArray[np.int64]) -> Sessions:
        """A session for each of `rows`; their targets are `targets[rows]`."""
        return Sessions.begin(
            self.facets, self.users[rows], self.histories[rows], self.accepted[rows], self.rejected[rows]
        )

    def answers(self, targets: NDArray[np.int64], facets: NDArray[np.int64]) -> NDArray[np.int8]:
        """What a truthful user who wants `targets` says of `facets`: 1 yes, 0 no, -1 that cannot be said."""
        known, has = self.facets.known[targets, facets], self.facets.has[targets, facets]
        return np.where(known, has, -1).astype(np.int8)

    def step(self, sessions: Sessions, acts: Acts, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Do `acts`: (B,) the place (from 0) at which the target was shown, -1 where it was not. What was shown or
        answered is noted in `sessions`.
        """
        asking = np.flatnonzero(acts.asks != RECOMMEND)
        facets = acts.asks[asking]
        sessions.answered(asking, facets, self.answers(targets[asking], facets))
        showing = np.flatnonzero(acts.asks == RECOMMEND)
        found = np.full(len(sessions), -1, np.int64)
        hits = acts.items[showing] == targets[showing, None]
        found[showing] = np.where(hits.any(1), hits.argmax(1), -1)
        sessions.refused(showing, acts.items[showing])
        sessions.turns += 1
        return found


def practice_of(
    dataset: PreparedDataset, hearing: FacetHearing, requests: pl.DataFrame, most: int | None = None
) -> Practice:
    """Sessions of requests with what is heard in them; of at most `most`, evenly spread."""
    if most is not None and len(requests) > most:
        requests = requests[np.linspace(0, len(requests) - 1, most).astype(int)]
    return Practice(dataset, hearing.facets, requests, *hearing.of_requests(requests))
