"""BM25 over item texts: what words alone find, without any embedding (Robertson & Zaragoza, FnTIR 2009)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latentcrs.errors import UserError


class BM25:
    """Item texts, indexed once; stemmed, without stop words, under bm25s's own k1 = 1.5 and b = 0.75."""

    def __init__(self, texts: Sequence[str]) -> None:
        """texts: of the n items.

        Raises:
            UserError: bm25s or PyStemmer is not installed.
        """
        try:
            import bm25s
            import Stemmer
        except ImportError as error:
            raise UserError(
                f"BM25 needs the package {error.name}; install it: pip install 'latentcrs[baselines]'"
            ) from None
        self._stemmer = Stemmer.Stemmer("english")
        self._count = len(texts)
        self._retriever = bm25s.BM25()
        self._retriever.index(self._tokens(texts), show_progress=False)

    def _tokens(self, texts: Sequence[str]) -> list[list[str]]:
        import bm25s

        found: list[list[str]] = bm25s.tokenize(
            list(texts), stopwords="english", stemmer=self._stemmer, return_ids=False, show_progress=False
        )
        return found

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(B, n): the BM25 score of every item for each text; zeros where no word of it is in any item."""
        found = np.zeros((len(texts), self._count), np.float32)
        for row, tokens in enumerate(self._tokens(texts)):
            if tokens:
                found[row] = self._retriever.get_scores(tokens)
        return found
