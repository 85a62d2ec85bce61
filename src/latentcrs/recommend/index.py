"""The item index: the top of the inner products with all items, or with those that pass the rules.

One representation of the vectors, chosen by size (figures: lab/notes/large-catalogues.md): whole precision for a
small catalogue, half precision for a large one, memory-mapped where it was loaded, and beside it lists of near items
for a catalogue that would take too long to be read at every request.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.files import atomic_file
from latentcrs.recommend.index_lists import ListScanner, NearLists

Kind = Literal["full", "half", "lists"]

GATHER_BELOW = 0.12
"""Share of passing items under which gathering them beats searching all behind a bitmap, in whole precision."""
GATHER_HALF_BELOW = 0.4
"""The same in half precision, where rows are gathered block by block."""
HALF_FROM = 1 << 23
"""Numbers (items times width) from which vectors are kept in half precision: 32 MiB of whole ones."""
LISTS_FROM = 200_000_000
"""Numbers (items times width) from which lists are searched: 3.1 million items of width 64, read in some 15 ms."""
GATHERED = 1 << 23
"""Numbers that are gathered rather than looked for in lists: some 5 ms."""
DROPPED = 256
"""So few items that do not pass are found along with the others, and dropped."""
BLOCK = 1 << 18
"""Numbers that are brought to whole precision at once: they stay in the processor's cache."""
MULTIPLE = 16
"""Widths in half precision are filled up to a multiple of this: FAISS scans others some ten times slower."""
PAGE = 4096
"""Bytes that are mapped at once, at least."""
LARGEST = 60_000.0
"""The largest number that half precision is trusted with."""


