"""From raw data to a prepared data set: threshold, duplicates, k-core, order, catalogue, and what was dropped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import narwhals as nw
import polars as pl

from latentcrs.data.catalogue import Catalogue, build_catalogue, rows_with_ids
from latentcrs.data.core import k_core
from latentcrs.data.dataset import MANIFEST, DatasetInfo, PreparedDataset, write_manifest
from latentcrs.data.dropped import (
    BELOW_THRESHOLD,
    DROPPED_FILE,
    DROPPED_SCHEMA,
    DUPLICATE,
    ITEM_UNTITLED,
    NO_RATING,
    OUTSIDE_CORE,
    UNKNOWN_ITEM,
    WITHOUT_INTERACTIONS,
    Dropped,
)
from latentcrs.data.engine import Engine, PolarsEngine, number_of_rows
from latentcrs.data.ordering import encode, mark_first, name_duplicates, number_positions, renumbered
from latentcrs.data.raw import RAW_INTERACTIONS_SCHEMA, RawData
from latentcrs.errors import UserError, first_line
from latentcrs.files import atomic_folder, sha256_of
from latentcrs.progress import step

SHORTEST = 3
"""A history needs one item to learn from, one to validate on and one to test on."""
TOO_SHORT = f"history of fewer than {SHORTEST}"


@dataclass(frozen=True)
class Preparation:
    """What `prepare` returns: the data set, and what its manifest does not hold but the user wants to read."""

    dataset: PreparedDataset
    catalogue: Catalogue


def prepare(
    raw: RawData,
    out: Path,
    *,
    threshold: float | None = None,
    user_core: int | None = None,
    item_core: int | None = None,
    command: str = "",
    finish: Callable[[Path], None] | None = None,
    engine: Engine | None = None,
) -> Preparation:
    """Filter, order and number `raw`, and write it as a prepared data set at `out`, whole or not at all.

    In this order: rows that cannot be read, or whose item has no catalogue row, are dropped; ratings below the
    threshold are dropped; of several rows of one user and item the earliest is kept; the k-core is taken to its
    fixed point. Users are sorted by id, items keep the catalogue's order, and each user's items are in the order of
    (timestamp, order, line). Peak memory grows with users and items, with interactions only up to a bound.

    Args:
        threshold: lowest rating that counts; None takes the source's default. Ignored where there are no ratings.
        user_core, item_core: fewest interactions of a user and of an item; None takes the source's default. Users
            need three in any case.
        command: recorded in the manifest.
        finish: called with the finished folder before it takes its name, for what belongs to the same act (imported
            requests); what it raises undoes everything.
        engine: where the heavy steps run; None is this process. The data set is the same, and on this machine.

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
        engine = engine or PolarsEngine(work)
        dropped = Dropped(work)
        items, without_id = rows_with_ids(raw)
        dropped.keep(text_problems(raw))
        dropped.keep(without_id.with_columns(pl.lit(file_name(raw, "items")).alias("file")))

        with step("Reading the log"):
            log = judge_rows(raw, items["item_id"], least, engine, dropped)
        with step("Numbering users and items"):
            encoded = encode(log, items["item_id"], engine, "encoded")
            engine.forget("judged")
        if encoded.rows == 0:
            raise UserError(nothing_left(raw, least, dropped.counts))
        per_user = encoded.rows_of_users
        with step("Finding repeated rows", total=encoded.rows) as bar:
            marked = engine.keep_by_user(encoded.log, per_user, mark_first, "marked", bar.advance)
            engine.forget("encoded")
        repeated = number_of_rows(marked.filter(~nw.col("first")))
        if repeated:
            dropped.count(DUPLICATE, repeated)
            with step("Naming repeated rows", total=encoded.rows) as bar:
                named = name_duplicates(encoded, file_name(raw, "interactions"))
                engine.save_by_user(marked, per_user, named, dropped.next_part(), bar.advance)
        with step("Taking the k-core"):
            users, kept_items, in_core = core_with_counts(
                marked.filter(nw.col("first")), encoded.rows - repeated, user_core, item_core, engine, dropped
            )
        if in_core == 0:
            raise UserError(
                f"Nothing is left of {encoded.rows - repeated:,} interactions in the core of {user_core} per user "
                f"and {item_core} per item; lower --user-core or --item-core."
            )
        with step("Sorting and writing histories", total=encoded.rows) as bar:
            new_users, new_items = renumbered(users, "user"), renumbered(kept_items, "item")
            numbered = number_positions(engine.table(new_users), engine.table(new_items))
            engine.save_by_user(marked, per_user, numbered, folder / "interactions.parquet", bar.advance)
            encoded.users.select(pl.col("user_id").gather(new_users["user"])).write_parquet(folder / "users.parquet")
        with step("Typing the catalogue"):
            dropped.count(WITHOUT_INTERACTIONS, len(items) - len(kept_items))
            catalogue = build_catalogue(items[new_items["item"]], without_id, raw.kinds)
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
            interactions=in_core,
            columns=catalogue.kinds,
            dropped=dropped.counts,
            checksums={path.name: sha256_of(path) for path in sorted(folder.glob("*.parquet"))},
        )
        write_manifest(folder, info)
        if finish is not None:
            finish(folder)
    return Preparation(PreparedDataset(out), catalogue)


