"""How much each part of h counts, learned on rows that trained nothing: of its own rows a model is too sure."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentcrs.base.progress import step
from latentcrs.intent.model import PARTS, GenerativeModel
from latentcrs.intent.stage import Rows

STEPS, BATCH, RATE, KEPT = 250, 256, 0.03, 0.02
"""KEPT: the weight of how far the scales are from one."""
MOST, AT_ONCE = 20_000, 1 << 22
"""Items of the softmax: of a larger catalogue a sample, the targets among it; rows times items scored beforehand."""


def calibrate(model: GenerativeModel, rows: Rows, seed: int = 0) -> dict[str, Any]:
    """Learn `model.scales` by the softmax of the rows' targets, histories left out; rows are drawn by their weights.

    A stacking of the parts (Wolpert, Neural Networks 1992): some of them remember the training requests, and count
    for more there than they are worth.
    """
    device, n = model.V.device, len(model.V)
    draw = np.random.default_rng(seed)
    share = None if rows.weights is None else rows.weights / rows.weights.sum()
    model.scales.fill_(1.0)
    parts = [part.detach() for part in model.item_parts()]
    few = n <= MOST and len(rows) * n <= AT_ONCE
    whole = part_scores(model, parts, rows, np.arange(len(rows)), np.arange(n)) if few else None
    scales = torch.ones(PARTS, device=device, requires_grad=True)
    adam = torch.optim.Adam([scales], lr=RATE)
    with step("how much each part counts", STEPS) as bar:
        for _ in range(STEPS):
            batch = draw.choice(len(rows), BATCH, p=share)
            chosen = np.arange(n) if n <= MOST else draw.choice(n, MOST, replace=False)
            targets = rows.targets.cpu().numpy()[batch]
            chosen = np.union1d(chosen, targets) if n > MOST else chosen
            found = part_scores(model, parts, rows, batch, chosen) if whole is None else whole[:, batch]
            scores = torch.einsum("pbn,p->bn", found, scales)
            people, gone = rows.histories[batch].pairs()
            place = np.searchsorted(chosen, gone)
            there = (place < len(chosen)) & (chosen[np.minimum(place, len(chosen) - 1)] == gone)
            left_out = torch.zeros(scores.shape, dtype=torch.bool, device=device)
            left_out[people[there], place[there]] = True
            wanted = torch.from_numpy(np.searchsorted(chosen, targets)).to(device)
            left_out[torch.arange(len(batch)), wanted] = False
            loss = F.cross_entropy(scores.masked_fill(left_out, -torch.inf), wanted)
            adam.zero_grad()
            (loss + KEPT * (scales - 1).square().sum()).backward()
            adam.step()
            bar.advance()
    model.scales.copy_(scales.detach())
    return {"scales": [round(scale, 3) for scale in scales.tolist()]}


@torch.no_grad()
def part_scores(
    model: GenerativeModel, parts: list[Tensor], rows: Rows, batch: np.ndarray, chosen: np.ndarray
) -> Tensor:
    """What each part of h gives the `chosen` items in the rows of `batch`, (PARTS, B, C); parts: `item_parts()`."""
    assert rows.clues is not None
    index = torch.from_numpy(batch).to(rows.S.device)
    columns = torch.from_numpy(chosen).to(rows.S.device)
    S, X, clues = rows.S[index], rows.X(index), rows.clues.take(batch)
    facts = clues.facts.to(S.device)
    _, _, query = model(S, X, facts)
    split = query.split([part.shape[1] for part in parts], 1)
    found = [asked @ part[columns].T for asked, part in zip(split, parts, strict=True)]
    gates = model.gate(X, facts)[1]
    for number, matrix in enumerate((clues.said, clues.named)):
        bonus = torch.from_numpy(matrix.tocsc()[:, chosen].toarray()).to(S.device)
        found.append(gates[:, number : number + 1] * bonus)
    return torch.stack(found)
