"""Opens a table in CSV, Parquet or JSON (text also compressed) lazily, with the line that each row comes from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.places import is_url, parquet_files
from latentcrs.data.archives import ENDINGS
from latentcrs.data.charset import known_encoding
from latentcrs.data.dialect import Dialect, field_counts, find_dialect, mend
from latentcrs.data.lines import TOO_MANY_FIELDS, LineProblem, readable, scan_json_lines
from latentcrs.data.nested import flat_columns, json_paths

CSV, JSON = (".csv", ".tsv", ".txt", ".tab", ".psv", ".dat", ".data"), (".jsonl", ".ndjson", ".json")
FORMATS = ".csv, .tsv, .txt, .parquet, .jsonl, .ndjson or .json (text may be compressed: .gz, .bz2, .xz, .zst, .zip)"
LINE = "__line__"
PROBLEM = "__problem__"
OURS = (LINE, PROBLEM)
LOOKED_AT = 1000
"""Lines of a JSON lines file whose keys are collected as its columns."""


@dataclass(frozen=True)
class Table:
    """An opened table.

    name: the file's.
    rows: its columns as they lie, `LINE` (Int64; for Parquet the row, 1 is the first) and `PROBLEM` (String, null for
        a good row). Columns of CSV and JSON lines are strings; lists in JSON stay JSON text.
    columns: name -> how it is read from `rows`; a field of a nested column is `column.field`.
    problems: what was wrong with the file as text, already repaired.
    notes: how the file was read, where that had to be found out.
    separator: for a mapping to say; None where it is the usual one.
    """

    name: str
    rows: pl.LazyFrame
    columns: dict[str, pl.Expr]
    problems: list[LineProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    separator: str | None = None

    def schema(self) -> dict[str, pl.DataType]:
        """The type of every column."""
        return dict(self.rows.select(**self.columns).collect_schema())


@dataclass(frozen=True)
class TextForm:
    """What a mapping says of a text file: its separator, its encoding, the names of its columns where it has none."""

    separator: str | None = None
    encoding: str | None = None
    header: tuple[str, ...] | None = None


def open_table(path: Path | str, workspace: Path, form: TextForm | None = None, whole: bool = False) -> Table:
    """The table at `path`: a file, a folder of Parquet, or a URL of Parquet.

    Args:
        workspace: a folder for repaired copies, which has to live as long as the table is used.
        form: what is known of a text file.
        whole: look for columns at every line of JSON, not only at the first ones.

    Raises:
        UserError: no such file, an unknown ending, an empty or unreadable file.
    """
    form = form or TextForm()
    if is_parquet(path):
        return open_parquet(path)
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist.")
    ending = text_ending(path)
    if ending and ending not in (*CSV, *JSON):
        raise UserError(f"{path} has an ending that is not known; use {FORMATS}.")
    encoding = known_encoding(form.encoding, str(path)) if form.encoding else None
    text = readable(path, workspace, encoding)
    try:
        if ending in JSON or (not ending and first_character(text.path) in ("{", "[")):
            return open_json(text.path, path, text.problems, text.notes, workspace, whole)
        return open_csv(text.path, path, text.problems, text.notes, workspace, form)
    except pl.exceptions.NoDataError:
        raise UserError(f"{path} is empty; a table has a header and rows.") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read as {ending[1:] or 'csv'}: {first_line(error)}.") from None


def is_parquet(place: Path | str) -> bool:
    """Whether `place` is read as Parquet: a folder or URL, or a file that is called so or begins so."""
    if is_url(place) or Path(place).is_dir():
        return True
    path = Path(place)
    if path.suffix.lower() in (".parquet", ".pq"):
        return True
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError:
        return False


def text_ending(path: Path) -> str:
    """The ending that says what is in a text file, without the one that says how it is compressed."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] and suffixes[-1] in ENDINGS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def first_character(path: Path) -> str:
    """The first character of a text file that is no white space; "" where there is none."""
    lines = pl.scan_lines(path, name="text").head(LOOKED_AT).collect()["text"].str.strip_chars()
    return next((line[0] for line in lines if line), "")


def open_parquet(path: Path | str) -> Table:
    """The Parquet file or files at `path`; fields of nested columns by `column.field`."""
    files = parquet_files(path)
    try:
        # Parts may differ in columns that nobody reads; the reader looks at those it wants.
        table = pl.scan_parquet(
            files, row_index_name=LINE, row_index_offset=1, missing_columns="insert", extra_columns="ignore"
        )
        rows = with_problem(table, pl.lit(None, dtype=pl.String))
        columns, notes = flat_columns(rows, Path(str(path)).name, OURS)
        return Table(Path(str(path)).name, rows, columns, notes=notes)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read as parquet: {first_line(error).rstrip('.')}.") from None


def with_problem(table: pl.LazyFrame, problem: pl.Expr) -> pl.LazyFrame:
    """`table` with `PROBLEM`, and `LINE` as Int64; raises at once what its header would raise later."""
    table = table.with_columns(pl.col(LINE).cast(pl.Int64), problem.alias(PROBLEM))
    table.collect_schema()
    return table


