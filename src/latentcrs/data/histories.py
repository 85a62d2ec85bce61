"""Many histories of different lengths, kept as one flat array: what every model takes in place of lists of lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

PAD = -1
"""Stands where a padded history has no item."""


@dataclass(frozen=True)
class Histories:
    """B histories of dense item indices, oldest first: history b is `items[offsets[b] : offsets[b] + lengths[b]]`.

    Slices may overlap, so the rows of one user at many cuts share that user's items. `weights`: how much each of
    `items` tells, 1 on average, where the log says so.
    """

    items: NDArray[np.int32]  # (any length)
    offsets: NDArray[np.int64]  # (B,)
    lengths: NDArray[np.int64]  # (B,)
    weights: NDArray[np.float32] | None = None  # (any length)

    @classmethod
    def from_lists(cls, histories: Sequence[Sequence[int]]) -> Histories:
        lengths = np.fromiter((len(history) for history in histories), np.int64, len(histories))
        total = int(lengths.sum())
        items = np.fromiter((item for history in histories for item in history), np.int32, total)
        return cls(items, np.cumsum(lengths) - lengths, lengths)

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> Histories:
        return replace(self, offsets=self.offsets[rows], lengths=self.lengths[rows])

    def sampled(self, most: int, seed: int = 0) -> Histories:
        """At most `most` items of each history, drawn at random and in no order."""
        rng = np.random.default_rng(seed)
        rows, items = self.pairs()
        order = np.lexsort((rng.random(len(rows)), rows))
        starts = np.cumsum(self.lengths) - self.lengths
        kept = np.arange(len(rows)) - starts[rows[order]] < most
        lengths = np.minimum(self.lengths, most)
        return Histories(items[order][kept].astype(np.int32), np.cumsum(lengths) - lengths, lengths)

    def newest(self, length: int) -> Histories:
        """The same histories cut to their newest `length` items."""
        kept = np.minimum(self.lengths, length)
        return replace(self, offsets=self.offsets + self.lengths - kept, lengths=kept)

    def last(self, length: int) -> NDArray[np.int64]:
        """The last `length` items of each history, (B, length), padded on the left with `PAD`."""
        back = np.arange(length, 0, -1)[None, :]  # (1, length): 1 is the newest item
        position = (self.offsets + self.lengths)[:, None] - back
        if len(self.items) == 0:
            return np.full(position.shape, PAD, np.int64)
        taken = self.items[np.clip(position, 0, len(self.items) - 1)]
        return np.where(back <= self.lengths[:, None], taken, PAD).astype(np.int64)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """The items of each history, oldest first."""
        for start, length in zip(self.offsets, self.lengths, strict=True):
            yield self.items[start : start + length].astype(np.int64)

    def matrix(self, columns: int) -> sp.csr_matrix:
        """Which history has which of `columns` things, (B, columns): 0, and 1 or the weight of what it has."""
        rows, items = self.pairs()
        said = np.ones(len(rows), np.float32) if self.weights is None else self.weights[self._places()]
        found = sp.csr_matrix((said, (rows, items)), (len(self), columns))
        np.minimum(found.data, said.max(initial=1), out=found.data)  # what occurs more than once was added up
        return found

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every (row, item) of the histories as two flat arrays: the coordinates to leave out of a ranking."""
        return np.repeat(np.arange(len(self)), self.lengths), self.items[self._places()].astype(np.int64)

    def _places(self) -> NDArray[np.int64]:
        """Where in `items` the histories' items stand, one history after the other."""
        starts = self.offsets - (np.cumsum(self.lengths) - self.lengths)
        return np.repeat(starts, self.lengths) + np.arange(self.lengths.sum())
