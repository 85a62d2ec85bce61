"""What recorded conversations name, and histories, as bags of things."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import sparse

from latentcrs.data.dataset import PreparedDataset


def talks(dataset: PreparedDataset, liked: bool = False) -> sparse.csr_array:
    """What each training conversation names (`liked`: and does not dislike), as 0 and 1: (conversations, things)."""
    mentions = dataset.mentions.filter(pl.col("split") == "train")
    if liked:
        mentions = mentions.filter(pl.col("stance").fill_null("") != "disliked")
    things = dataset.info.items + len(dataset.outside)
    histories = mentions.group_by("conversation", maintain_order=True).agg("item")["item"]
    return bags(histories.to_list(), things)


def bags(histories: Sequence[Sequence[int]], things: int) -> sparse.csr_array:
    """Histories as rows of 0 and 1, (B, things)."""
    ends = np.cumsum([0, *map(len, histories)])
    columns = np.fromiter((thing for history in histories for thing in history), np.int64, int(ends[-1]))
    found = sparse.csr_array((np.ones(len(columns), np.float32), columns, ends), (len(histories), things))
    found.sum_duplicates()
    found.data[:] = 1
    return found
