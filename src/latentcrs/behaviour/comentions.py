"""What conversations name together: for each thing that is talked of, sold or not, the items named beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from latentcrs.data.histories import Histories

SMOOTH = 20.0
"""Conversations that a thing is thought to have been named in beside those it was: few say little."""
PRIOR = 0.3
"""How much of what is suggested anyway stands beside what was named together."""
COUNTED = pl.col("stance").fill_null("") != "disliked"
"""Which mentions count."""
FEW = 10
"""A history of at most so many items tells what somebody would name; of a longer one, taste is read by S."""


class CoMentions:
    """C (things, n): in how many conversations a thing and an item are named together; things are the n items and,
    behind them, outside items. named (things,): conversations that name it; suggested (n,): suggestions of an item.

    An item's bonus for things that somebody named is log(1 + co / (PRIOR p)), co = sum over them of C / (named +
    SMOOTH) and p its share of all suggestions: with log p beside it this is the logarithm of a smoothed probability.
    """

    def __init__(self, C: sp.csr_matrix, named: NDArray[np.float32], suggested: NDArray[np.float32]) -> None:
        self.C, self.named, self.suggested = C, named, suggested

    @classmethod
    def build(cls, mentions: pl.DataFrame, items: int, outside: int) -> CoMentions:
        """Of the training part of `mentions` (`MENTIONS_SCHEMA`); what was disliked is not counted."""
        rows = mentions.filter(COUNTED & (pl.col("split") == "train"))
        profiles = profiles_of(rows["conversation"].to_numpy(), rows["item"].to_numpy(), items + outside)
        together = (profiles.T @ profiles).tocsr()
        suggested = np.bincount(rows.filter("suggested")["item"].to_numpy(), minlength=items)[:items]
        return cls(
            together[:, :items].astype(np.float32),
            np.asarray(profiles.sum(0)).ravel().astype(np.float32),
            suggested.astype(np.float32),
        )

    @property
    def items(self) -> int:
        """n."""
        return int(self.C.shape[1])

    @property
    def log_suggested(self) -> NDArray[np.float32]:
        """log p, (n,)."""
        return np.log((self.suggested + 0.5) / (self.suggested + 0.5).sum()).astype(np.float32)

    def bonus(self, named: Sequence[Sequence[int]], own: sp.csr_matrix | None = None) -> sp.csr_matrix:
        """The bonus of every item for B people who named these things, (B, n).

        own (B, things): 1 for what the very conversation that a row was taken from names; it is not counted then.
        """
        less = 0.0 if own is None else 1.0
        said = Histories.from_lists(named).matrix(self.C.shape[0]) @ sp.diags(
            1 / (np.maximum(self.named - less, 0) + SMOOTH)
        )
        together = sp.csr_matrix(said @ self.C)
        if own is not None:
            weight = sp.diags(np.asarray(said.sum(1)).ravel())
            together = together - (weight @ own[:, : self.items]).multiply(together > 0)
            together = sp.csr_matrix(together.maximum(0))
        together.eliminate_zeros()
        share = (self.suggested + 0.5) / (self.suggested + 0.5).sum()
        together.data = np.log1p(together.data / (PRIOR * share[together.indices])).astype(np.float32)
        return together

    def with_items(self, count: int) -> CoMentions:
        """The same with `count` new items behind its own, of which nobody has talked."""
        items, (things, _) = self.items, self.C.shape
        C = sp.csr_matrix(self.C)
        zeros = sp.csr_matrix((things, count), dtype=np.float32)
        wide = sp.csr_matrix(sp.hstack([C, zeros], "csr"))
        gap = sp.csr_matrix((count, items + count), dtype=np.float32)
        nothing = np.zeros(count, np.float32)
        return CoMentions(
            sp.csr_matrix(sp.vstack([wide[:items], gap, wide[items:]], "csr")),
            np.concatenate([self.named[:items], nothing, self.named[items:]]),
            np.concatenate([self.suggested, nothing]),
        )


def profiles_of(conversations: NDArray[np.integer], things: NDArray[np.integer], count: int) -> sp.csr_matrix:
    """Which conversation names which of `count` things, (conversations, count) of 0 and 1."""
    size = int(conversations.max(initial=-1)) + 1
    found = sp.csr_matrix((np.ones(len(things), np.float32), (conversations, things)), (size, count))
    found.data[:] = 1
    return found
