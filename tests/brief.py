"""Settings of a brief training, for tests and for processes that they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SETTINGS = [
    "behaviour.network.width=16",
    "behaviour.network.length=30",
    "behaviour.training.epochs=4",
    "behaviour.training.min_steps=0",
    "behaviour.training.batch=32",
    "behaviour.training.learning_rate=0.005",
    "model.intents=16",
    "model.hidden=64",
    "model.text_hidden=64",
    "em.epochs=8",
    "em.min_steps=0",
    "em.batch=256",
]
"""Laid over the default preset: the same model as it is, small and brief."""


def train_paper_briefly(patch: pytest.MonkeyPatch) -> None:
    """The model of the paper, which evaluations train beside a bundle's, is trained briefly."""
    from latentcrs.evaluate import opened

    whole = opened.load_config
    patch.setattr(opened, "load_config", lambda name: whole(name, ["em.epochs=2", "em.min_steps=0"]))
