"""The graph of CRIF's offline phase: users and what they chose, items and the facets they have."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.histories import Histories
from latentcrs.systems.facets import Facets


class Graph:
    """The nodes are U users, then n items, then F facets. An edge joins a user and an item of the `newest` of their
    training part, or an item and a facet it has; what was chosen twice counts twice. Every node has an edge to itself
    (Kipf & Welling, ICLR 2017).

    matrix (N, N): D^-1/2 A D^-1/2. degrees (N,): the rows' sums of A.
    """

    def __init__(self, dataset: PreparedDataset, facets: Facets, newest: int | None) -> None:
        self.users, self.items, self.facets = dataset.info.users, len(facets.has), len(facets)
        self._newest = newest
        histories = trained_histories(dataset)
        people, chosen = (histories if newest is None else histories.newest(newest)).pairs()
        having, had = np.nonzero(facets.has)
        size = self.users + self.items + self.facets
        rows = np.concatenate([people, having + self.users])
        columns = np.concatenate([chosen + self.users, had + self.users + self.items])
        itself = np.arange(size)
        rows, columns = np.concatenate([rows, columns, itself]), np.concatenate([columns, rows, itself])
        ones = sparse.coo_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(size, size)).tocsr()
        self.degrees: NDArray[np.float32] = ones.sum(1).astype(np.float32)
        scale = sparse.diags_array(self.degrees**-0.5)
        self.matrix = sparse.csr_array(scale @ ones @ scale, dtype=np.float32)

    def neighbours(self, histories: Histories) -> tuple[sparse.csr_array, NDArray[np.float32]]:
        """The rows (B, n) that people with these histories would have in `matrix`, and their degrees (B,)."""
        if self._newest is not None:
            histories = histories.newest(self._newest)
        rows, items = histories.pairs()
        degrees = (histories.lengths + 1).astype(np.float32)
        weights = (degrees[rows] * self.degrees[self.users + items]) ** -0.5
        starts = np.concatenate([[0], np.cumsum(histories.lengths)])
        return sparse.csr_array((weights, items, starts), shape=(len(histories), self.items)), degrees


def trained_histories(dataset: PreparedDataset) -> Histories:
    """Every user's training part: all but their last two items."""
    return dataset.histories(np.arange(dataset.info.users), np.maximum(dataset.lengths - 2, 0))


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, matrix: sparse.csr_array, x: Tensor) -> Tensor:
        ctx.matrix = matrix  # type: ignore[attr-defined]
        return torch.from_numpy(matrix @ x.detach().numpy())

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, torch.from_numpy(ctx.matrix.T @ gradients[0].numpy())  # type: ignore[attr-defined]


def mixed(matrix: sparse.csr_array, x: Tensor) -> Tensor:
    """matrix (a, b) @ x (b, d) -> (a, d), differentiable in x: SciPy's product, quicker on a processor than
    PyTorch's.
    """
    found: Tensor = _Mixed.apply(matrix, x)
    return found
