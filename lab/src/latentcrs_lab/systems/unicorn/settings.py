"""The settings of UNICORN: tuned values, each beside what the paper or its public code has."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class UnicornSettings(BaseModel):
    """What UNICORN is trained with; in brackets what the paper or the public code (`dengyang17/unicorn`) has, where
    that is something else.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    turns: int = Field(5, ge=1)
    """Turns of a conversation [15]."""
    shown: int = Field(5, ge=1)
    """Items that are recommended in a turn [10]."""

    pretraining: Literal["ranking", "transe"] = "ranking"
    """What the node embeddings are trained for before the policy: to rank what was chosen, or TransE [transe]."""
    width: int = Field(64, ge=1)
    """d, of the node embeddings."""
    newest: int = Field(50, ge=1)
    """Items of a history that make the user's embedding [a row for each user]."""
    told: int = Field(3, ge=0)
    """Ranking: facets of the target that a training row tells, at most."""
    told_not: int = Field(2, ge=0)
    """Ranking: facets that the target does not have, at most."""
    steps: int = Field(2000, ge=1)
    """Batches of the pre-training."""
    rows: int = Field(512, ge=1)
    """Of a batch of it."""
    rate: float = Field(0.02, gt=0)
    """Its learning rate, Adam's, falling linearly to 2%."""
    negatives: int = Field(8192, ge=1)
    """Ranking: items that a target is ranked among; in a larger catalogue they are drawn for each batch."""

    facets: int = Field(10, ge=1)
    """Attributes that may be asked about in a turn: those with the highest weighted entropy."""
    items: int = Field(5, ge=1)
    """Candidates that may be recommended: those with the highest preference score [10, there a whole list too]."""
    weights: Literal["softmax", "sigmoid"] = "softmax"
    """How preference scores become the candidates' weights [sigmoid]."""

    graph_items: int = Field(20, ge=1)
    """Items in the graph, the best ones; of attributes the accepted ones and the `facets` [all candidates, and all
    attributes that they have]."""
    graph_accepted: int = Field(8, ge=1)
    """Accepted attributes in the graph, at most [all of them]."""
    layers: int = Field(2, ge=1)
    """Of graph convolution [public code: 1]."""
    transformer_layers: int = Field(1, ge=1)
    heads: int = Field(4, ge=1)
    hidden: int = Field(100, ge=1)

    found: float = 1.0
    """Rewards: the target was shown,"""
    not_found: float = -0.1
    """it was not,"""
    accepts: float = 0.01
    """an attribute was accepted,"""
    rejects: float = -0.1
    """was rejected, or nothing can be said of it,"""
    quits: float = -0.3
    """and the last turn has passed."""

    discount: float = Field(0.999, ge=0, le=1)
    batch: int = Field(128, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    """Falling linearly to 2% [1e-4, constant]."""
    weight_decay: float = Field(1e-6, ge=0)
    target_rate: float = Field(0.01, gt=0, le=1)
    """How far the target network moves after each batch."""
    memory: int = Field(20_000, ge=1)
    """Transitions that are kept [50,000]."""
    sessions: int = Field(128, ge=1)
    """Played side by side in a round [1]."""
    rounds: int = Field(100, ge=1)
    """[10,000 sessions in all]"""
    updates: int = Field(20, ge=1)
    """Batches after a round [one after each turn]."""
    explore: tuple[float, float] = (0.5, 0.05)
    """The share of random actions: at the beginning, and from the middle of training on [0.9 and 0.1; in the
    public code 0.1 from the second step on]."""
    validate_every: int = Field(10, ge=1)
    """Rounds between two validations; the weights with the highest return are kept [those of an
    epoch named by hand]."""
    validation_rows: int = Field(1000, ge=1)
    seed: int = 0
