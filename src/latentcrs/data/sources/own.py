"""Reads your own data: a log and a catalogue as CSV, Parquet or JSON, columns by usual names or mapped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.places import parquet_files, row_counts
from latentcrs.data.events import MOST, Events, guess_events, mapped_events
from latentcrs.data.ids import key, refuse_collisions, refuse_unknown, words
from latentcrs.data.lines import TOO_MANY_FIELDS, LineProblem
from latentcrs.data.mapping import CatalogueColumns, LogColumns, Mapping, TextFile, find_columns, read_mapping
from latentcrs.data.nested import NOTATION, read_notation, unnest
from latentcrs.data.raw import LogTable, RawData, raw_interactions
from latentcrs.data.scales import RatingForm, learn_ratings, read_ratings
from latentcrs.data.tables import LINE, OURS, PROBLEM, Table, TextForm, is_parquet, open_table
from latentcrs.data.times import TimeForm, day_and_month, is_open, learn_times, read_times, with_format

SAMPLE = 10_000
"""Rows that are looked at to see how values are written."""
PEOPLE = 200
"""People whose rows are looked at to see whether a column is a position."""
RESERVED = ("item_id", "title", "text")
"""Columns of every prepared catalogue: an attribute that is called so gets another name."""
AS_DATA = re.compile(r"^[-+]?\d[\d.,:/ T-]*$")
"""What a header does not hold, and a row often does."""


@dataclass(frozen=True)
class LogForm:
    """How rows of the log are read: which column plays which role, and how it is written."""

    columns: dict[str, pl.Expr]  # role -> how its column is read
    kinds: dict[str, pl.DataType]  # role -> its type
    rating: RatingForm = field(default_factory=RatingForm)
    time: TimeForm = field(default_factory=TimeForm)
    events: Events | None = None
    same: tuple[str, ...] = ()

    def read(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Rows of the log (with `LINE` and `PROBLEM`) in the raw schema, row by row."""
        user, item = (identifier(self.columns[role], self.kinds[role]) for role in ("user", "item"))
        item = key(item, self.same)
        read: dict[str, pl.Expr] = {"user_id": user, "item_id": item}
        problems = [
            pl.col(PROBLEM),
            pl.when(user.is_null()).then(pl.lit("no user")),
            pl.when(item.is_null()).then(pl.lit("no item")),
        ]
        if "event" in self.columns and self.events is not None:
            codes = {kind: code for code, kind in enumerate(self.events.kinds)}
            read["event"] = kind_of_event(self.columns["event"]).replace_strict(
                codes, default=None, return_dtype=pl.Int64
            )
        if "rating" in self.columns:
            read["rating"] = self._rating()
            problems.append(unreadable("rating", self.columns["rating"], self.kinds["rating"], read["rating"]))
        elif self.events is not None:
            weights = dict(enumerate(self.events.weights))
            read["rating"] = read["event"].replace_strict(weights, default=None, return_dtype=pl.Float64)
        if "position" in self.columns:
            read["order"] = self.columns["position"].cast(pl.Float64, strict=False).fill_nan(None)
            problems.append(unreadable("position", self.columns["position"], self.kinds["position"], read["order"]))
        if "timestamp" in self.columns:
            given, form = self.columns["timestamp"], self.time

            def times(values: pl.Series) -> pl.Series:
                seconds, exact = read_times(values, form)
                return pl.DataFrame({"seconds": seconds, "exact": exact}).to_struct(values.name)

            both = pl.Struct({"seconds": pl.Int64, "exact": pl.Int64})
            rows = rows.with_columns(given.map_batches(times, both, is_elementwise=True).alias("__time__"))
            read["timestamp"] = pl.col("__time__").struct.field("seconds")
            # Within one second the finer unit decides, unless the log says the order itself.
            read.setdefault("order", pl.col("__time__").struct.field("exact"))
            problems.append(unreadable("timestamp", given, self.kinds["timestamp"], read["timestamp"]))
        if "order" in read:
            read["order"] = read["order"].cast(pl.Int64, strict=False)
        return raw_interactions(rows.select(**read, line=pl.col(LINE), problem=pl.coalesce(problems)))

    def _rating(self) -> pl.Expr:
        given, form = self.columns["rating"], self.rating
        if form.plain:
            number = given.cast(pl.Float64, strict=False)
            return pl.when(number.is_finite()).then(number)
        return given.map_batches(lambda values: read_ratings(values, form), pl.Float64, is_elementwise=True)


