"""Items by what is talked of together: co-mentions in recorded conversations, and how often an item is suggested."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from latentcrs.data.dataset import PreparedDataset

SMOOTHING = 20.0
"""So many conversations more, without any other item, is every thing taken to be named in."""
SUGGESTED = 0.3
"""Weight of how often an item is suggested beside what is named together with it."""


class CoMentions:
    """score(v | history) = log(sum over h of C[h, v] / (deg_h + 20) + 0.3 p_v): C counts the conversations that name
    both, deg_h those that name h, and p_v is the share of all suggestions that are of v.
    """

    def __init__(self, dataset: PreparedDataset) -> None:
        """Counts the training conversations of `dataset`; outside items are things that a history may hold."""
        named = talks(dataset)
        degrees = np.asarray(named.sum(0)).ravel()
        counts = sparse.csr_array(named.T @ named[:, : dataset.info.items])  # (things, n)
        counts.setdiag(0)
        self._given = sparse.diags_array(1 / (degrees + SMOOTHING)) @ counts
        chosen = suggested(dataset)
        self._prior = chosen / max(1.0, chosen.sum())

    def scores(self, histories: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """(B, n), for B histories of things: items, and behind their numbers outside items."""
        together = bags(histories, self._given.shape[0]) @ self._given
        return np.log(together.toarray() + SUGGESTED * self._prior + 1e-9).astype(np.float32)


def talks(dataset: PreparedDataset, liked: bool = False) -> sparse.csr_array:
    """What each training conversation names (`liked`: and does not dislike), as 0 and 1: (conversations, things)."""
    mentions = dataset.mentions.filter(pl.col("split") == "train")
    if liked:
        mentions = mentions.filter(pl.col("stance").fill_null("") != "disliked")
    things = dataset.info.items + len(dataset.outside)
    histories = mentions.group_by("conversation", maintain_order=True).agg("item")["item"]
    return bags(histories.to_list(), things)


def suggested(dataset: PreparedDataset) -> NDArray[np.float64]:
    """In how many training conversations each item is suggested, (n,)."""
    chosen = dataset.mentions.filter((pl.col("split") == "train") & pl.col("suggested"))
    return np.bincount(chosen["item"].to_numpy(), minlength=dataset.info.items).astype(np.float64)


def bags(histories: Sequence[Sequence[int]], things: int) -> sparse.csr_array:
    """Histories as rows of 0 and 1, (B, things)."""
    ends = np.cumsum([0, *map(len, histories)])
    columns = np.fromiter((thing for history in histories for thing in history), np.int64, int(ends[-1]))
    found = sparse.csr_array((np.ones(len(columns), np.float32), columns, ends), (len(histories), things))
    found.sum_duplicates()
    found.data[:] = 1
    return found