def judge_rows(
    raw: RawData, item_ids: pl.Series, least: float | None, engine: Engine, dropped: Dropped
) -> nw.LazyFrame:
    """The usable rows of the log, lazily; the others are counted, and written where they were mistakes.

    The log is read once, and kept as "judged": a reader may be slow (text, JSON, gzip), and rows are needed twice.
    """
    known = engine.table(pl.DataFrame({"item_id": item_ids, "known": True}))
    try:
        log = engine.keep(judged(engine.log(raw), known, least), "judged")
    except engine.failures as error:
        file = raw.files.get("interactions", raw.source)
        raise UserError(
            f"{file} cannot be read to its end ({first_line(error)}); see 'latentcrs data check'."
        ) from None
    counts = engine.collect(log.group_by("reason").agg(nw.len().alias("rows")))
    for why, number in counts.sort("reason", nulls_last=True).iter_rows():
        if why is not None:
            dropped.count(why, number)
    if any(why not in (None, BELOW_THRESHOLD) for why in counts["reason"].to_list()):
        faulty = log.filter(~nw.col("reason").is_null(), ~nw.col("reason").is_in([BELOW_THRESHOLD]))
        faulty = faulty.with_columns(nw.lit(file_name(raw, "interactions")).alias("file"))
        engine.save(faulty.select(*DROPPED_SCHEMA), dropped.next_part())
    return log.filter(nw.col("reason").is_null())


def judged(log: nw.LazyFrame, known: nw.LazyFrame, least: float | None) -> nw.LazyFrame:
    """`log` with `reason`: why a row cannot be used, null for a good one. known: (item_id, known true)."""
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
    found = log.join(known, on="item_id", how="left").with_columns(reason.alias("reason"))
    return found.select(*RAW_INTERACTIONS_SCHEMA, "reason")


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


def file_name(raw: RawData, role: str) -> str:
    """The bare name of the file of a `role` (interactions, items), or the role where there is no single file."""
    return Path(raw.files[role]).name if role in raw.files else role


def core_with_counts(
    log: nw.LazyFrame, rows: int, user_core: int, item_core: int, engine: Engine, dropped: Dropped
) -> tuple[pl.Series, pl.Series, int]:
    """Users and items (old dense ids) that stay and how many interactions they have; the others are counted."""

    def stay(fewest: int) -> tuple[pl.DataFrame, pl.DataFrame, int]:
        users, items = k_core(log, fewest, item_core, engine)
        return users, items, int(users["rows"].sum())

    users, items, left = stay(user_core)
    dropped.count(OUTSIDE_CORE, rows - left)
    if user_core < SHORTEST:
        before = left
        users, items, left = stay(SHORTEST)
        dropped.count(TOO_SHORT, before - left)
    return users["user"], items["item"], left


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
