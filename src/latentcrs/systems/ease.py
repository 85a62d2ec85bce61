"""EASE: a linear item-to-item model in closed form (Steck, "Embarrassingly shallow autoencoders", WWW 2019)."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from latentcrs.behaviour.comentions import COUNTED, profiles_of
from latentcrs.data import Histories
from latentcrs.data.dataset import PreparedDataset
from latentcrs.fit.rows import training_sequences

L2 = 500.0
TALK_WEIGHT = 10.0
"""How much a conversation counts beside a user of the log."""
MOST_THINGS = 20_000
"""Items and outside items for which the matrix still fits into memory."""


class EASE:
    """B = I - P / diag(P) with P = (X'X + l2 I)^-1, its diagonal 0; a history's scores are the sum of its rows."""

    def __init__(self, dataset: PreparedDataset, with_talks: bool = False) -> None:
        """Fits the training part of the log; with_talks: also what its training conversations name, not disliked."""
        n, log = dataset.info.items, training_sequences(dataset)
        things = n + len(dataset.outside) if with_talks else n
        X = log.matrix(things)
        gram = (X.T @ X).toarray()
        if with_talks:
            named = dataset.mentions.filter(COUNTED & (pl.col("split") == "train"))
            T = profiles_of(named["conversation"].to_numpy(), named["item"].to_numpy(), things)
            gram += TALK_WEIGHT * (T.T @ T).toarray()
        G = torch.from_numpy(gram)
        G.diagonal().add_(L2)
        P = torch.cholesky_inverse(torch.linalg.cholesky(G))
        self.B = (P / -P.diagonal()).fill_diagonal_(0).numpy()[:, :n]  # (things, n)

    def scores(self, histories: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """(B, n); what the matrix does not have is passed over."""
        known = [[thing for thing in history if thing < len(self.B)] for history in histories]
        found: NDArray[np.float32] = Histories.from_lists(known).matrix(len(self.B)) @ self.B
        return found
