"""The item index: exact inner product search by FAISS, over all items or those that pass the rules."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from latentcrs.files import atomic_file

GATHER_BELOW = 0.12
"""Share of passing items under which gathering them beats searching all behind a bitmap (measured)."""


class ItemIndex:
    """Item vectors (n, w) and the top of their inner products with a query."""

    def __init__(self, index: faiss.Index) -> None:
        self.index = index
        self.vectors: NDArray[np.float32] = index.reconstruct_n(0, index.ntotal)

    @classmethod
    def build(cls, vectors: NDArray[np.float32]) -> ItemIndex:
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, np.float32))
        return cls(index)

    @classmethod
    def load(cls, path: Path) -> ItemIndex:
        return cls(faiss.read_index(str(path)))

    def save(self, path: Path) -> None:
        with atomic_file(path) as temporary:
            faiss.write_index(self.index, str(temporary))

    def scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Every item's score for one query (w,): (n,)."""
        return self.vectors @ query

    def top(
        self,
        query: NDArray[np.float32],
        k: int,
        passing: NDArray[np.bool_] | None = None,
        bonus: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best k items of one query (w,) and their scores, best first; fewer than k when fewer pass.

        passing (n,): the items that may be returned; None: all. bonus (n,): added to the scores.
        """
        n = self.index.ntotal
        if bonus is not None or (passing is not None and passing.mean() < GATHER_BELOW):
            candidates = np.arange(n) if passing is None else np.flatnonzero(passing)
            return _best(candidates, self.vectors[candidates] @ query, k, bonus)
        parameters = None
        if passing is not None:
            bitmap = np.packbits(passing, bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))  # type: ignore[call-arg, arg-type]
        scores, items = self.index.search(query[None, :], min(k, n), params=parameters)
        found = items[0] >= 0
        return items[0][found], scores[0][found]


class ScoreRows(ItemIndex):
    """For systems that are no inner product: a query is its own scores of the n items."""

    def __init__(self) -> None:
        pass

    def scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `ItemIndex.scores`."""
        return query

    def top(
        self,
        query: NDArray[np.float32],
        k: int,
        passing: NDArray[np.bool_] | None = None,
        bonus: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `ItemIndex.top`."""
        candidates = np.arange(len(query)) if passing is None else np.flatnonzero(passing)
        return _best(candidates, query[candidates], k, bonus)


def _best(
    candidates: NDArray[np.int64], scores: NDArray[np.float32], k: int, bonus: NDArray[np.float32] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best k of `candidates` by their `scores`, with the bonus (n,) that each gets."""
    if bonus is not None:
        scores = scores + bonus[candidates]
    best = np.argsort(-scores, kind="stable")[:k]
    return candidates[best], scores[best]