def open_csv(
    path: Path, original: Path, problems: list[LineProblem], notes: list[str], workspace: Path, form: TextForm
) -> Table:
    """All columns as strings: whether a number can be read is judged row by row, not by the first that fails."""
    dialect = find_dialect(path, form.separator)
    usual = "\t" if text_ending(original) in (".tsv", ".tab") else ","
    name, notes = original.name, list(notes)
    if (dialect.separator, dialect.quote) != (usual, '"') and form.separator is None:
        notes.append(f"{name}: {dialect}")
    first = field_counts(path, dialect).slice(dialect.skip, 1).collect()
    if len(first) == 0:
        raise pl.exceptions.NoDataError(name)
    columns = len(form.header) if form.header else first["fields"][0]
    odd = odd_lines(path, dialect, columns)
    if (odd["broken"] | odd["blank before"]).any():
        workspace.mkdir(parents=True, exist_ok=True)
        copy = workspace / f"{name}.mended"
        problems = [*problems, *mend(path, dialect, columns, copy, original)]
        path, odd = copy, odd_lines(copy, dialect, columns)
    if odd["broken"].any():  # some value spans lines, so that a line is no row
        odd = odd.clear()
    torn = odd.filter(pl.col("fields") > columns)["line"]
    blank = odd.filter(pl.col("blank"))
    short = odd.filter(pl.col("fields") < columns, pl.col("fields") > 1)["line"]
    if len(short):
        notes.append(
            f"{name}: {len(short):,} lines, the first of them {short[0]}, have fewer fields than the header; "
            "those that are not there are empty"
        )
    table = pl.scan_csv(
        path,
        separator=dialect.separator,
        quote_char=dialect.quote,
        infer_schema=False,
        truncate_ragged_lines=True,
        glob=False,
        skip_lines=dialect.skip,
        has_header=not form.header,
        new_columns=list(form.header) if form.header else None,
        row_index_name=LINE,
        row_index_offset=dialect.skip + (1 if form.header else 2),
    )
    if len(blank):
        notes.append(f"{name}: {len(blank):,} blank lines are passed over")
        # Not by their numbers: Polars itself passes over some of them.
        table = table.filter(pl.any_horizontal(pl.exclude(LINE).is_not_null()))
    rows = with_problem(table, pl.when(pl.col(LINE).is_in(torn.implode())).then(pl.lit(TOO_MANY_FIELDS)))
    names = [column for column in rows.collect_schema().names() if column not in OURS]
    nameless = [column for column in names if not column.strip() or column.startswith("_duplicated_")]
    if nameless:
        notes.append(f"{name}: {len(nameless)} column(s) without a name are left out")
    for column in names:
        before, again, number = column.rpartition("_duplicated_")
        if before and again and number.isdigit() and before in names:
            notes.append(f"{name}: there is more than one column {before!r}; the next one is called {column!r}")
    named = {column.strip(): pl.col(column) for column in names if column not in nameless}
    return Table(name, rows, named, problems, notes, None if dialect.separator == "," else dialect.separator)


def odd_lines(path: Path, dialect: Dialect, columns: int) -> pl.DataFrame:
    """The lines of a CSV file without `columns` fields, or whose quotes are not plain; see `field_counts`."""
    lines = field_counts(path, dialect)
    return lines.filter(
        (pl.col("fields") != columns) | pl.col("broken") | pl.col("blank before") | pl.col("blank")
    ).collect(engine="streaming")


def open_json(
    path: Path, original: Path, problems: list[LineProblem], notes: list[str], workspace: Path, whole: bool
) -> Table:
    """One JSON object per line, or one array of them; nested objects as columns `column.field`."""
    if first_character(path) == "[" and text_ending(original) not in (".jsonl", ".ndjson"):
        path = as_lines(path, original, workspace)
        notes = [*notes, f"{original.name}: one JSON array; line numbers count its entries"]
    paths = json_paths(json_records(path, None if whole else LOOKED_AT))
    if not paths:
        raise UserError(f"{original} holds no JSON objects; JSON lines has one per line.")
    nested = sorted({column.partition(".")[0] for column, keys in paths.items() if len(keys) > 1})
    if nested:
        fields = ", ".join(column for column, keys in paths.items() if len(keys) > 1)
        notes = [*notes, f"{original.name}: nested objects are read as {fields}"]
    read = {column: "$" + "".join(f"[{json.dumps(key)}]" for key in keys) for column, keys in paths.items()}
    table = scan_json_lines(path, read).rename({"line": LINE, "problem": PROBLEM})
    return Table(
        original.name,
        with_problem(table, pl.col(PROBLEM)),
        {column: pl.col(column) for column in read},
        problems,
        notes,
    )


def json_records(path: Path, most: int | None) -> Iterable[Mapping[str, object]]:
    """The JSON objects of the first `most` lines, or of all."""
    lines = pl.scan_lines(path, name="text")
    for text in (lines if most is None else lines.head(most)).collect()["text"]:
        try:
            record = json.loads(text)
            json.dumps(record, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
        except (json.JSONDecodeError, RecursionError, UnicodeEncodeError):
            continue  # read again with all lines, and counted there
        if isinstance(record, dict):
            yield record


def as_lines(path: Path, original: Path, workspace: Path) -> Path:
    """A copy of a JSON array with one entry per line."""
    try:
        records = json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{original} is no JSON array: {error}.") from None
    workspace.mkdir(parents=True, exist_ok=True)
    copy = workspace / f"{original.name}.lines"
    copy.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return copy
