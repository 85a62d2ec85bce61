"""Which rows a data set trains, validates and tests on: (user, cut, target, split), before anything is said.

From method.md, "Training rows" (section 5.5 of the paper, data augmentation).
"""

import numpy as np
import polars as pl

from latentcrs.base.draws import mixed
from latentcrs.data.dataset import PreparedDataset

LONG_ENOUGH = 8
"""Users with fewer training items than this are not augmented: their cuts would be near copies of one another."""

_CUTS = 1  # the stream of random numbers used here


def request_rows(dataset: PreparedDataset, seed: int = 0, augmentations: int = 5) -> pl.DataFrame:
    """The rows to write requests for: user, cut, target (Int32) and split, ordered by split, user, cut.

    With s a user's sequence and L = len(s) - 2 its training part, a row at `cut` has history s[:cut], target s[cut].

    - train, raw: cut = L - 1. With L = 1 its history is empty; it is kept. With L < 1 there is none.
    - train, augmented: users with L >= 8 get one cut in 1 .. L - 1 from each of `augmentations` draws. Draws are
      independent, so the first three of five are the three of three. A cut that a user already has (the raw one or an
      earlier draw) is the same history and target over again and is kept once.
    - valid: cut = len(s) - 2. test: cut = len(s) - 1. Users with too few interactions lack them.
    """
    lengths = dataset.lengths
    users = np.arange(len(lengths))
    training = lengths - 2  # L
    long = users[training >= LONG_ENOUGH]
    draws = mixed(seed, _CUTS, long[:, None], np.arange(augmentations)[None, :])  # (long users, augmentations)
    cuts = 1 + (draws % (training[long, None] - 1).astype(np.uint64)).astype(np.int64)
    raw, valid, test = users[training >= 1], users[lengths >= 2], users[lengths >= 1]
    row_users = np.concatenate([raw, np.repeat(long, augmentations), valid, test])
    row_cuts = np.concatenate([training[raw] - 1, cuts.ravel(), lengths[valid] - 2, lengths[test] - 1])
    splits = np.repeat([0, 1, 2], [len(raw) + cuts.size, len(valid), len(test)])
    return (
        pl.DataFrame(
            {
                "user": row_users.astype(np.int32),
                "cut": row_cuts.astype(np.int32),
                "target": dataset.sequence[dataset.offsets[row_users] + row_cuts],
                "split": splits,
            }
        )
        .unique()
        .sort("split", "user", "cut")
        .with_columns(pl.col("split").replace_strict([0, 1, 2], ["train", "valid", "test"], return_dtype=pl.String))
    )
