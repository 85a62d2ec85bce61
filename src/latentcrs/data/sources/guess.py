"""Guesses which columns of a log of your own are what, and how their values are written, and says so."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl

from latentcrs.base.errors import UserError, first_line
from latentcrs.data.events import MOST, Events, guess_events, mapped_events
from latentcrs.data.mapping import LogColumns, Mapping, find_columns
from latentcrs.data.nested import NOTATION, read_notation
from latentcrs.data.scales import RatingForm, learn_ratings
from latentcrs.data.sources.log_form import LogForm, identifier, kind_of_event
from latentcrs.data.tables import LINE, Table
from latentcrs.data.times import TimeForm, day_and_month, is_open, learn_times, with_format

SAMPLE = 10_000
"""Rows that are looked at to see how values are written."""
PEOPLE = 200
"""People whose rows are looked at to see whether a column is a position."""
AS_DATA = re.compile(r"^[-+]?\d[\d.,:/ T-]*$")
"""What a header does not hold, and a row often does."""


def learn_log(
    log: Table, file: Path | str, mapping: Mapping, found: dict[str, list[str]]
) -> tuple[LogForm, LogColumns, list[str]]:
    """How the log is read, the columns that were settled on, and what was guessed.

    A guessed column that cannot be read is left aside, and said; the next likely one is tried.

    Raises:
        UserError: a column that has to be there is not, or one that the mapping names cannot be read.
    """
    said, name, notes = mapping.interactions, Path(str(file)).name, list[str]()
    schema = log.schema()
    form = LogForm({}, {}, same=tuple(mapping.ids.same))
    settled: dict[str, str] = {}

    def settle(role: str, column: str) -> None:
        form.columns[role], form.kinds[role] = log.columns[column], schema[column]
        settled[role] = column
        if getattr(said, role) is None and role not in ("user", "item"):
            notes.append(f"{name}: {role} is read from column {column}")

    def aside(role: str, column: str, why: str) -> None:
        if getattr(said, role) is not None:
            raise UserError(f"{file}: column {column!r} cannot be read as {role}: {why}.")
        notes.append(f"{name}: column {column} is not taken for the {role}: {why}")

    for role in ("user", "item"):
        settle(role, found[role][0])
        if getattr(said, role) is None:
            notes.append(f"{name}: {role} is read from column {found[role][0]}")
    sample = sampled(log, list(dict.fromkeys(column for columns in found.values() for column in columns)))
    for column in found.get("timestamp", []):
        time = learn_time(log, sample[column], column, said.format, file)
        if isinstance(time, TimeForm):
            settle("timestamp", column)
            form = replace(form, time=time)
            notes += [f"{name}: {column}: {note}" for note in time.notes]
            break
        if "first" in time and said.timestamp is None:
            raise UserError(f"{file}: column {column!r}: {time}.")
        aside("timestamp", column, time)
    for column in found.get("rating", []):
        rating = learn_ratings(sample[column], mapping.ratings.words)
        if isinstance(rating, RatingForm):
            settle("rating", column)
            form = replace(form, rating=rating)
            notes += [f"{name}: {column}: {note}" for note in rating.notes]
            break
        aside("rating", column, rating)
    for column in found.get("event", []):
        events = learn_events(log, column, mapping)
        if isinstance(events, Events):
            settle("event", column)
            form = replace(form, events=events)
            notes.append(f"{name}: {column}: {events}" + ("" if mapping.events.weights else " (guessed)"))
            break
        aside("event", column, events)
    for column in found.get("quantity", []) if form.events is None else ():
        number = log.columns[column].cast(pl.Float64, strict=False)
        if not log.rows.select((number < 0).any()).collect(engine="streaming").item():
            continue  # it says how much, and nothing is taken back
        settle("quantity", column)
        kind = pl.when(number < 0).then(pl.lit("refund")).when(number > 0).then(pl.lit("purchase"))
        form.columns["event"], form.kinds["event"] = kind, pl.String()
        form = replace(form, events=guess_events(["purchase", "refund"]))
        notes.append(f"{name}: {column}: rows below 0 are refunds, which take earlier rows of the item away")
        break
    for column in found.get("position", []):
        why = why_no_position(log, form, column, schema[column])
        if why is None:
            settle("position", column)
            break
        aside("position", column, why)
    guessed = said.model_copy(
        update={**{role: settled.get(role, "") for role in found}, "separator": said.separator or log.separator}
    )
    return form, guessed, notes


def likely_columns(log: Table, file: Path | str, said: LogColumns) -> dict[str, list[str]]:
    """role -> columns of the log that may have it, the likeliest first; see `find_columns`."""
    usable = [name for name, kind in log.schema().items() if is_plain(kind)]
    return find_columns(file, "interactions", said, usable or [*log.columns], lambda: header_hint(log, said.header))


def learn_time(log: Table, sample: pl.Series, column: str, format: str | None, file: Path | str) -> TimeForm | str:
    """How the times of a column are written, or why that cannot be told."""
    present = sample.drop_nulls()
    if format is not None:
        try:
            read = with_format(present.cast(pl.String).str.strip_chars(), format)
        except pl.exceptions.PolarsError as error:
            raise UserError(f"the mapping's format {format!r} is none of strptime: {first_line(error)}.") from None
        if len(present) and read.null_count() == len(present):
            return f"no value is in the format {format!r} (the first is {present[0]!r})"
        return TimeForm(format=format)
    widest = None
    if present.dtype == pl.String and is_open(present):
        # The sample leaves open which number is the day: the whole column may tell.
        pairs = (
            log.rows.select(
                log.columns[column]
                .map_batches(
                    lambda values: day_and_month(values).select(pl.col("first", "second").max()).to_struct("pair"),
                    pl.Struct({"first": pl.Int32, "second": pl.Int32}),
                )
                .alias("pair")
            )
            .collect()["pair"]
            .struct.unnest()
        )
        if len(pairs):
            widest = pl.Series([pairs["first"].max() or 0, pairs["second"].max() or 0])
    return learn_times(present, widest)


def learn_events(log: Table, column: str, mapping: Mapping) -> Events | str:
    """What the kinds of events in a column mean, or why it holds none."""
    kinds = (
        log.rows.select(kind_of_event(log.columns[column]).alias("kind"))
        .group_by("kind")
        .len()
        .collect(engine="streaming")["kind"]
        .drop_nulls()
        .to_list()
    )
    if len(kinds) > MOST:
        return f"it has {len(kinds):,} different values"
    if mapping.events.weights or mapping.events.takes_away:
        return mapped_events(kinds, mapping.events.weights, mapping.events.takes_away)
    events = guess_events(kinds)
    if events is None:
        shown = ", ".join(sorted(kinds)[:6])
        return f"no kind of event is known by its name ({shown}): every row counts, unless [events.weights] says more"
    return events


def why_no_position(log: Table, form: LogForm, column: str, kind: pl.DataType) -> str | None:
    """Why a guessed column is no position within the history of a person, by the rows of some; None if it is."""
    user = identifier(form.columns["user"], form.kinds["user"])
    rows = log.rows.select(
        user.alias("user"),
        log.columns[column].cast(pl.Float64, strict=False).alias("position"),
        pl.col(LINE).alias("line"),
        log.columns[column].alias("given"),
    )
    some = rows.head(SAMPLE).select(pl.col("user").unique(maintain_order=True).head(PEOPLE))
    frame = rows.join(some, on="user", how="semi").collect(engine="streaming")
    if frame["position"].null_count() > frame["given"].null_count() + 0.05 * len(frame):
        return "it holds other things than numbers"
    frame = frame.drop_nulls(["user", "position"])
    if len(frame) == 0:
        return "it is empty"
    repeated = 1 - frame.select(pl.struct("user", "position").n_unique()).item() / len(frame)
    if repeated > 0.05:
        return f"its numbers come back within the rows of a person (in {repeated:.0%} of them)"
    if "timestamp" in form.columns:
        times = form.read(log.rows).select("user_id", "line", "timestamp").rename({"user_id": "user"})
        timed = frame.join(times.join(some, on="user", how="semi").collect(engine="streaming"), on=["user", "line"])
        steps = timed.sort("user", "timestamp", "position").select(
            (pl.col("position").diff().over("user") > 0).alias("up"),
            pl.col("timestamp").diff().over("user").alias("gap"),
        )
        steps = steps.filter(pl.col("gap") > 0)
        if len(steps) and float(steps["up"].mean() or 0.0) < 0.95:  # type: ignore[arg-type]
            return "its numbers do not increase with time within the rows of a person"
    return None


def with_objects(log: Table, file: str) -> Table:
    """`log` with the fields of columns that hold JSON objects as text, as `column.field`."""
    schema = log.schema()
    strings = [name for name, kind in schema.items() if kind == pl.String]
    sample = sampled(log, strings, 100)
    columns, notes = dict(log.columns), list(log.notes)
    for name in strings:
        texts = sample[name].drop_nulls()
        if len(texts) == 0 or not texts.str.contains(r"^\s*\{[\s\S]*\}\s*$").all():
            continue
        objects = [one for text in texts if re.match(NOTATION, text) and isinstance(one := read_notation(text), dict)]
        keys = list(dict.fromkeys(key for value in objects for key in value if isinstance(key, str)))
        # JSON alone: what Python writes is no JSON for a path.
        found = {f"{name}.{k}": log.columns[name].str.json_path_match(f"$['{k}']") for k in keys if "'" not in k}
        if found:
            columns.update({column: read for column, read in found.items() if column not in columns})
            notes.append(f"{file}: column {name} holds objects, read as {', '.join(found)}")
    return replace(log, columns=columns, notes=notes)


def sampled(table: Table, columns: list[str], rows: int = SAMPLE) -> pl.DataFrame:
    """The first rows of some columns; what fails to be read is null."""
    try:
        return table.rows.head(rows).select(table.columns[name].alias(name) for name in columns).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{table.name} cannot be read: {first_line(error).rstrip('.')}.") from None


def header_hint(table: Table, header: list[str] | None) -> str:
    """What to say of a header that looks like a row."""
    schema = table.schema()
    names = [name for name, kind in schema.items() if kind == pl.String]
    if header is not None or len(names) < len(schema):
        return ""
    if len(names) == 1:
        return (
            " There is one column: if something else stands between fields than comma, semicolon, tab or bar, say so "
            'in a mapping: separator = " " (one character; make one of "::").'
        )
    alike = [name for name in names if AS_DATA.match(re.sub(r"_duplicated_\d+$", "", name))]
    if not alike:
        rows = sampled(table, names, 50)
        for name in names:
            values = rows[name].drop_nulls()
            if re.search(r"\d", name) and len(values) and all(shape(value) == shape(name) for value in values):
                alike.append(name)
    if not alike:
        return ""
    return (
        f" The first line looks like data ({', '.join(names[:5])}); is there no header? Add one, or name the columns "
        'in a mapping: header = ["user_id", "item_id", ...].'
    )


def shape(text: str) -> str:
    """A text with every run of digits as 9 and of letters as a."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


def roots(reads: Iterable[pl.Expr]) -> list[str]:
    """The columns that lie in the file and are read by these expressions."""
    return list(dict.fromkeys(name for read in reads for name in read.meta.root_names()))


def is_plain(kind: pl.DataType) -> bool:
    """Whether a column of this type holds one value per row that can be written down."""
    return not (kind.is_nested() or kind in (pl.Binary, pl.Duration, pl.Object, pl.Unknown, pl.Null))
