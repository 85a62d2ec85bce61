"""CRM's recommender: a factorisation machine over the user, the item and the belief."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F


class FactorisationMachine(nn.Module):
    """Rendle's machine of order two (ICDM 2010) over one-hot user, one-hot item, the values that the item has, and
    the belief s (B, F):

        y = sum_j w_j x_j + sum_{j < k} <v_j, v_k> x_j x_k.

    What does not depend on the item is left out: for a given user and belief it changes no order.
    """

    def __init__(
        self, users: int, counts: NDArray[np.int64], has: sparse.csr_matrix, width: int, attributes: bool
    ) -> None:
        """counts (n,): how often each item was chosen. has (n, F): the values of each item. attributes: items are
        known by their values too; without, by their number alone.
        """
        super().__init__()
        n, F_ = has.shape
        self.user = nn.Embedding(users, width)
        self.item = nn.Embedding(n, width)
        self.wish = nn.Embedding(F_, width)
        self.bias = nn.Parameter(torch.from_numpy(np.log(counts + 1.0).astype(np.float32)))
        self.trait = nn.Embedding(F_ if attributes else 0, width)
        for table, std in ((self.user, 0.02), (self.item, 0.02), (self.wish, 0.1)):
            nn.init.normal_(table.weight, std=std)
        if attributes:
            with torch.no_grad():  # whoever wishes for a value means the items that have it
                self.trait.weight.copy_(self.wish.weight)
        self.attributes = attributes
        self.register_buffer("values", torch.from_numpy(has.indices.astype(np.int64)), persistent=False)
        self.register_buffer("offsets", torch.from_numpy(has.indptr[:-1].astype(np.int64)), persistent=False)
        self.values: Tensor
        self.offsets: Tensor

    def items(self) -> Tensor:
        """What each item stands for: its bias and its factors, (n, 1 + width)."""
        factors = self.item.weight
        if self.attributes:
            factors = factors + F.embedding_bag(self.values, self.trait.weight, self.offsets, mode="sum")
        return torch.cat([self.bias[:, None], factors], 1)

    def wishes(self, values: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        """The belief in factors, (B, width): row b has `weights` of `values`, flat, as `EmbeddingBag` takes them."""
        return F.embedding_bag(values, self.wish.weight, offsets, mode="sum", per_sample_weights=weights)

    def people(self, users: Tensor) -> Tensor:
        """(B,) -> (B, width); somebody new (-1) is the mean of all."""
        known = self.user(users.clamp_min(0))
        return torch.where((users < 0)[:, None], self.user.weight.mean(0), known)

    def query(self, users: Tensor, wishes: Tensor) -> Tensor:
        """(B,), (B, width) -> (B, 1 + width), to be multiplied with `items`."""
        factors = self.people(users) + wishes
        return torch.cat([torch.ones_like(factors[:, :1]), factors], 1)


def bags_of(beliefs: sparse.csr_matrix) -> tuple[Tensor, Tensor, Tensor]:
    """Beliefs (B, F) as `FactorisationMachine.wishes` takes them."""
    values, offsets = beliefs.indices.astype(np.int64), beliefs.indptr[:-1].astype(np.int64)
    return torch.from_numpy(values), torch.from_numpy(offsets), torch.from_numpy(beliefs.data)
