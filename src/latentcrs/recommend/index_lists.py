"""Lists of near items: which part of a large catalogue a query has to be compared with (an inverted file, IVF)."""

from __future__ import annotations

import math
from pathlib import Path

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from latentcrs.checkpoint import load_tensors, save_tensors
from latentcrs.progress import step

PROBED = 64
"""Lists that a query is compared with; under a rule that passes a share p of the items, `PROBED` / sqrt(p)."""
SAMPLED = 40
"""Items by which the centre of each list is found."""
ROUNDS = 8
"""Rounds of k-means."""
ASSIGNED = 1 << 16
"""Items that are given to their lists at once."""


class NearLists:
    """Every item in the list of its nearest centre. centres (L, w); starts (L + 1,): where each list begins in
    `items` (n,), the item numbers list by list.
    """

    def __init__(
        self, centres: NDArray[np.float32], starts: NDArray[np.int64], items: NDArray[np.int32], probed: int = PROBED
    ) -> None:
        self.centres, self.starts, self.items, self.probed = centres, starts, items, probed

    @classmethod
    def build(cls, vectors: NDArray[np.float32], count: int | None = None, seed: int = 0) -> NearLists:
        """Of vectors (n, w), on all threads that FAISS may use; `count` lists, by default `lists_for(n)`.

        Centres by k-means of a sample. An item goes to the centre nearest to it in space, and a query looks where
        the centre's inner product is highest: the mean of those of its items.
        """
        n, width = vectors.shape
        count = min(count or lists_for(n), n)
        sample = np.random.default_rng(seed).choice(n, min(n, SAMPLED * count), replace=False)
        sample.sort()
        kmeans = faiss.Kmeans(
            width, count, niter=ROUNDS, seed=seed, max_points_per_centroid=SAMPLED, min_points_per_centroid=1
        )
        with step("lists", len(range(0, n, ASSIGNED))) as bar:
            kmeans.train(np.ascontiguousarray(vectors[sample], np.float32))
            assert kmeans.centroids is not None
            nearest = faiss.IndexFlatL2(width)
            nearest.add(kmeans.centroids)
            list_of = np.empty(n, np.int32)
            for start in range(0, n, ASSIGNED):
                block = np.ascontiguousarray(vectors[start : start + ASSIGNED], np.float32)
                list_of[start : start + len(block)] = nearest.search(block, 1)[1][:, 0]
                bar.advance()
        items = np.argsort(list_of, kind="stable").astype(np.int32)
        starts = np.concatenate([[0], np.cumsum(np.bincount(list_of, minlength=count))])
        return cls(kmeans.centroids, starts, items)

    @classmethod
    def load(cls, path: Path) -> NearLists:
        tensors, _ = load_tensors(path)
        centres, starts, items = (tensors[name].numpy() for name in ("centres", "starts", "items"))
        return cls(centres, starts, items)

    def save(self, path: Path) -> None:
        arrays = {"centres": self.centres, "starts": self.starts, "items": self.items}
        save_tensors(path, {name: torch.from_numpy(array) for name, array in arrays.items()}, {})

    def near(self, query: NDArray[np.float32], share: float = 1.0) -> NDArray[np.int32]:
        """The items that are worth comparing with a query (w or wider: what is behind w is zero), where this share
        of all items may be returned.
        """
        probed = math.ceil(self.probed / math.sqrt(share))
        if probed >= len(self.centres):
            return self.items
        closeness = self.centres @ query[: self.centres.shape[1]]
        chosen = np.argpartition(closeness, -probed)[-probed:]
        return np.concatenate([self.items[self.starts[at] : self.starts[at + 1]] for at in chosen])


def lists_for(n: int) -> int:
    """How many lists n items get: the power of two next to 4 sqrt(n), and at most 8192, which minutes suffice for."""
    return min(8192, 1 << round(math.log2(4 * math.sqrt(max(n, 1)))))