def read_own(
    interactions: Path | str,
    items: Path,
    mapping: Mapping | Path | None,
    workspace: Path,
    same_ids: Sequence[str] = (),
) -> RawData:
    """The log at `interactions` and the catalogue at `items`, as `mapping` (or a TOML file) or usual names say.

    The log may be a folder of Parquet files, or a URL of one. Every column of the catalogue that is neither id nor
    title is an attribute. What is guessed, and what is done to values, is said in the `notes` of what is returned.

    Args:
        workspace: a folder for repaired copies of damaged text files; has to live until the data set is prepared.
        same_ids: what is ignored in item ids, beside what the mapping says; names of `latentcrs.data.ids.SAME`.

    Raises:
        UserError: a file cannot be read, a column cannot be found, or one that the mapping names cannot be read.
    """
    mapping = mapping if isinstance(mapping, Mapping) else read_mapping(mapping)
    refuse_unknown(same_ids, "--same-ids")
    mapping.ids.same += [name for name in same_ids if name not in mapping.ids.same]
    log = open_table(interactions, workspace / "log", text_form(mapping.interactions))
    catalogue = open_table(items, workspace / "catalogue", text_form(mapping.items), whole=True)
    return read_tables(log, catalogue, mapping, {"interactions": interactions, "items": items})


def read_tables(log: Table, table_of_items: Table, mapping: Mapping, files: dict[str, Path | str]) -> RawData:
    """An opened log and catalogue, as `mapping` or usual names say; see `read_own`.

    files: where they lie, by role; empty for tables that lie in memory, which are called by their roles.

    Raises:
        UserError: a column cannot be found, or one that the mapping names cannot be read.
    """
    interactions, items = files.get("interactions", "interactions"), files.get("items", "items")
    log = with_objects(log, Path(str(interactions)).name)
    found = likely_columns(log, interactions, mapping.interactions)
    table = None
    if files and is_parquet(interactions):
        likely = roots(log.columns[columns[0]] for columns in found.values())
        parts = parquet_files(interactions)
        table = LogTable(tuple(parts), tuple(row_counts(parts, likely)), tuple(likely), raw_interactions)
    form, guessed, log_notes = learn_log(log, interactions, mapping, found)
    catalogue, lines, item_problems, notes, decided = read_catalogue(table_of_items, items, mapping)
    same, name = tuple(mapping.ids.same), Path(str(items)).name
    if same:
        refuse_collisions(catalogue["item_id"], same, name)
        notes.append(f"{name}: ids are matched {words(same)}")
    if table is not None:
        wanted = roots(form.columns.values())
        if not set(wanted) <= set(table.columns):
            row_counts(list(table.files), wanted)
        table = replace(table, columns=tuple(wanted), read=form.read)
    guess = mapping.model_copy(update={"interactions": guessed, "items": decided})
    return RawData(
        name="own",
        source=f"own data ({Path(str(interactions)).name}, {name})" if files else "own data (frames in memory)",
        terms="your own data: its terms of use are yours to know",
        interactions=form.read(log.rows),
        items=catalogue,
        kinds={
            f"{column}_" if column in RESERVED else column: kind  # type: ignore[misc]
            for column, kind in mapping.items.kinds.items()
            if column not in (decided.item, decided.title)
        },
        decimal=mapping.items.decimal,
        has_ratings="rating" in form.columns,
        threshold=mapping.ratings.threshold,
        # A core on items would take a slice of a log apart whose items are mostly rare: left to --item-core.
        item_core=1,
        files=files,
        problems=[*log.problems, *item_problems],
        notes=[*log.notes, *log_notes, *notes],
        item_lines=lines,
        table=table,
        events=form.events,
        repeats=mapping.interactions.repeats,
        same_ids=same,
        mapping=guess,
    )


def text_form(said: TextFile) -> TextForm:
    """What a mapping says of a text file."""
    return TextForm(said.separator, said.encoding, tuple(said.header) if said.header else None)


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
        objects = [
            value for text in texts if re.match(NOTATION, text) and isinstance(value := read_notation(text), dict)
        ]
        keys = list(dict.fromkeys(key for value in objects for key in value if isinstance(key, str)))
        # JSON alone: what Python writes is no JSON for a path.
        found = {
            f"{name}.{key}": log.columns[name].str.json_path_match(f"$['{key}']") for key in keys if "'" not in key
        }
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


def roots(reads: Iterable[pl.Expr]) -> list[str]:
    """The columns that lie in the file and are read by these expressions."""
    return list(dict.fromkeys(name for read in reads for name in read.meta.root_names()))


def likely_columns(log: Table, file: Path | str, said: LogColumns) -> dict[str, list[str]]:
    """role -> columns of the log that may have it, the likeliest first; see `find_columns`."""
    usable = [name for name, kind in log.schema().items() if is_plain(kind)]
    return find_columns(
        file, "interactions", said, usable or list(log.columns), lambda: header_hint(log, said.header)
    )


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


