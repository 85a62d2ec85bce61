"""Writes a prepared data set by hand."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from latentcrs.data.dataset import DatasetInfo, write_manifest


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
