"""What LatentCRS is compared with: popularity, behaviour, text, their best sum, and a two-tower fusion.

Each is a pair of matrices, queries (B, w) and items (n, w), so that all are ranked by the same code.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.intent.config import EMSection, ModelSection
from latentcrs.intent.stage import Rows, Softmax, ndcg20, run_stage

WEIGHTS = np.round(np.linspace(0, 1, 21), 2)
"""Weights of the text score that the weighted sum tries on validation."""


class TwoTowerFusion(nn.Module):
    """MLP([S ; X]) . Linear([V ; T]) + a S . V + b X . T: the same inputs as LatentCRS and no intents."""

    def __init__(self, V: Tensor, T: Tensor, config: ModelSection) -> None:
        """V (n, d), T (n, d_x); hidden width, dropout and text width are those of the model it is compared with."""
        super().__init__()
        d, d_x = V.shape[1], T.shape[1]
        self.norm_S, self.norm_X = nn.LayerNorm(d), nn.LayerNorm(d_x)  # S is far longer than X; both must be heard
        self.mlp = nn.Sequential(
            nn.Linear(d + d_x, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.text_width),
        )
        self.item = nn.Linear(d + d_x, config.text_width)
        self.a, self.b = nn.Parameter(torch.ones(())), nn.Parameter(torch.full((), 10.0))
        self.register_buffer("V", V, persistent=False)
        self.register_buffer("T", T, persistent=False)
        self.V: Tensor
        self.T: Tensor

    def query(self, S: Tensor, X: Tensor) -> Tensor:
        """(B, d), (B, d_x) -> (B, w)."""
        return torch.cat([self.mlp(torch.cat([self.norm_S(S), self.norm_X(X)], 1)), self.a * S, self.b * X], 1)

    def items(self, rows: Tensor | None = None) -> Tensor:
        """(n, w), or those `rows` of it."""
        V, T = (self.V, self.T) if rows is None else (F.embedding(rows, self.V), F.embedding(rows, self.T))
        return torch.cat([self.item(torch.cat([V, T], 1)), V, T], 1)


def train_fusion(
    model: TwoTowerFusion, train: Rows, valid: Rows, counts: Tensor, config: EMSection, checkpoint: Path | None
) -> dict[str, Any]:
    """Train the fusion under the budget of the model it is compared with: the same rows, batches, learning rate,
    softmax and stopping rule, and as many epochs as LatentCRS's second and third stage may take together.
    """
    budget = config.model_copy(
        update={"epochs": 2 * config.epochs, "min_steps": 2 * config.min_steps, "negatives": "all"}
    )
    softmax = Softmax(counts, budget)

    def loss(batch: Tensor) -> Tensor:
        return softmax(model.query(train.S[batch], train.X(batch)), model.items, train.targets[batch])

    def validate() -> float:
        return ndcg20(model.query(valid.S, valid.X()), model.items(), valid)

    adam = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    return run_stage(
        "two-tower fusion",
        {"fusion": model},
        {"adam": adam},
        [("adam", loss)],
        validate,
        len(train),
        budget,
        Checkpoint(checkpoint, budget.model_dump_json()),
    )


def standardised(scores: Tensor) -> Tensor:
    """Each row's scores with mean 0 and standard deviation 1, so that two systems' scores can be added."""
    return (scores - scores.mean(1, keepdim=True)) / scores.std(1, keepdim=True).clamp_min(1e-9)


def weighted_sum(S: Tensor, V: Tensor, X: Tensor, T: Tensor, weight: float) -> Tensor:
    """(1 - w) standardised(S . V) + w standardised(X . T): scores (B, n)."""
    return (1 - weight) * standardised(S @ V.T) + weight * standardised(F.normalize(X, dim=1) @ T.T)
