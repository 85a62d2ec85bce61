"""Imports requests written elsewhere (JSON lines) into a prepared data set: read, judged all at once, numbered."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file, sha256_of
from latentcrs.base.progress import step
from latentcrs.data.dataset import REQUESTS_SCHEMA, PreparedDataset, write_manifest
from latentcrs.data.dropped import DROPPED_FILE, DROPPED_SCHEMA
from latentcrs.data.raw import RawData, first_reason
from latentcrs.data.request_lines import LINES_SCHEMA, parse_lines

SHOWN = 20
USER_GONE = "requests removed: the user was filtered out"
TARGET_GONE = "requests removed: the target was filtered out"
INTERACTION_GONE = "requests removed: the user's interaction with the target was filtered out"
HISTORY_GONE = "items left out of requests' histories: filtered out"


@dataclass(frozen=True)
class ImportedRequests:
    """requests: columns of `REQUESTS_SCHEMA`, in the file's order; dropped: columns of `DROPPED_SCHEMA`."""

    requests: pl.DataFrame
    dropped: pl.DataFrame

    @property
    def counts(self) -> dict[str, int]:
        return dict(self.dropped["reason"].value_counts(sort=True).iter_rows())


def import_requests(folder: Path, path: Path, raw: RawData, name: str | None = None) -> ImportedRequests:
    """Read the requests at `path` for the data set in `folder` (prepared from `raw`) and write them into it.

    Lines that only lost something to filtering are dropped, counted in the manifest, and listed in the data set's
    file of dropped rows. name: what the file is called in messages, its path by default.

    Raises:
        UserError: a line is wrong (all wrong lines are named, up to twenty), or no request is left. Nothing is
            written then.
    """
    dataset = PreparedDataset(folder)
    with step("Importing requests"):
        imported = read_requests(path, dataset, raw, name)
    dropped_file = folder / DROPPED_FILE
    with atomic_file(dropped_file) as temporary:
        pl.concat([pl.scan_parquet(dropped_file), imported.dropped.lazy()]).sink_parquet(temporary)
    checksums = {**dataset.info.checksums, DROPPED_FILE: sha256_of(dropped_file)}
    counts = {**dataset.info.dropped, **imported.counts}
    dataset.info = dataset.info.model_copy(update={"checksums": checksums, "dropped": counts})
    write_manifest(folder, dataset.info)
    dataset.write_requests(imported.requests)
    return imported


def read_requests(path: Path, dataset: PreparedDataset, raw: RawData, name: str | None = None) -> ImportedRequests:
    """The requests at `path` in terms of `dataset`, and what of them was filtered out.

    The history of a user of the log is what precedes the target. Its split has to be where the target lies: test is
    the user's last item, valid the one before, train the rest. Anything else would train on what is evaluated, or
    evaluate on what was trained on.

    Raises:
        UserError: see `import_requests`.
    """
    called = name or str(path)
    lines, mistakes = parse_lines(path)
    total = pl.concat([lines["line"], mistakes["line"]]).n_unique()
    if total == 0:
        raise UserError(f"{called} holds no requests; it wants one JSON object per line.")
    placed, more = place(lines, dataset, raw)
    mistakes = pl.concat([mistakes, more])
    if len(mistakes):
        raise UserError(list_mistakes(called, mistakes.sort("line"), total))
    left_out = placed.filter(pl.col("reason").is_not_null()).select(
        "line", "user_id", pl.col("target").alias("item_id"), "reason"
    )
    requests = placed.filter(pl.col("reason").is_null())
    if len(requests) == 0:
        reasons = left_out["reason"].value_counts(sort=True).iter_rows()
        told = "; ".join(f"{count:,} x {reason}" for reason, count in reasons)
        raise UserError(f"None of the {total:,} requests in {called} is left after filtering: {told}.")
    gone = requests.explode("gone", keep_nulls=False, empty_as_null=False)
    gone = gone.select("line", "user_id", pl.col("gone").alias("item_id"), pl.lit(HISTORY_GONE).alias("reason"))
    dropped = pl.concat([left_out, gone]).with_columns(pl.lit(name or path.name).alias("file"))
    requests = requests.with_columns(pl.col("item").alias("target"), pl.lit("imported").alias("source"))
    return ImportedRequests(
        requests.select([pl.col(name).cast(kind) for name, kind in REQUESTS_SCHEMA.items()]),
        dropped.select([pl.col(name).cast(kind) for name, kind in DROPPED_SCHEMA.items()]),
    )


