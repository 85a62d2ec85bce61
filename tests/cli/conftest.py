"""A small real bundle: 300 people of MovieLens-1M, trained for a few epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from latentcrs.data import PreparedDataset
from latentcrs.data.prepare import prepare
from latentcrs.data.sources import SOURCES
from latentcrs.simulate import fill_requests
from latentcrs.training import train

USERS = 300
FEW_EPOCHS = (
    "behaviour.training.epochs=2",
    "behaviour.training.min_steps=0",
    "model.intents=16",
    "em.epochs=2",
)


@pytest.fixture(scope="session")
def small_dataset(shared_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first users of MovieLens-1M as a prepared data set, with requests."""
    folder = tmp_path_factory.mktemp("movies")
    source = shared_data("ml-1m")
    (folder / "raw").mkdir()
    with (source / "ratings.dat").open(encoding="latin-1") as ratings:
        rows = [row for row in ratings if int(row.partition("::")[0]) <= USERS]
    (folder / "raw" / "ratings.dat").write_text("".join(rows), "latin-1")
    (folder / "raw" / "movies.dat").write_bytes((source / "movies.dat").read_bytes())
    prepare(SOURCES["ml-1m"].read(folder / "raw", folder), folder / "small")
    fill_requests(PreparedDataset(folder / "small"), augmentations=1)
    return folder / "small"


@pytest.fixture(scope="session")
def small_bundle(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bundle trained on it; what training leaves behind goes to a temporary folder."""
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_TRAINING", str(folder / "training"))
        train(small_dataset, folder / "model", settings=FEW_EPOCHS, device="cpu")
        yield folder / "model"
