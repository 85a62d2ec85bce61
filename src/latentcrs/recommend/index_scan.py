"""Reading lists of vectors in half precision where they lie, with FAISS's own loop: nothing is copied or widened."""

from __future__ import annotations

import threading
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray


class ListScanner:
    """The best of some lists of an index; threads may use it at once."""

    def __init__(self, index: Any, starts: NDArray[np.int64]) -> None:
        """index: a scalar quantizer, its vectors list by list; starts (L + 1,): where each list begins, and the last
        ends. Both have to fit: FAISS reads what it is told to.
        """
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