def place(lines: pl.DataFrame, dataset: PreparedDataset, raw: RawData) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Find every line's user, target and history in `dataset`.

    Returns:
        (`lines` with user, cut and history as REQUESTS_SCHEMA has them, `item` (the target's dense index), `gone`
        (the ids left out of a history) and `reason` (why the whole line is left out); mistakes as (line, mistake)).
    """
    catalogue = raw.items.select(pl.col("item_id").str.strip_chars().alias("target"), known=pl.lit(True)).unique()
    items = pl.DataFrame({"target": dataset.items["item_id"]}).with_row_index("item")
    lines = look_up(look_up(lines, catalogue, "target"), items, "target")
    of_log, more = place_users(lines.filter(pl.col("user_id").is_not_null()), dataset, raw)
    visitors, others = place_visitors(lines.filter(pl.col("user_id").is_null()), catalogue, items)
    columns = [*LINES_SCHEMA, "item", "user", "cut", "gone", "reason"]
    return pl.concat([of_log.select(columns), visitors.select(columns)]).sort("line"), pl.concat([more, others])


def place_users(lines: pl.DataFrame, dataset: PreparedDataset, raw: RawData) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`place` for lines with a user_id."""
    log = raw.interactions.filter(pl.col("problem").is_null()).select("user_id", pl.col("item_id").alias("target"))
    wanted = lines.select("user_id", "target").unique()
    in_log = log.join(wanted.lazy(), on="user_id", how="semi").select("user_id", in_log=pl.lit(True)).unique()
    had = log.join(wanted.lazy(), on=["user_id", "target"], how="semi").unique().with_columns(had=pl.lit(True))
    raw_users, raw_pairs = pl.collect_all([in_log, had], engine="streaming")
    users = pl.DataFrame({"user_id": dataset.user_ids, "length": dataset.lengths}).with_row_index("user")
    lines = look_up(look_up(lines, raw_users, "user_id"), raw_pairs, "user_id", "target")
    lines = look_up(lines, users, "user_id")
    lines = look_up(lines, occurrences(lines, dataset), "line")
    user, item = pl.format("user {}", "user_id"), pl.format("item {}", "target")
    mistake = (
        pl.when(pl.col("in_log").is_null())
        .then(pl.concat_str(user, pl.lit(" is not in the log; for a visitor give history in place of user_id")))
        .when(pl.col("known").is_null())
        .then(pl.concat_str(pl.lit("the target, "), item, pl.lit(", is not in the catalogue")))
        .when(pl.col("had").is_null())
        .then(pl.concat_str(user, pl.lit(" never had the target, "), item))
        .when(pl.col("cut").is_null() & pl.col("lies_in").is_not_null())
        .then(
            pl.format(
                "{} lies in the {} part of {}, and the split says {}: {}",
                item,
                "lies_in",
                user,
                "split",
                pl.when(pl.col("lies_in") == "train")
                .then(pl.lit("the model was trained on it"))
                .otherwise(pl.lit("it would leak")),
            )
        )
    )
    absent = {USER_GONE: "user", TARGET_GONE: "item", INTERACTION_GONE: "lies_in"}
    reason = first_reason({gone: pl.col(column).is_null() for gone, column in absent.items()})
    lines = lines.with_columns(mistake.alias("mistake"), reason.alias("reason"))
    mistakes = lines.filter(pl.col("mistake").is_not_null()).select("line", "mistake")
    lines = lines.with_columns(
        pl.lit(None, dtype=pl.List(pl.Int32)).alias("history"), pl.lit(None, dtype=pl.List(pl.String)).alias("gone")
    )
    return lines, mistakes


def occurrences(lines: pl.DataFrame, dataset: PreparedDataset) -> pl.DataFrame:
    """Where each line's target lies in its user's sequence: `cut`, the last occurrence in the part that the split
    names (null if none is), and `lies_in`, the part of the last occurrence of all. Lines without one are absent.
    """
    log = dataset.interactions.select(pl.col("user", "item").cast(pl.UInt32), "position")
    found = lines.select("line", "split", "user", "item", "length").join(log, on=["user", "item"])
    behind = pl.col("length") - pl.col("position")  # 1 is the last item
    part = first_reason({"test": behind == 1, "valid": behind == 2, "train": pl.lit(True)})
    found = found.with_columns(part.alias("part")).sort("line", "position")
    fitting = pl.col("position").filter(pl.col("part") == pl.col("split")).last()
    return found.group_by("line").agg(fitting.alias("cut"), pl.col("part").last().alias("lies_in"))


def place_visitors(
    lines: pl.DataFrame, catalogue: pl.DataFrame, items: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`place` for lines with a history in place of a user_id."""
    flat = lines.select("line", pl.col("target").alias("wanted"), target="history")
    flat = flat.explode("target", keep_nulls=False, empty_as_null=False)
    flat = look_up(look_up(flat, catalogue, "target"), items, "target")
    per_line = flat.group_by("line", maintain_order=True).agg(
        pl.col("item").drop_nulls().cast(pl.Int32).alias("kept"),
        pl.col("target").filter(pl.col("item").is_null()).alias("gone"),
        pl.col("target").filter(pl.col("known").is_null()).first().alias("unknown"),
        (pl.col("target") == pl.col("wanted")).any().alias("repeated"),
    )
    lines = look_up(lines, per_line, "line")
    mistake = (
        pl.when(pl.col("known").is_null())
        .then(pl.format("the target, item {}, is not in the catalogue", "target"))
        .when(pl.col("unknown").is_not_null())
        .then(pl.format("item {} of the history is not in the catalogue", "unknown"))
        .when(pl.col("repeated"))
        .then(
            pl.format("the target, item {}, is in the history already, where it would never be recommended", "target")
        )
    )
    reason = pl.when(pl.col("item").is_null()).then(pl.lit(TARGET_GONE))
    lines = lines.with_columns(mistake.alias("mistake"), reason.alias("reason"))
    mistakes = lines.filter(pl.col("mistake").is_not_null()).select("line", "mistake")
    nothing: pl.Series = pl.Series([[]], dtype=pl.List(pl.Int32))
    lines = lines.with_columns(
        pl.coalesce("kept", pl.lit(nothing)).alias("history"),
        pl.lit(None, dtype=pl.UInt32).alias("user"),
        pl.lit(None, dtype=pl.Int32).alias("cut"),
    )
    return lines, mistakes


def look_up(lines: pl.DataFrame, table: pl.DataFrame, *on: str) -> pl.DataFrame:
    """`lines` with the columns that `table` has for them, null where it has none."""
    return lines.join(table, on=on, how="left", maintain_order="left")


def list_mistakes(path: str, mistakes: pl.DataFrame, total: int) -> str:
    """All that is wrong with the file, a line each."""
    wrong = mistakes["line"].n_unique()
    shown = [f"{path}:{line}: {mistake}" for line, mistake in mistakes.head(SHOWN).iter_rows()]
    if len(mistakes) > SHOWN:
        shown.append(f"... and {len(mistakes) - SHOWN:,} more")
    return f"{wrong:,} of {total:,} requests cannot be used; nothing was written.\n" + "\n".join(shown)