class ItemIndex:
    """Item vectors (n, w) and the top of their inner products with a query."""

    def __init__(self, index: faiss.Index, lists: NearLists | None = None) -> None:
        self.index, self.lists = index, lists
        # (n, w); in half precision w is filled up with zeros to `MULTIPLE`. The index owns them, perhaps in a file.
        # With lists, the row of an item is `lists.rows` of it.
        self.vectors = vectors_of(index)
        self._rows = torch.from_numpy(self.vectors)
        self._scanner = None if lists is None else ListScanner(index, lists.starts)
        self.vectors.flags.writeable = False

    @classmethod
    def build(cls, vectors: NDArray[np.float32], kind: Kind | None = None) -> ItemIndex:
        """Of vectors (n, w). `kind`: full, half, or half with lists; by default what suits their size."""
        kind = kind or kind_for(*vectors.shape)
        if kind != "full" and len(vectors) and max(vectors.max(), -vectors.min()) > LARGEST:
            kind = "full"
        if kind == "full":
            index: faiss.Index = faiss.IndexFlatIP(vectors.shape[1])
            index.add(np.ascontiguousarray(vectors, np.float32))
            return cls(index)
        width = math.ceil(vectors.shape[1] / MULTIPLE) * MULTIPLE
        index = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        index.codes.resize(len(vectors) * index.code_size)
        index.ntotal = len(vectors)
        lists = NearLists.build(vectors) if kind == "lists" else None
        kept, step = vectors_of(index), BLOCK // index.d + 1
        for start in range(0, len(vectors), step):
            part = slice(start, start + step)
            kept[part, : vectors.shape[1]] = vectors[part if lists is None else lists.items[part]]
        return cls(index, lists)

    @classmethod
    def load(cls, path: Path) -> ItemIndex:
        """Map the file that `save` wrote: processes share one copy.

        Raises:
            UserError: another kind of index, or a damaged one.
        """
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise UserError(f"{path} is no index that can be read ({first_line(error)}).") from None
        if not isinstance(index, faiss.IndexFlatIP | faiss.IndexScalarQuantizer):
            raise UserError(f"{path} is an index of another kind ({type(index).__name__}); train again.")
        beside = lists_path(path)
        lists = NearLists.load(beside) if beside.is_file() else None
        if lists is not None and not lists.fit(index.ntotal):
            raise UserError(f"{beside} belongs to another index than {path.name}; train again.")
        loaded = cls(index, lists)
        if loaded.kind != "full":  # its pages are mapped now, and not one by one by the first searches
            loaded.vectors.view(np.uint8).reshape(-1)[::PAGE].max(initial=0)
        return loaded

    def save(self, path: Path) -> None:
        """Write to `path`, and lists beside it (`lists_path`)."""
        with atomic_file(path) as temporary:
            faiss.write_index(self.index, str(temporary))
        if self.lists is not None:
            self.lists.save(lists_path(path))
        else:
            lists_path(path).unlink(missing_ok=True)

    @property
    def kind(self) -> Kind:
        """How the vectors are kept and searched."""
        if self.lists is not None:
            return "lists"
        return "full" if self.vectors.dtype == np.float32 else "half"

    def rows(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """The vectors of these items, (m, w)."""
        return self.vectors[self._rows_of(items)].astype(np.float32, copy=False)

    def scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Every item's score for one query (w,): (n,)."""
        scores = self._scores_of(None, self._fitted(query))
        return scores if self.lists is None else scores[self.lists.rows]

    def top(
        self,
        query: NDArray[np.float32],
        k: int,
        passing: NDArray[np.bool_] | None = None,
        bonus: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best k items of one query (w,) and their scores, best first; fewer than k when fewer pass.

        passing (n,): the items that may be returned; None: all. bonus (n,): added to the scores. Exact (as far as
        half precision is), but for an index with lists: there it is where at most `GATHERED` numbers pass, and with a
        bonus.
        """
        query, n = self._fitted(query), self.index.ntotal
        count = n if passing is None else int(np.count_nonzero(passing))
        below = 1.0 if bonus is not None and self.kind == "full" else self._gather_below
        if passing is not None and count < n * below:
            candidates = np.flatnonzero(passing)
            return best(candidates, self._scores_of(self._rows_of(candidates), query), k, bonus)
        if bonus is not None:
            scores = self.scores(query) + bonus
            if passing is not None:
                scores = np.where(passing, scores, -np.inf).astype(np.float32, copy=False)
            return best(None, scores, min(k, count), None)
        if self.lists is not None and passing is not None and n - count > DROPPED:
            rows = self.lists.near_passing(query, k, passing, count / n)
            found, scores = best(None, self._scores_of(rows, query), k, None)
            return self.lists.items[rows[found]].astype(np.int64), scores
        return self._scanned(query, k, passing, n - count)

    def _scanned(
        self, query: NDArray[np.float32], k: int, passing: NDArray[np.bool_] | None, failing: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """`top` by reading all vectors, or the lists near to the query; `failing` items do not pass."""
        parameters, wanted = None, k
        if passing is not None and self.kind != "full" and failing <= DROPPED:
            wanted += failing
        elif passing is not None:
            bitmap = np.packbits(passing, bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))  # type: ignore[call-arg, arg-type]
        wanted = min(wanted, self.index.ntotal)
        if self.lists is not None and self._scanner is not None:
            rows, scores = self._scanner.top(query, self.lists.near(query, wanted), wanted)
            items = self.lists.items[rows].astype(np.int64)
        else:
            found, every = self.index.search(query[None, :], wanted, params=parameters)
            items, scores = every[0][every[0] >= 0], found[0][every[0] >= 0]
        if passing is not None:
            items, scores = items[passing[items]], scores[passing[items]]
        return items[:k], scores[:k]

    @property
    def _gather_below(self) -> float:
        if self.lists is not None:
            return GATHERED / self.vectors.size
        return GATHER_BELOW if self.kind == "full" else GATHER_HALF_BELOW

    def _fitted(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """The query as wide as the vectors are kept."""
        missing = self.index.d - len(query)
        return np.pad(query, (0, missing)) if missing else np.ascontiguousarray(query)

    def _rows_of(self, items: NDArray[np.integer]) -> NDArray[np.integer]:
        """Where the vectors of these items lie."""
        return items if self.lists is None else self.lists.rows[items]

    def _scores_of(self, rows: NDArray[np.integer] | None, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores of these rows, (m,); None: of all."""
        if self.vectors.dtype == np.float32:
            vectors: NDArray[np.float32] = self.vectors if rows is None else self.vectors[rows]
            return vectors @ query
        # By PyTorch, for NumPy takes eight times as long to widen half precision.
        total, step = self.index.ntotal if rows is None else len(rows), BLOCK // self.index.d + 1
        scores, by = torch.empty(total), torch.from_numpy(query)
        numbers = None if rows is None else torch.from_numpy(rows)
        for start in range(0, total, step):
            part = slice(start, start + step)
            block = self._rows[part] if numbers is None else self._rows.index_select(0, numbers[part])
            torch.mv(block.float(), by, out=scores[part])
        return scores.numpy()


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
        candidates = None if passing is None else np.flatnonzero(passing)
        return best(candidates, query if candidates is None else query[candidates], k, bonus)


def vectors_of(index: faiss.Index) -> NDArray[np.floating]:
    """The vectors in a flat index (n, w), as they lie there: float32 or float16."""
    codes = faiss.rev_swig_ptr(index.codes.data(), index.ntotal * index.code_size)  # type: ignore[attr-defined]
    vectors: NDArray[np.floating] = codes.view(np.float32 if isinstance(index, faiss.IndexFlat) else np.float16)
    return vectors.reshape(index.ntotal, index.d)


def kind_for(items: int, width: int) -> Kind:
    """How so many vectors of this width are kept and searched."""
    if items * width < HALF_FROM:
        return "full"
    return "half" if items * width < LISTS_FROM else "lists"


def lists_path(path: Path) -> Path:
    """Where the lists of the index at `path` are."""
    return path.with_suffix(".lists.safetensors")


def best(
    candidates: NDArray[np.integer] | None, scores: NDArray[np.float32], k: int, bonus: NDArray[np.float32] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best k of `candidates` (None: all) by `scores` and each one's bonus (n,); of equals the first."""
    if bonus is not None:
        scores = scores + (bonus if candidates is None else bonus[candidates])
    places = np.arange(len(scores))
    if k < len(scores):
        top = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
        least = scores[top].min()
        above = top[scores[top] > least]
        places = np.sort(np.concatenate([above, np.flatnonzero(scores == least)[: k - len(above)]]))
    places = places[np.argsort(-scores[places], kind="stable")]
    chosen = places if candidates is None else candidates[places]
    return chosen.astype(np.int64, copy=False), scores[places]
