"""Reads your own data: a log and a catalogue as CSV, Parquet or JSON lines, columns by usual names or mapped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from latentcrs.data.lines import TOO_MANY_FIELDS, LineProblem
from latentcrs.data.mapping import find_columns, read_mapping
from latentcrs.data.places import parquet_files, row_counts
from latentcrs.data.raw import LogTable, RawData, raw_interactions
from latentcrs.data.tables import LINE, PROBLEM, is_parquet, scan_table
from latentcrs.errors import UserError, first_line

SAMPLE = 10_000
"""Rows that are looked at to see how times are written."""
TIME_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
)
# A number of seconds, milliseconds, microseconds or nanoseconds since 1970 tells by its size which it is.
UNITS = ((1e17, 1_000_000_000), (1e14, 1_000_000), (1e11, 1_000))


def read_own(interactions: Path | str, items: Path, mapping_path: Path | None, workspace: Path) -> RawData:
    """The log at `interactions` and the catalogue at `items`, as `mapping_path` (TOML) or usual names say.

    The log may be a folder of Parquet files, or a URL of one. Every column of the catalogue that is neither id nor
    title is an attribute.

    Args:
        workspace: a folder for repaired copies of damaged text files; has to live until the data set is prepared.

    Raises:
        UserError: a file cannot be read, or a column cannot be found.
    """
    mapping = read_mapping(mapping_path)
    log, log_problems = scan_table(interactions, workspace / "log")
    schema = log.collect_schema()
    names = [name for name in schema.names() if name not in (LINE, PROBLEM)]
    columns = find_columns(interactions, "interactions", mapping.interactions, names)
    catalogue, lines, item_problems = read_catalogue(items, mapping.items.kinds, workspace / "catalogue")
    named = find_columns(items, "items", mapping.items, catalogue.columns)
    catalogue = catalogue.rename({named["item"]: "item_id", **title_renaming(named, catalogue)})
    if "title" not in catalogue.columns:
        catalogue = catalogue.with_columns(pl.lit(None, dtype=pl.String).alias("title"))
    front = ["item_id", "title"]
    read = log_reader(log, columns, schema)
    table = None
    if is_parquet(interactions):
        files, wanted = parquet_files(interactions), list(dict.fromkeys(columns.values()))
        table = LogTable(tuple(files), tuple(row_counts(files, wanted)), tuple(wanted), read)
    return RawData(
        name="own",
        source=f"own data ({Path(interactions).name}, {items.name})",
        terms="your own data: its terms of use are yours to know",
        interactions=read(log),
        items=catalogue.select(*front, pl.exclude(front)).with_columns(pl.col("item_id").cast(pl.String)),
        kinds={column: kind for column, kind in mapping.items.kinds.items()},  # type: ignore[misc]
        has_ratings="rating" in columns,
        # A core on items would take a slice of a log apart whose items are mostly rare: left to --item-core.
        item_core=1,
        files={"interactions": interactions, "items": items},
        problems=[*log_problems, *item_problems],
        item_lines=lines,
        table=table,
    )


def title_renaming(named: dict[str, str], catalogue: pl.DataFrame) -> dict[str, str]:
    """What renames the title column, setting aside an attribute that is called `title` but is not the title."""
    if "title" not in named:
        return {}
    aside = {"title": "title_"} if named["title"] != "title" and "title" in catalogue.columns else {}
    return {named["title"]: "title", **aside}


def read_catalogue(
    path: Path, kinds: dict[str, str], workspace: Path
) -> tuple[pl.DataFrame, pl.Series, list[LineProblem]]:
    """The catalogue in memory (JSON lists as lists), the line of each of its rows, and what was wrong with the file.

    Raises:
        UserError: the file cannot be read to its end, or `kinds` names a column it does not have.
    """
    table, problems = scan_table(path, workspace)
    try:
        frame = table.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read to its end: {first_line(error)}.") from None
    faulty = frame.filter(pl.col(PROBLEM).is_not_null()).select(LINE, PROBLEM)
    # An item is kept whatever its row can tell: all its interactions would go with it.
    torn = "the row is kept without the fields that are too many"
    problems = [
        *problems,
        *(
            LineProblem(path, line, kind, torn, kept=True)
            if kind == TOO_MANY_FIELDS
            else LineProblem(path, line, kind, "the row is left out")
            for line, kind in faulty.iter_rows()
        ),
    ]
    frame = frame.filter(pl.col(PROBLEM).is_null() | (pl.col(PROBLEM) == TOO_MANY_FIELDS))
    frame = frame.with_columns(json_lists(frame[name]) for name in frame.columns if frame[name].dtype == pl.String)
    for column in kinds:
        if column not in frame.columns:
            have = ", ".join(frame.drop(LINE, PROBLEM).columns)
            raise UserError(f"{path} has no column {column!r}, which the mapping names; it has {have}.")
    return frame.drop(LINE, PROBLEM), frame[LINE], problems


def json_lists(values: pl.Series) -> pl.Series:
    """`values` as List(String) where every one of them is a JSON list; unchanged otherwise."""
    present = values.drop_nulls()
    if len(present) == 0 or not present.str.contains(r"^\[.*\]$").all():
        return values
    try:
        return values.str.json_decode(pl.List(pl.String))
    except pl.exceptions.PolarsError:
        return values


def log_reader(
    log: pl.LazyFrame, columns: dict[str, str], schema: pl.Schema
) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    """What puts rows of the log into the raw schema, row by row: `columns` says which column plays which role."""
    user, item = identifier(columns["user"]), identifier(columns["item"])
    read: dict[str, pl.Expr] = {"user_id": user, "item_id": item}
    problems = [
        pl.col(PROBLEM),
        pl.when(user.is_null()).then(pl.lit("no user")),
        pl.when(item.is_null()).then(pl.lit("no item")),
    ]
    for role, name in (("rating", "rating"), ("position", "order")):
        if role in columns:
            given, kind = pl.col(columns[role]), schema[columns[role]]
            read[name] = given.cast(pl.Float64, strict=False).fill_nan(None)
            problems.append(unreadable(role, given, kind, read[name]))
    if "timestamp" in columns:
        given, kind = pl.col(columns["timestamp"]), schema[columns["timestamp"]]
        read["timestamp"], exact = read_time(log, columns["timestamp"], schema)
        # Within one second the finer unit decides, unless the log says the order itself.
        read.setdefault("order", exact)
        problems.append(unreadable("timestamp", given, kind, read["timestamp"]))
    if "order" in read:
        read["order"] = read["order"].cast(pl.Int64, strict=False)

    def reader(rows: pl.LazyFrame) -> pl.LazyFrame:
        return raw_interactions(rows.select(**read, line=pl.col(LINE), problem=pl.coalesce(problems)))

    return reader


def unreadable(role: str, given: pl.Expr, kind: pl.DataType, value: pl.Expr) -> pl.Expr:
    """Names the problem where something is `given` and no `value` could be read from it; null elsewhere."""
    filled = given.is_not_null()
    if kind == pl.String:
        filled = filled & (given.str.strip_chars() != "")
    return pl.when(filled & value.is_null()).then(pl.lit(f"unreadable {role}"))


def identifier(column: str) -> pl.Expr:
    """An id as a string without white space around it; null where nothing is left."""
    text = pl.col(column).cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)


def read_time(log: pl.LazyFrame, column: str, schema: pl.Schema) -> tuple[pl.Expr, pl.Expr]:
    """Expressions for seconds since 1970 (Int64) and for the same time as exactly as it is given (Int64).

    Strings are numbers or dates; which, and in which format, the first rows tell.
    """
    value, kind = pl.col(column), schema[column]
    if kind == pl.Date:
        value = value.cast(pl.Datetime("us"))
    if kind.is_temporal():
        exact = value.dt.epoch("us")
        return exact.floordiv(1_000_000), exact
    if kind == pl.String:
        sample = log.select(column).head(SAMPLE).collect()[column].str.strip_chars()
        sample = sample.filter(sample != "")
        if sample.cast(pl.Float64, strict=False).null_count() > len(sample) / 2:
            exact = date_time(sample, value.str.strip_chars()).dt.epoch("us")
            return exact.floordiv(1_000_000), exact
        value = value.str.strip_chars()
    number = value.cast(pl.Float64, strict=False).fill_nan(None)
    seconds = number
    for size, per_second in reversed(UNITS):
        seconds = pl.when(number.abs() >= size).then(number / per_second).otherwise(seconds)
    whole = value.cast(pl.Int64, strict=False)
    return seconds.floor().cast(pl.Int64, strict=False), pl.coalesce(
        whole, (number * 1e6).cast(pl.Int64, strict=False)
    )


def date_time(sample: pl.Series, value: pl.Expr) -> pl.Expr:
    """`value` (strings) as UTC date and time, in the format that reads most of `sample`."""

    def parse(expression: pl.Expr, form: str) -> pl.Expr:
        if "%#z" in form:
            parsed = expression.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC")
            return parsed.dt.replace_time_zone(None)
        if "%H" not in form:
            return expression.str.to_date(form, strict=False).cast(pl.Datetime("us"))
        return expression.str.to_datetime(form, strict=False, time_unit="us")

    counts = sample.to_frame("t").select(parse(pl.col("t"), form).count().alias(form) for form in TIME_FORMATS).row(0)
    return parse(value, TIME_FORMATS[max(range(len(counts)), key=lambda at: counts[at])])
