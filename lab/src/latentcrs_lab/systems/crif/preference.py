"""How well items fit what CRIF knows of a user in a session: the trained scores, after inference from refusals."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from latentcrs.systems.facets import Facets
from latentcrs.systems.sessions import Sessions
from latentcrs_lab.systems.crif.representation import Representation, told_facets


class Preference:
    """The scores of a trained representation, which is not trained further."""

    def __init__(self, representation: Representation, facets: Facets) -> None:
        representation.eval()
        self.representation, self._facets = representation, facets
        with torch.inference_mode():
            self._nodes = representation.nodes()

    def users(self, sessions: Sessions) -> Tensor:
        """The users' embeddings (B, d), away from what was wrong with the items that they refused."""
        with torch.inference_mode():
            users = self.representation.users(self._nodes, sessions.users, sessions.histories)
            some = np.flatnonzero(sessions.shown.any(1))
            if len(some):
                refused, accepted = _numbers(sessions.shown[some]), _numbers(sessions.accepted[some])
                has = np.zeros((*refused.shape, accepted.shape[1]), bool)
                if accepted.shape[1]:
                    has = self._facets.has[np.maximum(refused, 0)[:, :, None], np.maximum(accepted, 0)[:, None, :]]
                    has = has & (refused >= 0)[:, :, None] & (accepted >= 0)[:, None, :]
                there = torch.from_numpy(refused >= 0)
                items = F.embedding(torch.from_numpy(refused).clamp_min(0), self._nodes.items) * there[:, :, None]
                told = told_facets(self._nodes.facets, torch.from_numpy(accepted))
                users[some] = self.representation.inference(users[some], items, there, told, torch.from_numpy(has))
        return users

    def scores(self, sessions: Sessions) -> NDArray[np.float32]:
        """s(v) of every item, (B, n); see `factorisation.item_scores`."""
        match, items = self.representation.match, self._nodes.items
        with torch.inference_mode():
            scores = match(self.users(sessions) @ items.T) + self.representation.popularity
            told = np.flatnonzero((sessions.accepted | sessions.rejected).any(0))
            found: NDArray[np.float32] = scores.numpy()
            if len(told):
                parts = match(self._nodes.facets[told] @ items.T).numpy()  # (told, n)
                signs = sessions.accepted[:, told].astype(np.float32) - sessions.rejected[:, told]
                found += sparse.csr_array(signs) @ parts
        return found


def _numbers(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The marked columns of each row, (B, n) -> (B, most), -1 behind the last."""
    rows, columns = np.nonzero(marked)
    counts = marked.sum(1)
    found = np.full((len(marked), int(counts.max(initial=0))), -1, np.int64)
    found[rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)] = columns
    return found
