"""Prepares a synthetic log of 50 million interactions and prints seconds per part and peak memory.

    python lab/scripts/prepare_50m.py [--rows 50000000] [--format csv|parquet]

The log: 1.5 million users and 200,000 items with string ids, a long tail of rare ones, ratings, times, in order of
time (so that no user's rows lie together), and one row in 500 that repeats another. Peak memory is that of the
preparing process alone; the log is written by another one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

USERS, ITEMS, BLOCK = 1_500_000, 200_000, 5_000_000


def write_log(path: Path, rows: int) -> None:
    """Write the log block by block, as CSV or Parquet by its ending."""
    random = np.random.default_rng(0)
    writer = None
    for first in range(0, rows, BLOCK):
        size = min(BLOCK, rows - first)
        # Exponents that leave the rare users and items at the edge of the 5-core, so that it takes several rounds.
        users = np.minimum(USERS * random.random(size) ** 5, USERS - 1).astype(np.int64)
        items = np.minimum(ITEMS * random.random(size) ** 30, ITEMS - 1).astype(np.int64)
        repeated = random.random(size) < 0.002
        users[1:][repeated[1:]], items[1:][repeated[1:]] = users[:-1][repeated[1:]], items[:-1][repeated[1:]]
        block = pl.DataFrame(
            {
                "user_id": users,
                "item_id": items,
                "rating": random.choice([1.0, 2.0, 3.0, 4.0, 5.0], size, p=[0.05, 0.07, 0.13, 0.3, 0.45]),
                "timestamp": 1_000_000_000 + (first + np.arange(size)) // 3,
            }
        ).with_columns(
            pl.format("U{}", pl.col("user_id").cast(pl.String).str.zfill(9)).alias("user_id"),
            pl.format("I{}", pl.col("item_id").cast(pl.String).str.zfill(9)).alias("item_id"),
        )
        if path.suffix == ".csv":
            with path.open("ab") as stream:
                block.write_csv(stream, include_header=first == 0)
            continue
        table = block.to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=1_000_000)
    if writer is not None:
        writer.close()


def write_catalogue(path: Path) -> None:
    """One row per item: title, genre, year."""
    number = pl.int_range(ITEMS, eager=True)
    pl.DataFrame(
        {
            "item_id": pl.select(pl.format("I{}", number.cast(pl.String).str.zfill(9))).to_series(),
            "title": pl.select(pl.format("Item number {}", number)).to_series(),
            "genre": (number % 17).cast(pl.String),
            "year": 1990 + number % 30,
        }
    ).write_parquet(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        log, catalogue = folder / f"log.{arguments.format}", folder / "catalogue.parquet"
        writing = multiprocessing.get_context("spawn").Process(target=write_log, args=(log, arguments.rows))
        writing.start()
        writing.join()
        write_catalogue(catalogue)

        from latentcrs.data.prepare import prepare
        from latentcrs.data.sources.own import read_own

        started = time.perf_counter()
        raw = read_own(log, catalogue, None, folder)
        prepared = prepare(raw, folder / "prepared", user_core=5, item_core=5)
        seconds = time.perf_counter() - started
        info = prepared.dataset.info
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        result = {
            "rows": arguments.rows,
            "log_gib": round(log.stat().st_size / 1024**3, 2),
            "seconds": round(seconds, 1),
            "peak_rss_gib": round(peak, 2),
            "users": info.users,
            "items": info.items,
            "interactions": info.interactions,
            "dropped": info.dropped,
        }
        print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
