"""Everything wrong with a log and its catalogue, by file and line: what `prepare` leaves out, and oddities."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file
from latentcrs.base.progress import step
from latentcrs.data.dataset import ColumnKind
from latentcrs.data.dropped import DUPLICATE, NO_RATING, DroppedRows
from latentcrs.data.engine import PolarsEngine, streaming, user_ranges
from latentcrs.data.ordering import EncodedLog
from latentcrs.data.raw import RawData, first_reason
from latentcrs.data.selection import Selection, file_name, text_problems

NO_TIME = "timestamp missing"
NO_TIMES = "no timestamps at all"
OUT_OF_ORDER = "timestamp earlier than the user's row before"
NO_TITLE = "title missing"
LEFT_OUT, KEPT = "left out", "kept"
ADVICE = {
    NO_TIME: "such rows come before the user's others",
    NO_TIMES: "the order of the file is taken for the order of events",
    OUT_OF_ORDER: "rows are sorted by time",
    NO_TITLE: "the item's id stands in",
    DUPLICATE: "the earliest is kept",
    NO_RATING: "nothing says that it was liked",
}
PROBLEM_SCHEMA = {
    "file": pl.String,
    "line": pl.Int64,  # null where the problem is the whole file's
    "kind": pl.String,
    "effect": pl.String,  # LEFT_OUT or KEPT
    "user_id": pl.String,
    "item_id": pl.String,
    "detail": pl.String,
}


@dataclass(frozen=True)
class Report:
    """What a check found. `problems` (columns of `PROBLEM_SCHEMA`) reads files in the workspace of the check.

    users, left, interactions: what `prepare` would write. refused: why it would write nothing, else None.
    notes: what was guessed about the files, and done to their values.
    """

    name: str
    rows: int  # of the log
    usable: int  # rows of the log that can be read and do not repeat others, whatever their rating
    items: int
    problems: pl.LazyFrame
    notes: list[str]
    users: int = 0
    left: int = 0
    interactions: int = 0
    refused: str | None = None
    threshold: float | None = None  # the lowest rating that counts
    columns: dict[str, ColumnKind] = field(default_factory=dict)  # of the catalogue, with their kinds
    left_out: dict[str, str] = field(default_factory=dict)  # those that are not in the data set, and why
    dropped: dict[str, int] = field(default_factory=dict)  # reason -> rows, as `prepare` counts them

    def kinds(self, examples: int = 3) -> list[dict[str, Any]]:
        """Problems by kind, those that cost rows first: kind, effect, count, examples (file, line, ...)."""
        place = pl.struct("file", "line", "user_id", "item_id", "detail")
        grouped = (
            self.problems.group_by("kind", "effect")
            .agg(pl.len().alias("count"), place.bottom_k_by("line", examples).alias("examples"))
            .collect(engine="streaming")
            .sort(pl.col("effect") == KEPT, pl.col("count"), "kind", descending=[False, True, False])
        )
        found = []
        for kind, effect, count, first in grouped.rows():
            told = [{name: value for name, value in example.items() if value is not None} for example in first]
            found.append({"kind": kind, "effect": effect, "count": count, "examples": told})
        return found

    def write(self, path: Path) -> None:
        """Every problem as a row of `path`: .csv, .jsonl or .parquet."""
        sinks = {".csv": "sink_csv", ".jsonl": "sink_ndjson", ".ndjson": "sink_ndjson", ".parquet": "sink_parquet"}
        if path.suffix not in sinks:
            raise UserError(f"{path}: --out wants a file that ends in {', '.join(sinks)}.")
        with atomic_file(path) as temporary:
            getattr(self.problems, sinks[path.suffix])(temporary)


def check(
    raw: RawData,
    workspace: Path,
    threshold: float | None = None,
    user_core: int | None = None,
    item_core: int | None = None,
) -> Report:
    """Judge every row of `raw` by the steps that `prepare` takes, and look for what a person should know besides.

    Peak memory grows with users and items, not with interactions.

    Args:
        workspace: a folder for what is found; has to live as long as the report.
        threshold, user_core, item_core: as for `prepare`.

    Raises:
        UserError: a file cannot be read at all.
    """
    dropped = DroppedRows(workspace)
    parts = [problem_frame(raw_problems(raw)).lazy(), problem_frame(untitled_items(raw)).lazy()]
    for reason, rows in text_problems(raw)["reason"].value_counts(sort=True).iter_rows():
        dropped.count(reason, rows)
    chosen = Selection(raw, PolarsEngine(workspace), dropped, threshold, user_core, item_core)
    chosen.judge()
    refused, left = None, {}
    try:
        chosen.number()
        encoded = chosen.encoded
        with step("Looking at the order of time"):
            for number, found in enumerate(odd_times(raw, encoded, chosen.items["item_id"])):
                path = workspace / f"times-{number}.parquet"
                problem_frame(found).write_parquet(path)
                parts.append(pl.scan_parquet(path))
        chosen.mark()
        chosen.take_core()
        left = {"users": len(chosen.users), "left": len(chosen.kept_items), "interactions": chosen.in_core}
        if raw.repeats:
            left["interactions"] = chosen.rows_left()
    except UserError as error:
        refused = str(error)
    catalogue = chosen.catalogue()
    for path in dropped.parts:
        left_out = pl.scan_parquet(path).rename({"reason": "kind"})
        parts.append(left_out.with_columns(effect=pl.lit(LEFT_OUT)).pipe(in_schema))
    usable = chosen.readable - dropped.counts.get(DUPLICATE, 0)
    return Report(
        raw.name, chosen.rows, usable, len(chosen.items), pl.concat(parts), [*raw.notes, *chosen.notes],
        refused=refused, threshold=chosen.least, columns=catalogue.kinds, left_out=catalogue.left_out,
        dropped=dropped.counts, **left,
    )  # fmt: skip


def raw_problems(raw: RawData) -> pl.DataFrame:
    """What the readers found in the files as text."""
    return pl.DataFrame(
        [
            (problem.path.name, problem.line, problem.kind, KEPT if problem.kept else LEFT_OUT, problem.detail)
            for problem in raw.problems
        ],
        schema={name: PROBLEM_SCHEMA[name] for name in ("file", "line", "kind", "effect", "detail")},
        orient="row",
    )


def untitled_items(raw: RawData) -> pl.DataFrame:
    """Items without a title, with their line where the reader knows it."""
    lines = raw.item_lines if raw.item_lines is not None else pl.Series([None] * len(raw.items), dtype=pl.Int64)
    items = raw.items.select("item_id", "title").with_columns(lines.alias("line"))
    untitled = items.filter(pl.col("title").cast(pl.String).fill_null("").str.strip_chars() == "")
    return untitled.select(
        "line", "item_id", file=pl.lit(file_name(raw, "items")), kind=pl.lit(NO_TITLE), effect=pl.lit(KEPT)
    )


def odd_times(raw: RawData, encoded: EncodedLog, item_ids: pl.Series) -> Iterator[pl.DataFrame]:
    """Yield frames of rows whose time is missing, or earlier than that of the row of the same user before it."""
    log = encoded.log
    timed, ordered = log.select(nw.col("timestamp").count(), nw.col("order").count()).collect().row(0)
    if timed == 0:
        if ordered == 0:
            yield in_file(raw, pl.DataFrame({"kind": [NO_TIMES]}))
        return
    for first, last in user_ranges(encoded.rows_of_users):
        part = log.filter(nw.col("user") >= first, nw.col("user") < last).collect(**streaming(log)).to_polars()
        part = part.sort("user", "line")
        before = pl.col("timestamp").shift(1).over("user")
        kind = first_reason({NO_TIME: pl.col("timestamp").is_null(), OUT_OF_ORDER: pl.col("timestamp") < before})
        odd = part.with_columns(kind.alias("kind")).filter(pl.col("kind").is_not_null())
        yield in_file(raw, name_rows(encoded, item_ids, odd).with_columns(odd["kind"]))


def name_rows(encoded: EncodedLog, item_ids: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    """line, user_id, item_id of `rows` (line, and dense user and item)."""
    return rows.select("line", encoded.users["user_id"].gather(rows["user"]), item_ids.gather(rows["item"]))


def in_file(raw: RawData, rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` as problems of the log that cost nothing."""
    return rows.with_columns(file=pl.lit(file_name(raw, "interactions")), effect=pl.lit(KEPT))


def problem_frame(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` in the columns of `PROBLEM_SCHEMA`."""
    return in_schema(rows.lazy()).collect()


def in_schema(rows: pl.LazyFrame) -> pl.LazyFrame:
    """`rows` in the columns of `PROBLEM_SCHEMA`; where there is no detail, what becomes of such rows."""
    present = rows.collect_schema().names()
    detail = pl.col("kind").replace_strict(ADVICE, default=None, return_dtype=pl.String)
    rows = rows.with_columns(
        *(pl.lit(None, dtype=pl.String).alias(name) for name in PROBLEM_SCHEMA if name not in (*present, "detail")),
        *([] if "detail" in present else [detail.alias("detail")]),
    )
    return rows.select([pl.col(name).cast(kind) for name, kind in PROBLEM_SCHEMA.items()])
