"""Writes a prepared data set by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from latentcrs.data.dataset import DatasetInfo, PreparedDataset, write_manifest
from latentcrs.users import fill_requests


def write_dataset(folder: Path, items: pl.DataFrame, columns: dict[str, str], sequences: list[list[int]]) -> Path:
    """A prepared data set in `folder`: user u did the items `sequences[u]` in that order."""
    folder.mkdir(parents=True)
    rows = [(user, item, place) for user, items_ in enumerate(sequences) for place, item in enumerate(items_)]
    log = pl.DataFrame(rows, schema={"user": pl.Int32, "item": pl.Int32, "position": pl.Int32}, orient="row")
    log = log.with_columns(timestamp=pl.lit(None, pl.Int64), rating=pl.lit(None, pl.Float32))
    log.write_parquet(folder / "interactions.parquet")
    pl.DataFrame({"user_id": [f"u{user}" for user in range(len(sequences))]}).write_parquet(folder / "users.parquet")
    items.with_columns(text=pl.lit("")).write_parquet(folder / "items.parquet")
    info = DatasetInfo.model_validate(
        {
            "name": folder.name,
            "source": "a test",
            "terms": "none",
            "command": "",
            "threshold": None,
            "core": 1,
            "users": len(sequences),
            "items": len(items),
            "interactions": len(rows),
            "columns": columns,
        }
    )
    write_manifest(folder, info)
    return folder


def simulate(dataset: PreparedDataset, seed: int = 0) -> pl.DataFrame:
    """What the `attributes` user says for every row of a copy of `dataset`."""
    with TemporaryDirectory() as folder:
        copy = shutil.copytree(dataset.path, Path(folder) / dataset.path.name)
        filled = fill_requests(PreparedDataset(copy), seed, force=True)
    assert filled is not None
    return filled.written
