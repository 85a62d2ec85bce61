"""How close items are to the few that a request names: "like Alien" wants its kind before what all people like."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

FEW = 6
"""Who names more tells a taste, which behaviour reads, rather than what it should be like."""
CONTENT = 2 / 3
"""What closeness in content counts beside closeness in behaviour, which counts 1."""


class Closeness:
    """Cosines of items, less what all have in common, in behaviour (V, (n, d)) and in content (T, (n, d_x))."""

    def __init__(self, V: Tensor, T: Tensor) -> None:
        self.sides = [(vectors, vectors.mean(0), share) for vectors, share in ((V, 1.0), (T, CONTENT))]
        # |v - m|, without a second table as large as the first.
        squares = [v.norm(dim=1) ** 2 - 2 * (v @ mean) + mean @ mean for v, mean, _ in self.sides]
        self.lengths = [square.clamp_min(1e-9).sqrt() for square in squares]

    @torch.inference_mode()
    def to(self, named: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """How close every item is to those `named`, (n,), in standard deviations over the catalogue; None where
        nothing is named, or more than so few that they tell what somebody is after.
        """
        if not 0 < len(named) <= FEW:
            return None
        total = torch.zeros(len(self.lengths[0]))
        for (vectors, mean, share), lengths in zip(self.sides, self.lengths, strict=True):
            wanted = F.normalize(vectors[named] - mean, dim=1).mean(0)
            cosines = (vectors @ wanted - mean @ wanted) / lengths
            total += share * ((cosines - cosines.mean()) / cosines.std(correction=0).clamp_min(1e-9)).cpu()
        return total.numpy()
