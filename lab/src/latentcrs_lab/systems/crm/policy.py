"""CRM's policy: a network over the belief that asks about a column or recommends, and the rule that it begins as."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from latentcrs_lab.systems.crm.belief import Belief


@dataclass(frozen=True)
class State:
    """What the policy sees of B sessions. wishes (B, width): the belief in the factors of the machine. asked (B, C):
    columns that were asked about. turns (B,): turns that were taken.
    """

    belief: Belief
    wishes: Tensor
    asked: NDArray[np.bool_]
    turns: NDArray[np.int64]


class Policy(nn.Module):
    """pi(a | s) over C questions and, last, the recommendation (section 3.4): two layers over the belief."""

    def __init__(self, columns: int, width: int, hidden: int, turns: int) -> None:
        """width: of the machine's factors. turns: of a whole conversation."""
        super().__init__()
        self.turns = turns
        self.layers = nn.Sequential(
            nn.Linear(4 * columns + width + turns, hidden), nn.ReLU(), nn.Linear(hidden, columns + 1)
        )

    def forward(self, state: State) -> Tensor:
        """Log-probabilities, (B, C + 1): 0 for a column that was asked about, and for any in the last turn, after
        which its answer would be of no use.
        """
        belief, asked = state.belief, torch.from_numpy(state.asked)
        turn = nn.functional.one_hot(torch.from_numpy(np.minimum(state.turns, self.turns - 1)), self.turns)
        seen = [belief.unsaid, belief.top, belief.entropy, asked.float(), state.wishes, turn.float()]
        closed = asked | torch.from_numpy(state.turns >= self.turns - 1)[:, None]
        logits = self.layers(torch.cat(seen, 1))
        closed = torch.cat([closed, torch.zeros(len(closed), 1, dtype=torch.bool)], 1)
        found: Tensor = logits.masked_fill(closed, -torch.inf).log_softmax(1)
        return found


def max_entropy(
    state: State, scores: Tensor, has: sparse.csr_matrix, blocks: list[slice], questions: int
) -> NDArray[np.int64]:
    """The rule that the policy learns to imitate first, (B,): ask about the column of which least is known, and after
    `questions` questions recommend.

    scores (B, n): of the machine. Least is known of the column whose values, among the items as the machine weighs
    them, have the largest entropy; columns that were asked or spoken about are left out. C stands for "recommend".
    """
    weights = torch.softmax(scores, 1).numpy()
    shares = np.asarray((has.T @ weights.T).T)  # (B, F)
    known = state.asked | (state.belief.unsaid.numpy() < 0.5)
    entropy = np.full(known.shape, -np.inf)
    for column, block in enumerate(blocks):
        p = shares[:, block] / np.maximum(shares[:, block].sum(1, keepdims=True), 1e-12)
        entropy[:, column] = -(p * np.log(np.maximum(p, 1e-12))).sum(1)
    entropy[known] = -np.inf
    asks = (state.asked.sum(1) < questions) & np.isfinite(entropy.max(1))
    return np.where(asks, entropy.argmax(1), len(blocks))
