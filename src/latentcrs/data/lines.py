"""Text files made readable: truncated archives and wrong bytes are found by line, the rest is kept."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import polars as pl

from latentcrs.errors import UserError

BLOCK = 1 << 20
# Bytes that ISO 8859-1 gives to no character: a file that has them is something else.
NOT_LATIN = re.compile(rb"[\x80-\x9f]")
TRUNCATED = "truncated gzip"
ENCODING = "wrong encoding"
BROKEN_JSON = "broken JSON"
TOO_MANY_FIELDS = "too many fields"


@dataclass(frozen=True)
class LineProblem:
    """Something wrong with one line of a file, 1 being the first."""

    path: Path
    line: int
    kind: str
    detail: str
    kept: bool = False  # the row is there all the same


@dataclass(frozen=True)
class TextFile:
    """A file that Polars can read to its end: UTF-8, complete lines.

    `path` is the file itself when nothing was wrong with it, else a repaired copy with the same line numbers.
    """

    path: Path
    original: Path
    problems: list[LineProblem] = field(default_factory=list)


def readable(path: Path, workspace: Path, encoding: str = "utf-8") -> TextFile:
    """Read `path` (plain or .gz) once, block by block, and return a file that can be scanned.

    A gzip that ends too early is kept up to its last complete line. Bytes that are invalid in `encoding` become
    U+FFFD, except that a line of a Latin-1 file which is UTF-8 is read as UTF-8. Each such line is a problem; the
    row is kept. A byte order mark is left out.

    Args:
        workspace: a folder for the repaired copy, which only a file that needs one gets.
        encoding: what the file claims to be: "utf-8" or "latin-1".

    Raises:
        UserError: the file cannot be opened, or is not text.
    """
    reader = _Reader(path, codecs.lookup(encoding).name)
    repaired = workspace / (path.name.removesuffix(".gz") + ".readable")
    try:
        # Most files are fine and can be many gigabytes: a first pass writes nothing.
        if not any(text != raw for raw, text in reader.blocks()) and not reader.truncated:
            return TextFile(path, path, reader.problems)
        reader = _Reader(path, reader.encoding)
        workspace.mkdir(parents=True, exist_ok=True)
        with repaired.open("wb") as copy:
            for _, text in reader.blocks():
                copy.write(text)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    return TextFile(repaired, path, reader.problems)


class _Reader:
    """Reads a file in blocks of whole lines, beside what each block is in UTF-8."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path, self.encoding = path, encoding
        self.problems: list[LineProblem] = []
        self.truncated = False
        self.line = 1  # the number of the next block's first line

    def blocks(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (bytes as they are, the same lines in UTF-8)."""
        first = True
        for raw in self._raw_blocks():
            if first and b"\0" in raw[:4096]:
                raise UserError(f"{self.path} is not a text file.")
            plain = raw.removeprefix(codecs.BOM_UTF8) if first else raw
            first = False
            yield raw, plain if plain.isascii() else self._in_utf8(plain)
            self.line += plain.count(b"\n")

    def _raw_blocks(self) -> Iterator[bytes]:
        """Blocks that end with a complete line (the last one may lack its newline, if the file does)."""
        rest = b""
        with self._open() as stream:
            while True:
                try:
                    # `read1`: what could be unpacked before the damage is not lost with it.
                    block = stream.read1(BLOCK)  # type: ignore[attr-defined]
                except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                    # The line in which a damaged archive ends cannot be trusted: it is the one thing left out.
                    self.truncated = True
                    detail = f"the archive is damaged from this line on ({error}); the lines before it are kept"
                    self.problems.append(LineProblem(self.path, self.line, TRUNCATED, detail))
                    return
                if not block:
                    break
                whole, newline, tail = (rest + block).rpartition(b"\n")
                if newline:
                    yield whole + newline
                rest = tail
        if rest:
            yield rest

    def _open(self) -> BinaryIO:
        if self.path.suffix == ".gz":
            return gzip.open(self.path, "rb")  # type: ignore[return-value]
        return self.path.open("rb")

    def _in_utf8(self, block: bytes) -> bytes:
        """`block`, which is not ASCII, in UTF-8; lines with wrong bytes are noted."""
        if self.encoding == "utf-8":
            try:
                block.decode("utf-8")
                return block
            except UnicodeDecodeError:
                pass
        lines = block.split(b"\n")
        for index, line in enumerate(lines):
            if not line.isascii():
                lines[index] = self._line_in_utf8(line, self.line + index)
        return b"\n".join(lines)

    def _line_in_utf8(self, line: bytes, number: int) -> bytes:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            wrong = line[error.start : error.start + 1]
            if self.encoding == "utf-8":
                detail = f"byte 0x{wrong.hex()} at column {error.start + 1} is not UTF-8; is the file Latin-1?"
                self.problems.append(LineProblem(self.path, number, ENCODING, detail, kept=True))
                return line.decode("utf-8", "replace").encode()
            found = NOT_LATIN.search(line)
            if found:
                detail = f"byte 0x{found[0].hex()} at column {found.start() + 1} is no Latin-1 character"
                self.problems.append(LineProblem(self.path, number, ENCODING, detail, kept=True))
            return NOT_LATIN.sub(b"\xff\xfd", line).decode("latin-1").replace("\xff\xfd", "\ufffd").encode()
        if self.encoding != "utf-8":
            self.problems.append(
                LineProblem(self.path, number, ENCODING, "this line is UTF-8 in a file that is Latin-1", kept=True)
            )
        return line


def scan_json_lines(path: Path, fields: dict[str, str]) -> pl.LazyFrame:
    """Scan a file of JSON lines that may have broken ones: columns `line` (Int64, 1 is the first), one String column
    per entry of `fields` (name -> JSON path; null where missing, lists and objects as JSON), and `problem` (String,
    `BROKEN_JSON` where the line is no JSON object, else null). Blank lines are left out.

    Memory is bounded: the file is streamed.
    """
    text = pl.col("text")
    whole = text.str.json_path_match("$")
    return (
        pl.scan_lines(path, name="text", row_index_name="line", row_index_offset=1)
        .filter(text.str.strip_chars() != "")
        .select(
            pl.col("line").cast(pl.Int64),
            *[text.str.json_path_match(json_path).alias(name) for name, json_path in fields.items()],
            pl.when(whole.is_null() | ~text.str.strip_chars_start().str.starts_with("{"))
            .then(pl.lit(BROKEN_JSON))
            .alias("problem"),
        )
    )


def too_many_fields(path: Path, separator: str) -> pl.Series:
    """The lines (Int64) of a CSV file with more fields than its header: a separator in a value that lacks quotes.

    Empty where some quoted value spans lines, because a line is no row then. Memory is bounded.
    """
    bare = pl.col("text").str.replace_all(r'"[^"]*"', "")
    lines = pl.scan_lines(path, name="text", row_index_name="line", row_index_offset=1).select(
        pl.col("line").cast(pl.Int64),
        bare.str.count_matches(separator, literal=True).alias("separators"),
        bare.str.contains('"', literal=True).alias("open"),
    )
    expected = lines.head(1).collect()["separators"]
    if len(expected) == 0:
        return pl.Series("line", [], pl.Int64)
    odd = lines.filter((pl.col("separators") > expected[0]) | pl.col("open")).collect(engine="streaming")
    return odd["line"] if not odd["open"].any() else odd["line"].clear()
