"""What preparing leaves out: the reasons, how many rows each, and the rows themselves."""

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

DROPPED_FILE = "dropped.parquet"
DROPPED_SCHEMA = {
    "file": pl.String,
    "line": pl.Int64,
    "user_id": pl.String,
    "item_id": pl.String,
    "reason": pl.String,
}
UNKNOWN_ITEM = "item not in the catalogue"
BELOW_THRESHOLD = "rating below the threshold"
NO_RATING = "no rating"
DUPLICATE = "repeats a user and item"
OUTSIDE_CORE = "outside the k-core"
WITHOUT_INTERACTIONS = "catalogue row without interactions"
ITEM_UNTITLED = "title missing (the id stands in)"


@dataclass
class DroppedRows:
    """Collects what is left out: counts per reason, and the rows themselves as parquet files in `folder`."""

    folder: Path
    counts: dict[str, int] = field(default_factory=dict)
    parts: list[Path] = field(default_factory=list)

    def count(self, reason: str, rows: int) -> None:
        if rows:
            self.counts[reason] = self.counts.get(reason, 0) + rows

    def next_part(self) -> Path:
        """A file for rows (columns of `DROPPED_SCHEMA`) that the caller writes and has counted."""
        self.parts.append(self.folder / f"dropped-{len(self.parts)}.parquet")
        return self.parts[-1]

    def keep(self, rows: pl.DataFrame) -> None:
        """Count `rows` (some columns of `DROPPED_SCHEMA`, `reason` among them) and write them."""
        if len(rows) == 0:
            return
        for reason, number in rows["reason"].value_counts().iter_rows():
            self.count(reason, number)
        add = [pl.lit(None, kind).alias(name) for name, kind in DROPPED_SCHEMA.items() if name not in rows.columns]
        whole = rows.with_columns(add).select([pl.col(name).cast(kind) for name, kind in DROPPED_SCHEMA.items()])
        whole.write_parquet(self.next_part())

    def write(self, path: Path) -> None:
        """All rows in one file, in the order of the stages that left them out."""
        if self.parts:
            pl.scan_parquet(self.parts).sink_parquet(path)
        else:
            pl.DataFrame(schema=DROPPED_SCHEMA).write_parquet(path)
