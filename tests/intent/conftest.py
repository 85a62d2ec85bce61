"""Real rows for the intent model: 250 people of MovieLens-1M, their requests, a briefly trained behaviour encoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentcrs.fit.training import Inputs


@pytest.fixture(scope="session")
def inputs(small_movielens: Path, small_movielens_cache: Path) -> Inputs:
    from latentcrs.data import PreparedDataset
    from latentcrs.fit.training import fit_behaviour, gather_inputs
    from latentcrs.intent import load_config
    from latentcrs.text import open_encoder

    dataset = PreparedDataset(small_movielens)
    network = ["behaviour.network.width=16", "behaviour.network.length=30"]
    brief = ["epochs=4", "min_steps=0", "batch=32", "learning_rate=0.005"]
    config = load_config("default", [*network, *(f"behaviour.training.{setting}" for setting in brief)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
        behaviour = fit_behaviour(dataset, config, "cpu")
        return gather_inputs(dataset, behaviour, open_encoder("minilm", "cpu"), config)
