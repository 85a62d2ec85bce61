"""What a request says beside S and X, as bonuses of few items: its words as they are, and what it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

FACTS = 4
CHANNELS = 2
"""Words and co-mentions."""


@dataclass(frozen=True)
class Clues:
    """Of R rows: said (R, n), BM25 of the words; named (R, n), the bonus of what was named (`CoMentions.bonus`);
    facts (R, FACTS): how many words were said, how well the best item matches them, whether something was named, how
    long the history is.

    own (R, n) or None: what a row's conversation adds to the log of an item's suggestions; training takes it away.
    """

    said: sp.csr_matrix
    named: sp.csr_matrix
    facts: Tensor
    own: sp.csr_matrix | None = None

    @classmethod
    def of(
        cls, said: sp.csr_matrix, named: sp.csr_matrix, words: NDArray[np.float32], lengths: NDArray[np.integer]
    ) -> Clues:
        """words (R,): how many known words were said; lengths (R,): items of the history."""
        best = [np.asarray(part.max(1).todense(), np.float32).ravel() for part in (said, named)]
        facts = np.stack([np.log1p(words) / 3, best[0] / 10, best[1] / 5, np.log1p(lengths) / 2], 1)
        return cls(said, named, torch.from_numpy(facts.astype(np.float32)))

    def __len__(self) -> int:
        return len(self.facts)

    def take(self, rows: NDArray[np.integer] | slice) -> Clues:
        """Those of some rows."""
        own = None if self.own is None else self.own[rows]
        return Clues(self.said[rows], self.named[rows], self.facts[rows], own)

    def channels(self) -> Tensor:
        """(CHANNELS, R, n): BM25 of the words, and co-mentions."""
        return torch.from_numpy(np.stack([self.said.toarray(), self.named.toarray()]))

    @staticmethod
    def joined(parts: Sequence[Clues]) -> Clues:
        """Those of several groups of rows over the same items."""
        owns = [sp.csr_matrix(p.named.shape, dtype=np.float32) if p.own is None else p.own for p in parts]
        return Clues(
            sp.vstack([part.said for part in parts], "csr"),
            sp.vstack([part.named for part in parts], "csr"),
            torch.cat([part.facts for part in parts]),
            sp.vstack(owns, "csr") if any(part.own is not None for part in parts) else None,
        )
