"""Training examples of CRIF's offline phase: what was chosen, what was known of it, and what was not chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.histories import Histories
from latentcrs.systems.facets import Facets
from latentcrs_lab.systems.crif.graph import trained_histories
from latentcrs_lab.systems.crif.settings import OfflineSettings


@dataclass(frozen=True)
class Examples:
    """B examples; -1 stands where there is nothing.

    users, histories: who, and what they chose before (the whole training part where all of it are a user's
    neighbours). chosen (B,): what they chose then. never (B, a): items that they never chose. alike (B, c): such that
    have the facets known, too (the two kinds of negatives of EAR, Lei et al., WSDM 2020). accepted, rejected (B, k):
    the facets known. facets (B, 2): one that the chosen item has beside those, and one that it lacks.
    """

    users: NDArray[np.int64]
    histories: Histories
    chosen: Tensor
    never: Tensor
    alike: Tensor
    accepted: Tensor
    rejected: Tensor
    facets: Tensor


class ExampleSampler:
    """Draws examples from the training part of a data set."""

    def __init__(self, dataset: PreparedDataset, facets: Facets, settings: OfflineSettings) -> None:
        self._trained = trained_histories(dataset)
        self.users, self.items = self._trained.pairs()
        self._dataset, self._facets, self._settings = dataset, facets, settings
        self._catalogue = len(facets.has)
        self._chosen = np.unique(self.users * self._catalogue + self.items)
        lengths = self._trained.lengths
        self._before = np.arange(len(self.users)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        having, had = np.nonzero(facets.has)
        self._of_item, self._of_item_starts = had, _starts(having, self._catalogue)
        order = np.argsort(had, kind="stable")
        self._with_facet, self._with_facet_starts = having[order], _starts(had, len(facets))

    def __len__(self) -> int:
        return len(self.users)

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Examples:
        """An example of each of `rows`."""
        users, chosen = self.users[rows], self.items[rows]
        accepted = self._known(chosen, rng)
        other = self._facet_of(rng.integers(0, self._catalogue, (len(rows), self._settings.told)), rng)
        kept = rng.integers(0, self._settings.told + 1, len(rows))[:, None] > np.arange(self._settings.told)
        rejected = np.where(kept & ~self._has(chosen[:, None], other), other, -1)
        more = self._facet_of(chosen[:, None], rng)
        more = np.where((more == accepted).any(1, keepdims=True), -1, more)
        lacking = self._facet_of(rng.integers(0, self._catalogue, (len(rows), 1)), rng)
        lacking = np.where(self._has(chosen[:, None], lacking), -1, lacking)
        return Examples(
            users,
            self._histories(rows, users),
            torch.from_numpy(chosen),
            torch.from_numpy(self._never_chosen(users, rng)),
            torch.from_numpy(self._alike(users, chosen, accepted, rng)),
            torch.from_numpy(accepted),
            torch.from_numpy(rejected),
            torch.from_numpy(np.concatenate([more, lacking], 1)),
        )

    def _histories(self, rows: NDArray[np.int64], users: NDArray[np.int64]) -> Histories:
        if self._settings.newest is None:
            return self._trained[users]
        return self._dataset.histories(users, self._before[rows])

    def _has(self, items: NDArray[np.int64], facets: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the items have the facets; False for -1. The arrays broadcast."""
        if len(self._facets) == 0:
            return np.zeros(np.broadcast_shapes(items.shape, facets.shape), bool)
        found: NDArray[np.bool_] = self._facets.has[items, np.maximum(facets, 0)] & (facets >= 0)
        return found

    def _facet_of(self, items: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One of each item's facets, -1 where it has none."""
        counts = self._of_item_starts[items + 1] - self._of_item_starts[items]
        place = self._of_item_starts[items] + (rng.random(items.shape) * counts).astype(np.int64)
        if len(self._of_item) == 0:
            return np.full(items.shape, -1)
        return np.where(counts > 0, self._of_item[np.minimum(place, len(self._of_item) - 1)], -1)

    def _known(self, items: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """(B, told) different facets of each item: from one to `told`, fewer where it has no more."""
        found = self._facet_of(np.repeat(items[:, None], self._settings.told, 1), rng)
        found[np.arange(found.shape[1]) >= rng.integers(1, found.shape[1] + 1, len(items))[:, None]] = -1
        for place in range(1, found.shape[1]):
            found[(found[:, [place]] == found[:, :place]).any(1), place] = -1
        return found

    def _unseen(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.bool_]:
        keys = users * self._catalogue + items
        places = np.minimum(np.searchsorted(self._chosen, keys), len(self._chosen) - 1)
        unseen: NDArray[np.bool_] = self._chosen[places] != keys
        return unseen

    def _never_chosen(self, users: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """(B, negatives): -1 where a draw was chosen once."""
        tried = rng.integers(0, self._catalogue, (len(users), self._settings.negatives))
        return np.where(self._unseen(users[:, None], tried), tried, -1)

    def _alike(
        self,
        users: NDArray[np.int64],
        chosen: NDArray[np.int64],
        accepted: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """(B, most) different items with all facets of `accepted` that the users never chose, of a few that have the
        rarest of them; -1 where there were no more.
        """
        most = self._settings.negatives + self._settings.refused
        if len(self._facets) == 0:
            return np.full((len(users), most), -1)
        counts = np.diff(self._with_facet_starts)
        sizes = np.where(accepted >= 0, counts[np.maximum(accepted, 0)], np.iinfo(np.int64).max)
        rarest = np.maximum(np.take_along_axis(accepted, sizes.argmin(1)[:, None], 1), 0)  # (B, 1)
        place = (rng.random((len(users), 2 * most)) * counts[rarest]).astype(np.int64)
        tried = self._with_facet[self._with_facet_starts[rarest] + place]  # (B, tries)
        fits = (self._has(tried[:, :, None], accepted[:, None, :]) | (accepted < 0)[:, None, :]).all(2)
        fits &= (accepted >= 0).any(1, keepdims=True) & (tried != chosen[:, None])
        fits &= self._unseen(users[:, None], tried)
        for last in range(1, 2 * most):
            fits[:, last] &= ~((tried[:, [last]] == tried[:, :last]) & fits[:, :last]).any(1)
        order = np.argsort(~fits, axis=1, kind="stable")[:, :most]
        return np.where(np.take_along_axis(fits, order, 1), np.take_along_axis(tried, order, 1), -1)


def _starts(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Where each number's entries begin in an array sorted by it: (count + 1,)."""
    return np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=count))])
