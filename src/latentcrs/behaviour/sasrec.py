"""SASRec: causal self-attention over a history (Kang & McAuley, ICDM 2018)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from latentcrs.base.group import current_group
from latentcrs.behaviour.softmax import Proposal, full_softmax_loss, sampled_softmax_loss

FIRST_SPREAD, SPECTRAL_SPREAD = 0.02, 0.05
"""Standard deviation of the numbers in a table before training: of chance, and of vectors that say something."""


class SASRecConfig(BaseModel):
    """Shape of the encoder and how its next-item loss is computed."""

    model_config = ConfigDict(extra="forbid")

    width: int = Field(64, ge=4)
    """d: width of S and V."""
    layers: int = Field(2, ge=1)
    heads: int = Field(2, ge=1)
    length: int = Field(50, ge=1)
    """Items of a history that are seen: the newest ones."""
    dropout: float = Field(0.2, ge=0, lt=1)
    loss: Literal["auto", "full", "sampled"] = "auto"
    """Next-item loss: over the whole catalogue, or sampled softmax with log-Q correction and sparse gradients; auto
    switches above `full_softmax_items`."""
    full_softmax_items: int = 50_000
    samples: int = Field(2048, ge=1)
    """Negatives of the sampled softmax, shared by a batch."""
    first_vectors: Literal["random", "svd"] = "random"
    """Where the item table begins: at chance, or at the singular vectors of who chose what (`spectral_vectors`)."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> SASRecConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        return self


class Block(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        d = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.norm_attention, self.norm_feed = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.feed = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        B, L, d = x.shape
        q, k, v = self.qkv(self.norm_attention(x)).view(B, L, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, heads, L, d / heads)
        x = x + self.drop(self.out(attended.transpose(1, 2).reshape(B, L, d)))
        return x + self.drop(self.feed(self.norm_feed(x)))


class SASRec(nn.Module):
    """Histories in, one vector per position out; the item embeddings are tied between input and output.

    Histories are aligned on the left: position 0 is the oldest item seen, and rows shorter than the longest are
    padded on the right, which causal attention never looks at. A history that is seen from its beginning starts with
    a learned START token, so the empty history has an embedding too.

    Under the sampled softmax the gradient of the item table is sparse, for `RowAdam`: a step costs the same whatever
    the size of the catalogue.
    """

    wants_epochs = False  # whether `begin_epoch` needs the histories' S

    def __init__(self, items: int, config: SASRecConfig, training_counts: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.items = items
        self.sampled = config.loss == "sampled" or (config.loss == "auto" and items > config.full_softmax_items)
        # Row n is START, n + 1 is MASK. The full softmax reaches every row, the sampled one a few thousand.
        self.embedding = nn.Embedding(items + 2, config.width, sparse=self.sampled)
        self.position = nn.Embedding(config.length, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.drop = nn.Dropout(config.dropout)
        self.proposal = Proposal(torch.ones(items) if training_counts is None else training_counts)
        for weight in (self.embedding.weight, self.position.weight):
            nn.init.normal_(weight, std=FIRST_SPREAD)

    @torch.no_grad()
    def begin_at(self, vectors: Tensor) -> None:
        """Let the item table begin at `vectors` (n, d) of mean square 1, made small."""
        self.embedding.weight[: self.items] = SPECTRAL_SPREAD * vectors

    @property
    def start(self) -> int:
        """Index of the START token."""
        return self.items

    @property
    def mask_token(self) -> int:
        """Index of the token that stands for a hidden item."""
        return self.items + 1

    def begin_epoch(self, embeddings: Tensor, seed: int) -> None:
        """Told before every epoch: the training histories' S, (users, d). A plain SASRec has no use for it."""

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, L): items, START first where the history is seen from its beginning; padding is START too."""
        x = self.embedding(tokens) * self.config.width**0.5 + self.position.weight[: tokens.shape[1]]
        x = self.drop(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)  # (B, L, d)

    def item_weights(self) -> Tensor:
        """V, (n, d)."""
        return self.embedding.weight[: self.items]

    def next_item_loss(self, hidden: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """The mean over a batch's positions; in a group, what these rows add to the mean over those of all.

        hidden (B, L, d); targets (B, L), -1 where there is none; weights (B, L) of the targets -> scalar
        """
        wanted = targets >= 0
        hidden, targets, weights = hidden[wanted], targets[wanted], None if weights is None else weights[wanted]
        if self.sampled:
            loss = sampled_softmax_loss(hidden, self.embedding, targets, self.proposal, self.config.samples, weights)
        else:
            loss = full_softmax_loss(hidden, self.item_weights(), targets, weights=weights)
        return current_group().part(loss, len(targets))

    def loss(self, tokens: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Next-item loss at every position; tokens (B, L), the others as of `next_item_loss`."""
        return self.next_item_loss(self(tokens), targets, weights)
