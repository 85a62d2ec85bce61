"""One part of CRM in training: rounds of batches, each seeded, kept as they go, the best weights put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.base.progress import step


def fit(
    name: str,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    one_round: Callable[[np.random.Generator], None],
    rounds: int,
    measure: Callable[[], float],
    checkpoint: Checkpoint,
    seed: int,
    keep_start: bool = False,
) -> dict[str, Any]:
    """Train `module` for `rounds`, and leave it with the weights of the round in which `measure` was highest.

    Returns what a report says: the best measure, its round (0: the start), and the measure of every round.

    The learning rate falls linearly to a hundredth. Each round has its own seed, so a run that goes on from
    `checkpoint` ends as an uninterrupted one. keep_start: the weights that it begins with are candidates too.
    """
    rate = optimizer.param_groups[0]["lr"]
    loop: dict[str, Any] = {"round": 0, "best": -1e9, "best_round": 0, "curve": []}
    best: dict[str, Tensor] = {}
    if restored := checkpoint.restore({"module": module}, {"adam": optimizer}):
        best, loop = restored
    elif keep_start:
        module.eval()
        loop["best"], best = measure(), _copied(module)
    with step(name, rounds) as bar:
        bar.advance(loop["round"])
        while loop["round"] < rounds:
            torch.manual_seed(seed * 100_003 + loop["round"])
            for group in optimizer.param_groups:
                group["lr"] = rate * max(0.01, 1 - loop["round"] / rounds)
            module.train()
            one_round(np.random.default_rng([seed, loop["round"]]))
            module.eval()
            score = measure()
            loop["round"] += 1
            loop["curve"].append(round(score, 5))
            if score > loop["best"]:
                loop |= {"best": score, "best_round": loop["round"]}
                best = _copied(module)
            checkpoint.save({"module": module}, {"adam": optimizer}, best, loop)
            bar.advance()
            bar.note(f"{score:.4f}, best {loop['best']:.4f}")
    module.load_state_dict(best)
    module.eval()
    return {name: loop[name] for name in ("best", "best_round", "curve")}


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
