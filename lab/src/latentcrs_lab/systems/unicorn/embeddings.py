"""Embeddings of users, items and attributes, and the preference score that UNICORN ranks items by."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from latentcrs.data.histories import PAD, Histories
from latentcrs.systems.facets import Facets


class NodeEmbeddings(nn.Module):
    """Embeddings of items and attributes, and of users as what their newest items say about them.

    The paper has a row for each user. Here a user's embedding is folded in from the history: people who are not in
    the log have one, and nobody's was made from the item they are about to ask for.
    """

    def __init__(self, items: int, facets: int, width: int, newest: int) -> None:
        """newest: how many items of a history are seen."""
        super().__init__()
        self.newest = newest
        self.items = nn.Parameter(torch.randn(items, width) / width**0.5)  # (n, d)
        self.facets = nn.Parameter(torch.randn(facets, width) / width**0.5)  # (F, d)
        self.past = nn.Parameter(torch.randn(items, width) / width**0.5)  # (n, d): an item in a history
        self.anyone = nn.Parameter(torch.zeros(width))
        self.recency = nn.Parameter(torch.linspace(-4, 0, newest))  # logs of weights; the newest item comes last

    def users(self, newest: NDArray[np.int64]) -> Tensor:
        """newest (B, L), see `Histories.last` -> (B, d)."""
        tokens = torch.from_numpy(newest)
        weights = torch.where(tokens == PAD, 0.0, torch.exp(self.recency))  # (B, L)
        weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-9)
        return self.anyone + torch.bmm(weights[:, None], self.past[tokens.clamp_min(0)])[:, 0]


class Preference:
    """How well items fit what is known of the user: e_u . e_v + sum of e_p . e_v over the accepted attributes p, less
    that over the rejected ones that v has (UNICORN, "preference-based item selection", before its sigmoid).
    """

    def __init__(self, nodes: NodeEmbeddings, facets: Facets) -> None:
        self._nodes = nodes
        self._items, self._facets = nodes.items.detach().numpy(), nodes.facets.detach().numpy()
        items, having = np.nonzero(facets.has)
        values = (self._facets[having] * self._items[items]).sum(1)
        self._clashes = sparse.csr_array((values, (having, items)), shape=(len(facets), len(facets.has)))

    def users(self, histories: Histories) -> NDArray[np.float32]:
        """(B, d)."""
        with torch.no_grad():
            found: NDArray[np.float32] = self._nodes.users(histories.last(self._nodes.newest)).numpy()
        return found

    def scores(
        self, users: NDArray[np.float32], accepted: NDArray[np.bool_], rejected: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """users (B, d), accepted and rejected (B, F) -> (B, n)."""
        asked = users + sparse.csr_array(accepted, dtype=np.float32) @ self._facets
        scores: NDArray[np.float32] = asked @ self._items.T
        some = np.flatnonzero(rejected.any(1))
        scores[some] -= (sparse.csr_array(rejected[some], dtype=np.float32) @ self._clashes).toarray()
        return scores


def in_order(scores: NDArray[np.float32], matches: NDArray[np.int16]) -> NDArray[np.float32]:
    """Scores (B, n) in which an item with more of the accepted attributes (`matches`) always comes first."""
    span = scores.max(1, keepdims=True) - scores.min(1, keepdims=True) + 1
    return (scores + span * matches).astype(np.float32)
