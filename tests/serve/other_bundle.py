"""Bundles that take the place of another."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import polars as pl

from latentcrs.base.files import sha256_of

NEW = " of the new bundle"
TITLED_ANEW = pl.col("title") + NEW


def changed(bundle: Path, out: Path, **columns: pl.Expr) -> Path:
    """A whole bundle whose catalogue differs in these columns."""
    shutil.copytree(bundle, out)
    pl.read_parquet(out / "items.parquet").with_columns(**columns).write_parquet(out / "items.parquet")
    manifest = json.loads((out / "bundle.json").read_text())
    manifest["checksums"]["items.parquet"] = sha256_of(out / "items.parquet")
    (out / "bundle.json").write_text(json.dumps(manifest))
    return out


def put(new: Path, place: Path) -> None:
    """Put a bundle in the place of another, as one does on a command line."""
    place.rename(place.with_name("old"))
    time.sleep(0.15)  # nothing is there for a moment
    new.rename(place)
