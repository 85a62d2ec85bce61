"""CRIF's reward, learned from comparisons: which of the two acts somebody who knows the target would have preferred.

The paper calls it inverse reinforcement learning: a question or a refused list has no reward of its own; a network
finds one under which the preferred act earns more, as Christiano et al. (NeurIPS 2017) do from human preferences.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from latentcrs_lab.systems.crif.practice import Playthroughs
from latentcrs_lab.systems.crif.tracking import FEATURES

ASK, SHOW = 0, 1
"""The two acts, as numbers."""
MOST = 0.1
"""The most that an act earns by the network."""


class Reward(nn.Module):
    """r(s, a), between -MOST and MOST: two layers over the state and an embedding of the act."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.acts = nn.Embedding(2, 8)
        nn.init.normal_(self.acts.weight, std=0.1)  # far from where tanh is flat and nothing is learned
        self.network = nn.Sequential(nn.Linear(FEATURES + 8, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Tanh())

    def forward(self, states: Tensor) -> Tensor:
        """states (B, FEATURES) -> (B, 2): what either act earns."""
        acts = self.acts.weight.expand(len(states), 2, 8)
        both = torch.cat([states[:, None].expand(-1, 2, -1), acts], 2)
        earned: Tensor = MOST * self.network(both)[:, :, 0]
        return earned


def comparison_loss(earned: Tensor, ask_better: Tensor) -> Tensor:
    """Cross-entropy of the better act under the softmax of what both earn: (B, 2), (B,) -> scalar."""
    return F.cross_entropy(earned, torch.where(ask_better, ASK, SHOW))


def ask_is_better(played: Playthroughs, shown: int) -> NDArray[np.bool_]:
    """(B, turns): whether somebody who knows the target would rather be asked than shown a list.

    Not where the list has the target, nor on a last turn, after which nothing more is shown. Among the first 5 lists
    the act is better that moves the target up further; behind them so is what takes away more candidates, which
    counts half. (The public code's rule, whose lists have 10 items.)
    """
    better = np.zeros(played.found.shape, bool)
    inner = played.found.shape[1] // 2
    now, ask, show = slice(0, inner), slice(1, 2 * inner, 2), slice(2, 2 * inner + 1, 2)
    gain = played.ranks[:, show] - played.ranks[:, ask]
    narrower = played.sizes[:, show] - played.sizes[:, ask]
    far = played.ranks[:, now] > 5 * shown
    better[:, now] = np.where(far, gain + 0.5 * narrower, gain) > 0
    return better & played.can_ask & ~played.found