def is_plain(kind: pl.DataType) -> bool:
    """Whether a column of this type holds one value per row that can be written down."""
    return not (kind.is_nested() or kind in (pl.Binary, pl.Object, pl.Unknown, pl.Null))


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


def kind_of_event(given: pl.Expr) -> pl.Expr:
    """The kind of an event as text; null where none is given."""
    text = given.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)


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


def read_catalogue(
    table: Table, file: Path | str, mapping: Mapping
) -> tuple[pl.DataFrame, pl.Series, list[LineProblem], list[str], CatalogueColumns]:
    """The catalogue in memory (item_id, title, attributes; lists as lists), the line of each of its rows, what was
    wrong with the file, what was guessed, and the mapping's part as it was settled.

    Raises:
        UserError: the file cannot be read to its end, or the mapping names a column it does not have.
    """
    said, path = mapping.items, Path(str(file))
    try:
        frame = table.rows.select(LINE, PROBLEM, **table.columns).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read to its end: {first_line(error)}.") from None
    faulty = frame.filter(pl.col(PROBLEM).is_not_null()).select(LINE, PROBLEM)
    # An item is kept whatever its row can tell: all its interactions would go with it.
    torn = "the row is kept without the fields that are too many"
    problems = [
        *table.problems,
        *(
            LineProblem(path, line, kind, torn, kept=True)
            if kind == TOO_MANY_FIELDS
            else LineProblem(path, line, kind, "the row is left out")
            for line, kind in faulty.iter_rows()
        ),
    ]
    frame = frame.filter(pl.col(PROBLEM).is_null() | (pl.col(PROBLEM) == TOO_MANY_FIELDS))
    plain = [name for name in frame.columns if name not in OURS and is_plain(frame.schema[name])]
    flat, done = unnest(frame, OURS)
    names = list(dict.fromkeys([*(name for name in flat.columns if name not in OURS), *plain]))
    found = find_columns(path, "items", said, names, lambda: header_hint(table, said.header))
    for role, (column, *_) in found.items():
        if column not in flat.columns or not is_plain(flat.schema[column]):
            if column not in plain:
                raise UserError(
                    f"{path}: column {column!r} cannot be read as {role}: it holds {flat.schema[column]}."
                )
            flat = flat.with_columns(frame[column])  # an id or a title in brackets is what it is
    for column in said.kinds:
        if column not in flat.columns:
            have = ", ".join(name for name in flat.columns if name not in OURS)
            raise UserError(f"{path} has no column {column!r}, which the mapping names; it has {have}.")
    notes = [*table.notes, *(f"{path.name}: {note}" for note in done)]
    lines, named = flat[LINE], {role: columns[0] for role, columns in found.items()}
    ids = flat.select(identifier(pl.col(named["item"]), flat.schema[named["item"]])).to_series()
    flat = flat.drop(*OURS, named["item"])
    title = pl.Series("title", [None] * len(flat), dtype=pl.String)
    for role in ("item", "title"):
        if getattr(said, role) is None:
            told = f"is read from column {named[role]}" if role in named else "is not there: ids stand in"
            notes.append(f"{path.name}: {role} {told}")
    if "title" in named:
        title = flat[named["title"]].cast(pl.String, strict=False)
        flat = flat.drop(named["title"])
    renamed = {name: f"{name}_" for name in RESERVED if name in flat.columns}
    notes += [f"{path.name}: column {name} is called {other}" for name, other in renamed.items()]
    flat = flat.rename(renamed)
    flat = flat.select(ids.alias("item_id"), title.alias("title"), pl.all())
    settled = said.model_copy(
        update={
            "item": named["item"],
            "title": named.get("title", ""),
            "separator": said.separator or table.separator,
        }
    )
    return flat, lines, problems, notes, settled


def unreadable(role: str, given: pl.Expr, kind: pl.DataType, value: pl.Expr) -> pl.Expr:
    """Names the problem where something is `given` and no `value` could be read from it; null elsewhere."""
    filled = given.is_not_null()
    if kind == pl.String:
        filled = filled & (given.str.strip_chars() != "")
    return pl.when(filled & value.is_null()).then(pl.lit(f"unreadable {role}"))


def identifier(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """An id as a string without white space around it; null where nothing is left. 17.0, a number, is 17."""
    if kind.is_float():
        # Not through Int64 where that would change it.
        whole = column.cast(pl.Int64, strict=False)
        column = (
            pl.when(column.is_finite() & (whole.cast(pl.Float64) == column))
            .then(whole.cast(pl.String))
            .when(column.is_finite())
            .then(column.cast(pl.String))
        )
    text = column.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)
