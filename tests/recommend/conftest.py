"""What training again needs, and a bundle to damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def own_cache(small_movielens_cache: Path, tmp_path: Path) -> Path:
    """A cache folder in which all texts are embedded and nothing is trained yet."""
    shutil.copytree(small_movielens_cache / "embeddings", tmp_path / "cache" / "embeddings")
    return tmp_path / "cache"


@pytest.fixture
def copied_bundle(bundle: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(bundle, tmp_path / "movies"))
