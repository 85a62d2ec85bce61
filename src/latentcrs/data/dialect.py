"""How a CSV file is written: what separates its fields, which quotes it has, and lines whose quotes are broken."""

import csv
import io
import re
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from latentcrs.data.archives import open_text
from latentcrs.data.lines import LineProblem

SEPARATORS = (",", ";", "\t", "|", "^", "~", "\x01")
"""Those that are tried, the more usual first."""
LOOKED_AT = 200  # lines
LONGEST = 50  # lines more that one quoted value may have
QUOTES = "quotes that do not close"
NAMED = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True)
class Dialect:
    """separator: one character. quote: what values may stand in. skip: lines before the header."""

    separator: str
    quote: str = '"'
    skip: int = 0

    def __str__(self) -> str:
        quotes = "" if self.quote == '"' else f", values in {self.quote}"
        return f"fields separated by {NAMED.get(self.separator, repr(self.separator))}{quotes}"


def find_dialect(path: Path, separator: str | None = None) -> Dialect:
    """The dialect of the text file at `path` by its first lines; `separator` settles that."""
    lines = pl.scan_lines(path, name="text").head(LOOKED_AT).collect()["text"].to_list()
    named = re.fullmatch(r'"?sep=(.)"?\s*', lines[0]) if lines else None
    if named:  # as Excel writes it
        return Dialect(separator or named[1], skip=1)
    lines = [line for line in lines if line.strip()]
    quote = "'" if in_quotes(lines, "'") > in_quotes(lines, '"') else '"'
    if separator is None:
        separator = max(SEPARATORS, key=lambda mark: fits(lines, mark, quote))
    return Dialect(separator, quote)


def in_quotes(lines: list[str], quote: str) -> int:
    """How many values stand between two `quote`s, next to what may separate values."""
    marks = "".join(SEPARATORS[:4])
    return sum(len(re.findall(rf"(?:^|[{marks}]){quote}[^{quote}]*{quote}(?=[{marks}]|\s*$)", row)) for row in lines)


def fits(lines: list[str], separator: str, quote: str) -> tuple[float, int]:
    """How well `separator` cuts `lines`: the share with as many fields as the first, and how many fields.

    Lines with one field each fit nothing.
    """
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator, quotechar=quote) if row]
    except csv.Error:
        return 0.0, 0
    if not widths or widths[0] < 2:
        return 0.0, 0
    return round(Counter(widths)[widths[0]] / len(widths), 1), widths[0]


def field_counts(path: Path, dialect: Dialect) -> pl.LazyFrame:
    """(line Int64, 1 is the first; fields UInt32; broken, blank before, blank Boolean) of every line of a CSV file.

    broken: a quote opens a value and does not close on the same line, or more stands behind one that closes.
    blank before: a quoted value has blanks before it. blank: there is nothing on the line.
    Memory is bounded: the file is streamed.
    """
    mark, quote = re.escape(dialect.separator), dialect.quote
    text = pl.col("text").str.strip_chars_end("\r")
    bare = text.str.replace_all(rf"(^|{mark}) *{quote}(?:[^{quote}]|{quote}{quote})*{quote}", "${1}\0")
    return pl.scan_lines(path, name="text", row_index_name="line", row_index_offset=1).select(
        pl.col("line").cast(pl.Int64),
        (bare.str.count_matches(dialect.separator, literal=True) + 1).alias("fields"),
        (bare.str.contains(rf"(^|{mark}) *{quote}") | bare.str.contains(rf"\x00[^{mark}]")).alias("broken"),
        text.str.contains(rf"{mark} +{quote}").alias("blank before"),
        (text == "").alias("blank"),
    )


def mend(path: Path, dialect: Dialect, columns: int, copy: Path, original: Path) -> list[LineProblem]:
    """Write `path` to `copy` with quotes as CSV has them, line by line; a value that rightly spans lines stays.

    Returns:
        What was mended, with its line.
    """
    problems: list[LineProblem] = []
    waiting: deque[tuple[int, str]] = deque()
    with open_text(path) as stream, copy.open("w", encoding="utf-8", newline="\n") as out:
        numbered = enumerate(stream, 1)

        def take() -> tuple[int, str] | None:
            return waiting.popleft() if waiting else next(numbered, None)

        while (first := take()) is not None:
            number, line = first
            if dialect.quote not in line or cut(line, dialect, columns):
                out.write(line)
                continue
            tried: list[tuple[int, str]] = []
            text, closed = line, False
            while len(tried) < LONGEST and not closed and (further := take()) is not None:
                tried.append(further)
                text += further[1]
                closed = dialect.quote in further[1] and cut(text, dialect, columns) is not None
            if closed:
                out.write(text)
                continue
            waiting.extendleft(reversed(tried))
            content = line.rstrip("\r\n")
            fields = lenient(content, dialect)
            if fields == cut(content, dialect):  # too many fields, but nothing is wrong with its quotes
                out.write(line)
                continue
            doubled = (field.replace(dialect.quote, 2 * dialect.quote) for field in fields)
            written = dialect.separator.join(f"{dialect.quote}{field}{dialect.quote}" for field in doubled)
            out.write(written + line[len(content) :])
            problems.append(LineProblem(original, number, QUOTES, f"read as {' | '.join(fields)[:200]}", kept=True))
    return problems


def cut(text: str, dialect: Dialect, columns: int | None = None) -> list[str] | None:
    """The fields of one record where its quotes are as CSV has them (and there are `columns`), else None."""
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=dialect.separator, quotechar=dialect.quote, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 and columns in (None, len(rows[0])) else None


def lenient(line: str, dialect: Dialect) -> list[str]:
    """The fields of a line with stray quotes: one that opens a value closes it only before a separator or the end."""
    mark, quote = re.escape(dialect.separator), re.escape(dialect.quote)
    quoted = re.compile(
        rf" *{quote}((?:\\.|{quote}{quote}|[^{quote}]|{quote}(?!\s*(?:{mark}|$)))*){quote}\s*(?={mark}|$)"
    )
    fields, at = [], 0
    while True:
        found = quoted.match(line, at)
        if found:
            inner = re.sub(rf"\\({quote})|{quote}{quote}", dialect.quote, found[1])
            fields.append(inner)
            at = found.end()
        else:
            end = line.find(dialect.separator, at)
            end = len(line) if end < 0 else end
            fields.append(line[at:end].strip().removeprefix(dialect.quote))
            at = end
        if at >= len(line):
            return fields
        at += 1
