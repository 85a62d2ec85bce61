"""Opens a table in CSV, Parquet or JSON lines (text also as .gz) lazily, with the line that each row comes from."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from latentcrs.data.lines import TOO_MANY_FIELDS, LineProblem, readable, scan_json_lines, too_many_fields
from latentcrs.data.places import is_url, parquet_files
from latentcrs.errors import UserError, first_line

FORMATS = ".csv, .tsv, .parquet, .jsonl or .ndjson (.gz too for text)"
LINE = "__line__"
PROBLEM = "__problem__"
LOOKED_AT = 1000
"""Lines of a JSON lines file whose keys are collected as its columns."""


def scan_table(path: Path | str, workspace: Path) -> tuple[pl.LazyFrame, list[LineProblem]]:
    """The table at `path`, a file, a folder of Parquet, or a URL of Parquet: its columns, `LINE` (Int64; for Parquet
    the row, 1 is the first) and `PROBLEM` (String, null for a good row); and what was wrong with the file as text
    (encoding, a damaged archive), already repaired.

    CSV and JSON lines columns are strings; lists in JSON stay JSON text.

    Args:
        workspace: a folder for repaired copies, which has to live as long as the table is used.

    Raises:
        UserError: no such file, an unknown ending, an empty or unreadable file.
    """
    if is_parquet(path):
        files = parquet_files(path)
        try:
            # Parts may differ in columns that nobody reads; the reader looks at those it wants.
            table = pl.scan_parquet(
                files, row_index_name=LINE, row_index_offset=1, missing_columns="insert", extra_columns="ignore"
            )
            return with_problem(table, pl.lit(None, dtype=pl.String)), []
        except (pl.exceptions.PolarsError, OSError) as error:
            raise UserError(f"{path} cannot be read as parquet: {first_line(error).rstrip('.')}.") from None
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    kind = suffixes[-1] if suffixes else ""
    try:
        if kind in (".csv", ".tsv"):
            text = readable(path, workspace)
            return scan_csv(text.path, "\t" if kind == ".tsv" else ","), text.problems
        if kind in (".jsonl", ".ndjson"):
            text = readable(path, workspace)
            columns = json_columns(text.path)
            if not columns:
                raise UserError(f"{path} holds no JSON objects; JSON lines has one per line.")
            table = scan_json_lines(text.path, {name: f"$[{json.dumps(name)}]" for name in columns})
            return with_problem(table.rename({"line": LINE, "problem": PROBLEM}), pl.col(PROBLEM)), text.problems
    except pl.exceptions.NoDataError:
        raise UserError(f"{path} is empty; a table has a header and rows.") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read as {kind[1:]}: {first_line(error)}.") from None
    raise UserError(f"{path} has an ending that is not known; use {FORMATS}.")


def is_parquet(place: Path | str) -> bool:
    """Whether `place` is read as Parquet: a folder or URL, or a file that is called so."""
    return is_url(place) or Path(place).is_dir() or Path(place).suffix.lower() == ".parquet"


def with_problem(table: pl.LazyFrame, problem: pl.Expr) -> pl.LazyFrame:
    """`table` with `PROBLEM`, and `LINE` as Int64; raises at once what its header would raise later."""
    table = table.with_columns(pl.col(LINE).cast(pl.Int64), problem.alias(PROBLEM))
    table.collect_schema()
    return table


def scan_csv(path: Path, separator: str) -> pl.LazyFrame:
    """All columns as strings: whether a number can be read is judged row by row, not by the first that fails."""
    table = pl.scan_csv(
        path,
        separator=separator,
        infer_schema=False,
        truncate_ragged_lines=True,
        row_index_name=LINE,
        row_index_offset=2,
    )
    torn = too_many_fields(path, separator)
    return with_problem(table, pl.when(pl.col(LINE).is_in(torn.implode())).then(pl.lit(TOO_MANY_FIELDS)))


def json_columns(path: Path) -> list[str]:
    """The keys of the first JSON objects, in the order they come up; not those that would clash with ours."""
    names: dict[str, None] = {}
    for text in pl.scan_lines(path, name="text").head(LOOKED_AT).collect()["text"]:
        try:
            record = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict):
            names.update(dict.fromkeys(record))
    return [name for name in names if name not in ("line", "problem")]
