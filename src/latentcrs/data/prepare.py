"""From raw data to a prepared data set: threshold, duplicates, k-core, order, catalogue, and what was dropped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import narwhals as nw
import polars as pl

from latentcrs.data.catalogue import Catalogue, build_catalogue, rows_with_ids
from latentcrs.data.core import k_core, streaming
from latentcrs.data.dataset import MANIFEST, DatasetInfo, PreparedDataset, write_manifest
from latentcrs.data.ordering import encode, order_log, renumber, write_interactions
from latentcrs.data.raw import RAW_INTERACTIONS_SCHEMA, RawData
from latentcrs.errors import UserError
from latentcrs.files import atomic_folder, sha256_of
from latentcrs.progress import step

SHORTEST = 3
"""A history needs one item to learn from, one to validate on and one to test on."""

Table = TypeVar("Table", pl.DataFrame, pl.LazyFrame)

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
TOO_SHORT = f"history of fewer than {SHORTEST}"
WITHOUT_INTERACTIONS = "catalogue row without interactions"
ITEM_UNTITLED = "title missing (the id stands in)"


@dataclass(frozen=True)
class Preparation:
    """What `prepare` returns: the data set, and what its manifest does not hold but the user wants to read."""

    dataset: PreparedDataset
    catalogue: Catalogue


@dataclass
class Dropped:
    """Collects what is left out: counts per reason, and the rows themselves as parquet files in `folder`."""

    folder: Path
    counts: dict[str, int] = field(default_factory=dict)
    parts: list[Path] = field(default_factory=list)

    def count(self, reason: str, rows: int) -> None:
        if rows:
            self.counts[reason] = self.counts.get(reason, 0) + rows

    def next_part(self) -> Path:
        self.parts.append(self.folder / f"dropped-{len(self.parts)}.parquet")
        return self.parts[-1]

    def keep(self, rows: pl.DataFrame) -> None:
        """Count `rows` (some columns of `DROPPED_SCHEMA`, `reason` among them) and write them."""
        if len(rows) == 0:
            return
        for reason, number in rows["reason"].value_counts().iter_rows():
            self.count(reason, number)
        add = [
            pl.lit(None, dtype=kind).alias(name) for name, kind in DROPPED_SCHEMA.items() if name not in rows.columns
        ]
        whole = rows.with_columns(add).select([pl.col(name).cast(kind) for name, kind in DROPPED_SCHEMA.items()])
        whole.write_parquet(self.next_part())

    def write(self, path: Path) -> None:
        """All rows in one file, in the order of the stages that left them out."""
        if self.parts:
            pl.scan_parquet(self.parts).sink_parquet(path)
        else:
            pl.DataFrame(schema=DROPPED_SCHEMA).write_parquet(path)


def prepare(
    raw: RawData,
    out: Path,
    *,
    threshold: float | None = None,
    user_core: int | None = None,
    item_core: int | None = None,
    command: str = "",
    finish: Callable[[Path], None] | None = None,
) -> Preparation:
    """Filter, order and number `raw`, and write it as a prepared data set at `out`, whole or not at all.

    In this order: rows that cannot be read, or whose item has no catalogue row, are dropped; ratings below the
    threshold are dropped; of several rows of one user and item the earliest is kept; the k-core is taken to its
    fixed point. Users are sorted by id, items keep the catalogue's order, and each user's items are in the order of
    (timestamp, order, line). Peak memory grows with users and items, not with interactions.

    Args:
        threshold: lowest rating that counts; None takes the source's default. Ignored where there are no ratings.
        user_core, item_core: fewest interactions of a user and of an item; None takes the source's default. Users
            need three in any case.
        command: recorded in the manifest.
        finish: called with the finished folder before it takes its name, for what belongs to the same act (imported
            requests); what it raises undoes everything.

    Raises:
        UserError: nothing is left, a file cannot be read, or `out` holds something else.
    """
    user_core = raw.user_core if user_core is None else user_core
    item_core = raw.item_core if item_core is None else item_core
    least = (raw.threshold if threshold is None else threshold) if raw.has_ratings else None
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_folder(out, MANIFEST) as folder,
        tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as work_name,
    ):
        work = Path(work_name)
        dropped = Dropped(work)
        items, without_id = rows_with_ids(raw)
        dropped.keep(text_problems(raw))
        dropped.keep(without_id.with_columns(pl.lit(file_name(raw, "items")).alias("file")))

        with step("Reading the log"):
            log = judge_rows(raw, items["item_id"], least, work / "judged.parquet", dropped)
        with step("Numbering users and items"):
            encoded = encode(log, items["item_id"], work / "encoded.parquet")
            (work / "judged.parquet").unlink()
        if encoded.rows == 0:
            raise UserError(nothing_left(raw, least, dropped.counts))
        ordered = work / "ordered.parquet"
        with step("Sorting histories", total=encoded.rows) as bar:

            def keep_duplicates(rows: pl.DataFrame) -> None:
                users = encoded.users["user_id"].gather(rows["user"])
                named = rows.select("line", users, items["item_id"].gather(rows["item"]))
                dropped.keep(in_log(raw, named.with_columns(pl.lit(DUPLICATE).alias("reason"))))

            order_log(encoded, ordered, keep_duplicates, bar.advance)
            encoded.path.unlink()
        rows = encoded.rows - dropped.counts.get(DUPLICATE, 0)
        with step("Taking the k-core"):
            users, kept_items, in_core = core_with_counts(ordered, rows, user_core, item_core, dropped)
        if in_core == 0:
            raise UserError(
                f"Nothing is left of {rows:,} interactions in the core of {user_core} per user and {item_core} per "
                f"item; lower --user-core or --item-core."
            )
        with step("Writing interactions", total=rows) as bar:
            new_items = renumber(kept_items, len(items))
            new_users = renumber(users, len(encoded.users))
            written = write_interactions(ordered, folder / "interactions.parquet", new_users, new_items, bar.advance)
            encoded.users.filter(new_users >= 0).select("user_id").write_parquet(folder / "users.parquet")
        with step("Typing the catalogue"):
            dropped.count(WITHOUT_INTERACTIONS, len(items) - len(kept_items))
            catalogue = build_catalogue(items.filter(new_items >= 0), without_id, raw.kinds)
            catalogue.items.write_parquet(folder / "items.parquet")
            dropped.count(ITEM_UNTITLED, catalogue.untitled)
            for column, number in catalogue.unreadable.items():
                dropped.count(f"unreadable value in column {column}", number)
            dropped.write(folder / DROPPED_FILE)
        info = DatasetInfo(
            name=out.name if raw.name == "own" else raw.name,  # "own" says nothing in a table
            source=raw.source,
            terms=raw.terms,
            command=command,
            threshold=least,
            core=user_core,
            item_core=item_core,
            users=len(users),
            items=len(kept_items),
            interactions=written,
            columns=catalogue.kinds,
            dropped=dropped.counts,
            checksums={path.name: sha256_of(path) for path in sorted(folder.glob("*.parquet"))},
        )
        write_manifest(folder, info)
        if finish is not None:
            finish(folder)
    return Preparation(PreparedDataset(out), catalogue)


def judge_rows(raw: RawData, item_ids: pl.Series, least: float | None, path: Path, dropped: Dropped) -> nw.LazyFrame:
    """The usable rows of the log, lazily; the others are counted, and written where they were mistakes.

    The log is read once, into `path`: a reader may be slow (text, JSON, gzip), and its rows are needed twice.
    """
    log = nw.from_native(raw.interactions)
    known = nw.from_native(pl.DataFrame({"item_id": item_ids, "known": True})).lazy()
    reason = nw.coalesce(
        nw.col("problem"),
        nw.when(nw.col("known").is_null()).then(nw.lit(UNKNOWN_ITEM)),
        *(
            []
            if least is None
            else [
                nw.when(nw.col("rating").is_null()).then(nw.lit(NO_RATING)),
                nw.when(nw.col("rating") < least).then(nw.lit(BELOW_THRESHOLD)),
            ]
        ),
    )
    judged = log.join(known, on="item_id", how="left").with_columns(reason.alias("reason"))
    try:
        judged.select(*RAW_INTERACTIONS_SCHEMA, "reason").sink_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        file = raw.files.get("interactions", raw.source)
        raise UserError(
            f"{file} cannot be read to its end ({str(error).splitlines()[0]}); see 'latentcrs data check'."
        ) from None
    log = nw.scan_parquet(path, backend="polars")
    counts = log.group_by("reason").agg(nw.len().alias("rows")).collect(**streaming(log))
    for why, number in counts.sort("reason", nulls_last=True).iter_rows():
        if why is not None:
            dropped.count(why, number)
    faulty = log.filter(~nw.col("reason").is_null(), ~nw.col("reason").is_in([BELOW_THRESHOLD]))
    if any(why not in (None, BELOW_THRESHOLD) for why in counts["reason"].to_list()):
        in_log(raw, nw.to_native(faulty)).sink_parquet(dropped.next_part())
    return log.filter(nw.col("reason").is_null())


def text_problems(raw: RawData) -> pl.DataFrame:
    """What was wrong with the files as text (line, file, reason), in rows that were lost or only repaired."""
    return pl.DataFrame(
        {
            "line": [problem.line for problem in raw.problems],
            "file": [problem.path.name for problem in raw.problems],
            "reason": [
                f"{problem.kind} (the row is kept)" if problem.kept else problem.kind for problem in raw.problems
            ],
        },
        schema={"line": pl.Int64, "file": pl.String, "reason": pl.String},
    )


def in_log(raw: RawData, rows: Table) -> Table:
    """`rows` of the log (line, user_id, item_id, reason) in the columns of `DROPPED_SCHEMA`."""
    named = rows.with_columns(pl.lit(file_name(raw, "interactions")).alias("file"))
    return named.select([pl.col(name).cast(kind) for name, kind in DROPPED_SCHEMA.items()])


def file_name(raw: RawData, role: str) -> str:
    """The bare name of the file of a `role` (interactions, items), or the role where there is no single file."""
    return raw.files[role].name if role in raw.files else role


def core_with_counts(
    ordered: Path, rows: int, user_core: int, item_core: int, dropped: Dropped
) -> tuple[pl.Series, pl.Series, int]:
    """Users and items (old dense ids) that stay and how many interactions they have; the others are counted."""
    log = nw.scan_parquet(ordered, backend="polars")

    def stay(fewest: int) -> tuple[nw.DataFrame, nw.DataFrame, int]:
        users, items = k_core(log, fewest, item_core)
        left = log.join(users.lazy(), on="user", how="semi").join(items.lazy(), on="item", how="semi")
        return users, items, int(left.select(nw.len().alias("rows")).collect(**streaming(log))["rows"][0])

    users, items, left = stay(user_core)
    dropped.count(OUTSIDE_CORE, rows - left)
    if user_core < SHORTEST:
        before = left
        users, items, left = stay(SHORTEST)
        dropped.count(TOO_SHORT, before - left)
    return users["user"].to_native(), items["item"].to_native(), left


def nothing_left(raw: RawData, least: float | None, counts: dict[str, int]) -> str:
    """Why no row of the log is usable, in one sentence."""
    if not counts:
        return f"The log {raw.files.get('interactions', raw.source)} holds no interactions."
    most = max(counts, key=lambda reason: counts[reason])
    advice = {
        UNKNOWN_ITEM: "its item ids have to be those of the catalogue",
        BELOW_THRESHOLD: f"--threshold {least:g} is above its ratings; lower it" if least is not None else "",
        NO_RATING: "its rating column is empty",
    }.get(most, "see 'latentcrs data check'")
    return f"No row of {raw.files.get('interactions', raw.source)} is usable: {counts[most]:,} x {most}; {advice}."
