"""Prepared data sets for the simulated user: the three real ones, and a tiny one written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from simulate_data import write_dataset
from typer.testing import CliRunner

from latentcrs.cli.main import app
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.request_rows import request_rows
from latentcrs.users.attributes import AttributesUser, Request
from once import made_once

TINY_COLUMNS = {
    "genres": "multi-category",
    "year": "year",
    "director": "category",
    "price": "number",
    "plot": "text",
}


@pytest.fixture
def tiny(tmp_path: Path) -> PreparedDataset:
    """Twelve films and three users with 12, 4 and 3 interactions."""
    count = 12
    names = ["Abacus", "Bramble", "Citron", "Dahlia", "Ember", "Fjord", "Gable", "Heron"]
    items = pl.DataFrame(
        {
            "item_id": [str(i) for i in range(count)],
            "title": [f"Zanzibar {name}" for name in names] + ["Comedy", "Drama", None, "It"],
            "genres": [["Comedy", "Drama"] if i % 2 else ["Drama", "Western"] for i in range(count)],
            "year": pl.Series([1961 + 3 * i for i in range(count)], dtype=pl.Int32),
            "director": [f"Ada Quill {'IVX'[i % 3]}" for i in range(count)],
            "price": [4.5 + i for i in range(count)],
            "plot": [
                f"A lonely plumber meets a detective and a parrot in the year {i} of the war." for i in range(count)
            ],
        }
    )
    sequences = [list(range(12)), [3, 1, 4, 2], [5, 9, 6]]
    return PreparedDataset(write_dataset(tmp_path / "films", items, TINY_COLUMNS, sequences))


@pytest.fixture(scope="session")
def movies(shared_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return _prepared("movies", ["ml-1m", "--from", str(shared_data("ml-1m"))], tmp_path_factory)


@pytest.fixture(scope="session")
def games(shared_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    folder = shared_data("video-games-2018")
    files = ["--interactions", str(folder / "interactions.parquet"), "--items", str(folder / "items.parquet")]
    return _prepared("games", ["own", *files], tmp_path_factory)


@pytest.fixture(scope="session")
def albums(shared_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    folder = shared_data("cds-2018")
    files = ["--interactions", str(folder / "interactions.csv"), "--items", str(folder / "items.csv")]
    return _prepared("albums", ["own", *files], tmp_path_factory)


def _prepared(name: str, arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    def make(folder: Path) -> None:
        out = ["--out", str(folder / "dataset")]
        ran = CliRunner().invoke(app, ["data", "prepare", *arguments, *out], catch_exceptions=False)
        assert ran.exit_code == 0, ran.output

    return PreparedDataset(made_once(tmp_path_factory, name, make) / "dataset")


@pytest.fixture(scope="session")
def movie_talk(movies: PreparedDataset) -> tuple[pl.DataFrame, list[Request]]:
    """The rows of MovieLens-1M under seed 0, and the request of each."""
    rows = request_rows(movies, seed=0)
    return rows, AttributesUser(movies, seed=0).request(rows)
