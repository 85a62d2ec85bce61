"""A small real bundle to chat with: some 250 people of MovieLens-1M, trained for a few epochs."""

from __future__ import annotations

from pathlib import Path

import pytest

FEW_EPOCHS = (
    "behaviour.training.epochs=2",
    "behaviour.training.min_steps=0",
    "model.intents=16",
    "em.epochs=2",
    "em.min_steps=0",
)


@pytest.fixture(scope="session")
def small_bundle(
    small_movielens: Path, small_movielens_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of the default preset; what training leaves behind goes to a temporary cache."""
    from latentcrs.training import train

    out = tmp_path_factory.mktemp("models") / "movies"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
        train(small_movielens, out, settings=FEW_EPOCHS, device="cpu")
    return out
