"""The settings of CRIF, each beside what its public code has.

How they were tuned, and why some are others: lab/docs/systems/crif.md.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class OfflineSettings(BaseModel):
    """The offline phase. In brackets: what the public code (`Studenthc/CRIF`) has, where it is another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(64, ge=1)
    layers: int = Field(2, ge=0)
    """Graph convolutions over users, items and facets; 0 is a factorisation machine without a graph."""
    newest: int | None = Field(20, ge=1)
    """Items of a history that are a user's neighbours; None is all of them [all]."""
    bounded: bool = True
    """Whether every product of two embeddings goes through tanh."""
    bias: bool = True
    """Whether an item has a weight of its own, the linear part of a factorisation machine [no]."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Of the convolved embeddings [0.1]."""
    told: int = Field(3, ge=1)
    """Facets that a training example knows of its item, and as many that it knows to be wanting, at most."""
    negatives: int = Field(16, ge=1, le=16)
    """Draws of either kind of item that was not chosen; the one with the highest score counts [1]."""
    refused: int = Field(5, ge=1)
    """Items that a training example has refused, at most [both negatives]."""
    batch: int = Field(4096, ge=1)
    """[1024]"""
    learning_rate: float = Field(5e-3, gt=0)
    """Adam's, the same for an epoch, less by the same step from one to the next, never under a tenth
    [5e-4 on Last.fm, 3e-4 on Yelp, throughout]."""
    decay: float = Field(1e-3, ge=0)
    """Weight of the squared lengths of the embeddings in an example [1e-5, of all weights]."""
    epochs: int = Field(8, ge=1)
    """[300 on Last.fm, 1,000 on Yelp]"""
    patience: int = Field(4, ge=1)
    """Epochs without a better validation NDCG@20 after which the phase ends [none: all epochs]."""
    seed: int = 0


class DecisionSettings(BaseModel):
    """The decision phase, and what is asked and shown. In brackets as above."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    turns: int = Field(5, ge=1)
    """Turns of a conversation [15]."""
    shown: int = Field(5, ge=1)
    """Items that are recommended in a turn [10]."""
    weighted: bool = True
    """Whether the entropy of a facet weighs candidates by their scores [no]."""
    hidden: int = Field(64, ge=1)
    """Width of the policy and of the reward [with dropout of 0.2]."""
    sessions: int = Field(4000, ge=1)
    """Practice sessions, at most [10,000 in each epoch]."""
    epochs: int = Field(100, ge=1)
    """[at most 100: ten without fewer average turns end it]"""
    batch: int = Field(256, ge=1)
    """[1]"""
    learning_rate: float = Field(3e-3, gt=0)
    """Adam's [1e-3, plain gradient descent]."""
    discount: float = Field(0.7, ge=0, le=1)
    """What a turn earns later counts so much for each turn before it."""
    found: float = 1.0
    """Reward of the turn that shows the target."""
    turn: float = -0.1
    """Reward of every turn."""
    quits: float = -0.3
    """Reward of a last turn that does not show the target [of any last turn]."""
    seed: int = 0


class CrifSettings(BaseModel):
    """Both phases that learn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    offline: OfflineSettings = OfflineSettings()
    decision: DecisionSettings = DecisionSettings()
