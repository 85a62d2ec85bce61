"""Reads your own data: a log and a catalogue as CSV, Parquet or JSON, columns by usual names or mapped."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.places import parquet_files, row_counts
from latentcrs.data.ids import refuse_collisions, refuse_unknown, words
from latentcrs.data.lines import TOO_MANY_FIELDS, LineProblem
from latentcrs.data.mapping import CatalogueColumns, Mapping, TextFile, find_columns, read_mapping
from latentcrs.data.nested import unnest
from latentcrs.data.raw import LogTable, RawData, raw_interactions
from latentcrs.data.sources.guess import header_hint, is_plain, learn_log, likely_columns, roots, with_objects
from latentcrs.data.sources.log_form import identifier
from latentcrs.data.tables import LINE, OURS, PROBLEM, Table, TextForm, is_parquet, open_table

RESERVED = ("item_id", "title", "text")
"""Columns of every prepared catalogue: an attribute that is called so gets another name."""


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
