"""The part of S that knows no order: what a few items tell, and its weight beside the sequence's part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from latentcrs.data.histories import Histories

DAMPED = 0.25
"""Power of an item's count by which its column is divided before, and multiplied after: popularity in part."""
EDGES = (1, 2, 3, 4, 6, 11, 21, 41)
"""Lengths of history at which the weights change."""
SHORT = 5
"""A history of at most so many items is not known to be in order: it may be what somebody named."""
NEWEST = 50
ONE = float(np.log(np.e - 1))
"""softplus(ONE) = 1."""
PEOPLE, CANDIDATES, STEPS, BATCH, RATE = 20_000, 4000, 200, 256, 0.05


@dataclass
class Unordered:
    """S of a set of items: the sum of their `inputs` (n, w) over the root of their number; `outputs` (n, w) are in V.

    `weights` (len(EDGES) + 1, 2): what the sequence's part and this one count, by the length of the history.
    """

    inputs: Tensor
    outputs: Tensor
    weights: Tensor

    @classmethod
    def build(cls, sequences: list[Histories], items: int, width: int, seed: int = 0) -> Unordered | None:
        """By singular vectors of the matrix of histories and items (PureSVD: Cremonesi et al., RecSys 2010), its
        columns divided by a root of the items' counts; None where there are too few of either for the width.
        """
        from scipy.sparse.linalg import svds  # late: training alone needs it, and every start would pay

        matrix = sp.vstack([part.matrix(items) for part in sequences], "csr")
        if min(matrix.shape) < width + 2:
            return None
        damped = np.maximum(np.asarray(matrix.sum(0)).ravel(), 1) ** DAMPED
        begin = np.random.default_rng(seed).standard_normal(min(matrix.shape)).astype(np.float32)
        _, _, vectors = svds(matrix @ sp.diags(1 / damped), width, v0=begin)
        found = vectors[::-1].T
        # The sign of a singular vector is arbitrary: its largest number is made positive, on every machine.
        found = np.ascontiguousarray(found * np.sign(found[np.abs(found).argmax(0), np.arange(width)]))
        scale = np.sqrt(np.mean((found * damped[:, None]) ** 2)) or 1.0
        inputs, outputs = found / damped[:, None] * scale, found * damped[:, None] / scale
        weights = torch.ones(len(EDGES) + 1, 2)
        return cls(torch.from_numpy(inputs).float(), torch.from_numpy(outputs).float(), weights)

    def to(self, device: torch.device) -> Unordered:
        """The same on a device."""
        return Unordered(self.inputs.to(device), self.outputs.to(device), self.weights.to(device))

    def of(self, histories: Histories) -> Tensor:
        """(B, w): the S of each history's newest items, whatever their order."""
        newest = histories.newest(NEWEST)
        rows, items = newest.pairs()
        device = self.inputs.device
        total = torch.zeros(len(histories), self.inputs.shape[1], device=device)
        total.index_add_(0, torch.from_numpy(rows).to(device), self.inputs[torch.from_numpy(items).long().to(device)])
        return total / torch.from_numpy(newest.lengths).to(device).clamp_min(1).sqrt()[:, None].float()

    def weighed(self, histories: Histories, sequence: Tensor) -> Tensor:
        """S (B, d + w): the sequence's part (B, d) and this one, each by its weight."""
        weights = self.weights[self._place(histories)]
        return torch.cat([weights[:, :1] * sequence, weights[:, 1:] * self.of(histories)], 1)

    def _place(self, histories: Histories) -> Tensor:
        edges = np.searchsorted(np.array(EDGES), histories.lengths, side="right")
        return torch.from_numpy(edges).to(self.weights.device)

    def fit_weights(self, sequence: Tensor, histories: Histories, targets: Tensor, V: Tensor, seed: int = 0) -> None:
        """Learn the weights from histories (B) of all lengths and what was chosen next, targets (B,), by a softmax.

        sequence: S (B, d) of the histories, V (n, d). Over a large catalogue the softmax is over a sample of it.
        """
        device, n = V.device, len(V)
        parts, place = self.of(histories), self._place(histories)
        logits = torch.zeros(len(EDGES) + 1, 2, device=device, requires_grad=True)
        adam = torch.optim.Adam([logits], lr=RATE)
        draw = torch.Generator().manual_seed(seed)
        for number in range(STEPS):
            adam.param_groups[0]["lr"] = RATE * (1 - number / STEPS)
            batch = torch.randint(len(targets), (min(BATCH, len(targets)),), generator=draw).to(device)
            wanted = targets[batch]
            items = torch.arange(n, device=device)
            if n > CANDIDATES:
                drawn = torch.randint(n, (CANDIDATES,), generator=draw).to(device)
                items, wanted = torch.unique(torch.cat([wanted, drawn]), return_inverse=True)
                wanted = wanted[: len(batch)]
            weights = F.softplus(logits[place[batch]] + ONE)
            scores = weights[:, :1] * (sequence[batch] @ V[items].T)
            scores = scores + weights[:, 1:] * (parts[batch] @ self.outputs[items].T)
            adam.zero_grad()
            F.cross_entropy(scores, wanted).backward()
            adam.step()
        self.weights = F.softplus(logits + ONE).detach()
        # The same inner products, with numbers of one size on both sides: lists of near items are made by V's alone.
        size = (self.weights[place][:, 1:] * parts).square().mean().sqrt() / self.outputs.square().mean().sqrt()
        if size > 0:
            self.inputs, self.outputs = self.inputs / size.sqrt(), self.outputs * size.sqrt()


def some_of(
    histories: Histories, targets: NDArray[np.integer], seed: int = 0
) -> tuple[Histories, NDArray[np.integer]]:
    """Views of histories, with targets: 1 to `SHORT` items at random and newest, the newest 8, 16, 30, `NEWEST`."""
    rng = np.random.default_rng(seed)
    people = np.sort(rng.permutation(len(histories))[:PEOPLE])
    people = people[histories.lengths[people] > 0]
    items, lengths, wanted = [], [], []
    for person in people:
        start, length = int(histories.offsets[person]), int(histories.lengths[person])
        past = histories.items[start : start + length]
        few = int(rng.integers(1, SHORT + 1))
        views = [rng.permutation(past)[:few], rng.permutation(past)[:1], past[-few:]]
        views += [past[-size:] for size in (8, 16, 30, NEWEST) if length > SHORT]
        for view in views:
            items.append(view)
            lengths.append(len(view))
            wanted.append(targets[person])
    counts = np.array(lengths, np.int64)
    flat = np.concatenate(items).astype(np.int32) if items else np.zeros(0, np.int32)
    return Histories(flat, np.cumsum(counts) - counts, counts), np.array(wanted, np.int64)
