"""A bundle trained on real people once for all tests of this room, and the command that trains it again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from latentcrs.recommend import Recommender

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
"""Laid over the default preset: the same model, small and brief."""


@pytest.fixture(scope="session")
def settings() -> list[str]:
    return SETTINGS


@pytest.fixture
def own_cache(small_movielens_cache: Path, tmp_path: Path) -> Path:
    """A cache folder in which all texts are embedded and nothing is trained yet."""
    shutil.copytree(small_movielens_cache / "embeddings", tmp_path / "cache" / "embeddings")
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def bundle(small_movielens: Path, small_movielens_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from latentcrs.training import train

    out = tmp_path_factory.mktemp("models") / "movies"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
        train(small_movielens, out, settings=SETTINGS, device="cpu")
    return out


@pytest.fixture
def copied_bundle(bundle: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(bundle, tmp_path / "movies"))


@pytest.fixture(scope="session")
def recommender(bundle: Path) -> Recommender:
    from latentcrs.recommend import load

    return load(bundle)


@pytest.fixture(scope="session")
def ids(recommender: Recommender) -> Callable[[str], str]:
    """The id of a film by its title."""
    items = recommender.bundle.items
    return dict(zip(items["title"].to_list(), items["item_id"].to_list(), strict=True)).__getitem__
