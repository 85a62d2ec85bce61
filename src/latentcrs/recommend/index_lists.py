"""Lists of near items: which part of a large catalogue a query has to be compared with (an inverted file, IVF)."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from latentcrs.base.checkpoint import load_tensors, save_tensors
from latentcrs.base.progress import step

PROBED = 64
"""Lists that a query is compared with; under a rule that passes a share p of the items, `PROBED` / p ** `WIDER`."""
WIDER = 0.5
"""1 would find as many passing items as without rules, but reads more lists than that is worth."""
REACH = 4.0
"""How far from its centre, in standard deviations, a list is taken to have an item that the query likes."""
SAMPLED = 40
"""Items by which the centre of each list is found."""
ROUNDS = 8
"""Rounds of k-means."""
PARTS = ("centres", "spread", "starts", "items", "rows")
ASSIGNED = 1 << 16
"""Items that are given to their lists at once."""


class NearLists:
    """Every item in the list of its nearest centre; vectors lie list by list. centres (L, w); spread (L,): the
    standard deviation of a list's items around its centre, in one direction; starts (L + 1,): the row at which each
    list begins; items (n,): of each row; rows (n,): of each item.
    """

    def __init__(
        self,
        centres: NDArray[np.float32],
        spread: NDArray[np.float32],
        starts: NDArray[np.int64],
        items: NDArray[np.int32],
        rows: NDArray[np.int32],
    ) -> None:
        self.centres, self.spread, self.starts, self.items, self.rows = centres, spread, starts, items, rows
        self._best = faiss.IndexFlatIP(centres.shape[1] + 1)
        self._best.add(np.column_stack([centres, REACH * spread]).astype(np.float32))

    @classmethod
    def build(cls, vectors: NDArray[np.float32]) -> NearLists:
        """Of vectors (n, w), on all threads that FAISS may use; `lists_for(n)` lists.

        Centres by k-means of a sample; an item goes to the centre nearest to it in space.
        """
        n, width = vectors.shape
        count = min(lists_for(n), n)
        sample = np.random.default_rng(0).choice(n, min(n, SAMPLED * count), replace=False)
        sample.sort()
        kmeans = faiss.Kmeans(
            width, count, niter=ROUNDS, seed=0, max_points_per_centroid=SAMPLED, min_points_per_centroid=1
        )
        with step("lists", len(range(0, n, ASSIGNED))) as bar:
            kmeans.train(np.ascontiguousarray(vectors[sample], np.float32))
            assert kmeans.centroids is not None
            nearest = faiss.IndexFlatL2(width)
            nearest.add(kmeans.centroids)
            list_of, apart = np.empty(n, np.int32), np.empty(n, np.float32)
            for start in range(0, n, ASSIGNED):
                block = np.ascontiguousarray(vectors[start : start + ASSIGNED], np.float32)
                squares, found = nearest.search(block, 1)
                list_of[start : start + len(block)], apart[start : start + len(block)] = found[:, 0], squares[:, 0]
                bar.advance()
        items = np.argsort(list_of, kind="stable").astype(np.int32)
        lengths = np.bincount(list_of, minlength=count)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        mean = np.bincount(list_of, apart, count) / np.maximum(lengths, 1)
        spread = np.sqrt(np.maximum(mean, 0) / width).astype(np.float32)
        rows = np.empty(n, np.int32)
        rows[items] = np.arange(n, dtype=np.int32)
        return cls(kmeans.centroids, spread, starts, items, rows)

    @classmethod
    def load(cls, path: Path) -> NearLists:
        tensors, _ = load_tensors(path)
        centres, spread, starts, items, rows = (tensors[name].numpy() for name in PARTS)
        return cls(centres, spread, starts, items, rows)

    def save(self, path: Path) -> None:
        save_tensors(path, {name: torch.from_numpy(getattr(self, name)) for name in PARTS}, {})

    def fit(self, n: int) -> bool:
        """Whether these are lists of n items."""
        ordered = self.starts[0] == 0 and bool((np.diff(self.starts) >= 0).all())
        return len(self.items) == n == self.starts[-1] and ordered

    def near(self, query: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """The lists worth comparing with a query (zero behind w), most promising first, with k items if possible."""
        for lists, wanted in self._more_and_more(query, k, 1.0):
            if (self.starts[lists + 1] - self.starts[lists]).sum() >= wanted:
                break
        return lists

    def near_passing(
        self, query: NDArray[np.float32], k: int, passing: NDArray[np.bool_], share: float
    ) -> NDArray[np.int64]:
        """The rows in such lists of items that may be returned: `passing` (n,), this share of all.

        Rules that forbid what the query likes leave little there: then twice as many lists are looked into.
        """
        for lists, wanted in self._more_and_more(query, k, share):
            rows = joined(self.starts[lists], self.starts[lists + 1])
            rows = rows[passing[self.items[rows]]]
            if len(rows) >= wanted:
                break
        return rows

    def _more_and_more(
        self, query: NDArray[np.float32], k: int, share: float
    ) -> Iterator[tuple[NDArray[np.int64], float]]:
        """The best lists, each time twice as many, at last all; and how many passing rows are to be in them.

        Lists are looked into for the best that they may have: the centre's inner product, which is the mean of those
        of a list's items, and `REACH` times their spread.
        """
        count, probed = len(self.centres), math.ceil(PROBED / share**WIDER)
        wanted = max(k, round(probed / count * share * len(self.items) / 2))
        extended = np.append(query[: self.centres.shape[1]], np.linalg.norm(query)).astype(np.float32)[None, :]
        while probed < count:
            yield self._best.search(extended, probed)[1][0], wanted
            probed *= 2
        yield self._best.search(extended, count)[1][0], 0


class ListScanner:
    """The best of some lists of an index, whose half-precision vectors FAISS's own loop reads in place."""

    def __init__(self, index: Any, starts: NDArray[np.int64]) -> None:
        """index: a scalar quantizer, list by list; starts (L + 1,): where lists begin. FAISS trusts both."""
        self._lengths = np.diff(starts).tolist()
        self._index, self._starts, self._local = index, starts, threading.local()
        first, size = int(index.codes.data()), index.code_size
        pointer = faiss.cast_integer_to_uint8_ptr  # type: ignore[attr-defined]
        self._codes = [pointer(first + row * size) for row in starts[:-1].tolist()]

    def top(
        self, query: NDArray[np.float32], lists: NDArray[np.integer], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The rows in `lists` with the k highest inner products with a query (w,), and these, best first."""
        scanner = self._scanner()
        scores, places = np.full(k, -np.inf, np.float32), np.full(k, -1, np.int64)
        heap = faiss.swig_ptr(scores), faiss.swig_ptr(places)
        scanner.set_query(faiss.swig_ptr(query))
        scanner.set_list(0, 0.0)  # no centre's score is added to those of its list
        for number in lists.tolist():
            scanner.list_no = number  # `set_list` again would take as long as reading the list
            scanner.scan_codes(self._lengths[number], self._codes[number], None, *heap, k)
        found = np.argsort(-scores, kind="stable")
        found = found[places[found] >= 0]
        # FAISS writes a place as the number of its list and that in the list.
        return self._starts[places[found] >> 32] + (places[found] & 0xFFFFFFFF), scores[found]

    def _scanner(self) -> Any:
        """This thread's: kept, because FAISS for Python never frees one."""
        if not hasattr(self._local, "scanner"):
            self._local.scanner = self._index.sq.select_InvertedListScanner(
                faiss.METRIC_INNER_PRODUCT, None, True, None, False
            )
        return self._local.scanner


def joined(begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each begin to its end, one range behind the other."""
    lengths = ends - begins
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(begins - before, lengths)


def lists_for(n: int) -> int:
    """How many lists n items get: the power of two next to 4 sqrt(n), at most 4096: building takes long."""
    return min(4096, 1 << round(math.log2(4 * math.sqrt(max(n, 1)))))
