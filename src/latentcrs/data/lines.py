"""Text files made readable: truncated archives and wrong bytes are found by line, the rest is kept."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.data.archives import DAMAGED, open_unpacked, packing
from latentcrs.data.charset import WESTERN, narrow_encoding, wide_encoding

BLOCK = 1 << 20
SAMPLE = 1 << 16
# Bytes that ISO 8859-1 gives to no character: a file that has them is something else.
NOT_LATIN = re.compile(rb"[\x80-\x9f]")
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
    `notes` say how it was read where that had to be found out.
    """

    path: Path
    original: Path
    problems: list[LineProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def readable(path: Path, workspace: Path, encoding: str | None = "utf-8") -> TextFile:
    """Read `path` (plain or compressed) once, block by block, and return a file that can be scanned.

    An archive that ends too early is kept up to its last complete line. Bytes that are invalid in `encoding` become
    U+FFFD, except that a line of a file in another encoding which is UTF-8 is read as UTF-8. Each such line is a
    problem; the row is kept. A byte order mark is left out.

    Args:
        workspace: a folder for the repaired copy, which only a file that needs one gets.
        encoding: what the file claims to be, "utf-8" or any other; None finds out, and reads a few wrong lines of a
            file in UTF-8 as Windows' Western encoding.

    Raises:
        UserError: the file cannot be opened, or is not text.
    """
    repaired = workspace / (path.name + ".readable")
    try:
        packed = packing(path)
        reader = _Reader(path, "utf-8" if encoding is None else codecs.lookup(encoding).name, packed)
        if encoding is None:
            reader.find_out()
        elif reader.encoding.startswith(("utf-16", "utf-32")):
            reader.wide, reader.encoding = reader.encoding, "utf-8"
        # Most files are fine and can be many gigabytes: a first pass writes nothing. What is packed as gzip can be
        # scanned as it is.
        fine = packed in (None, "gzip")
        for raw, text in reader.blocks():
            fine = fine and text == raw
            if not fine and encoding is not None:
                break
        if fine and not reader.truncated:
            return TextFile(path, path, reader.problems, reader.notes)
        reader = reader.again()
        workspace.mkdir(parents=True, exist_ok=True)
        with repaired.open("wb") as copy:
            for _, text in reader.blocks():
                copy.write(text)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    return TextFile(repaired, path, reader.problems, reader.notes)


class _Reader:
    """Reads a file in blocks of whole lines, beside what each block is in UTF-8."""

    def __init__(self, path: Path, encoding: str, packed: str | None) -> None:
        self.path, self.encoding, self.packed = path, encoding, packed
        self.problems: list[LineProblem] = []
        self.notes: list[str] = [] if packed is None else [f"{path.name}: unpacked ({packed})"]
        self.truncated = False
        self.line = 1  # the number of the next block's first line
        self.guesses = False  # whether the encoding was to be found out
        self.wide: str | None = None  # UTF-16 or UTF-32
        self.returns = False  # whether lines end in a carriage return alone
        self.utf8_lines = self.other_lines = 0  # that are not ASCII
        self.sample = bytearray()  # of lines that are not UTF-8
        self.first_other: tuple[int, int, bytes] | None = None  # line, column and byte of the first that is not

    def find_out(self) -> None:
        """Look at the first bytes for what they tell."""
        self.guesses = True
        with open_unpacked(self.path) as stream:
            try:
                head = stream.read(4096)
            except DAMAGED:
                head = b""
        self.wide = wide_encoding(head)
        if self.wide:
            self.notes.append(f"{self.path.name}: read as {self.wide.upper()}")
            head = head.decode(self.wide, "replace").encode()
        if b"\r" in head and b"\n" not in head:
            self.returns = True
            self.notes.append(f"{self.path.name}: lines end in a carriage return")

    def again(self) -> _Reader:
        """A reader of the same file that knows what this one found out."""
        other = _Reader(self.path, self.encoding, self.packed)
        other.wide, other.returns, other.notes, other.guesses = self.wide, self.returns, self.notes, self.guesses
        if self.guesses and self.other_lines > self.utf8_lines and self.first_other:
            other.encoding = narrow_encoding(bytes(self.sample))
            line, column, wrong = self.first_other
            lines = "1 line has" if self.other_lines == 1 else f"{self.other_lines:,} lines have"
            detail = (
                f"byte 0x{wrong.hex()} at column {column} is not UTF-8: the file is read as {other.encoding} "
                f'({lines} such bytes); if that is wrong, say encoding = "..." in a mapping'
            )
            other.problems.append(LineProblem(self.path, line, ENCODING, detail, kept=True))
            other.guesses = False
        return other

    def blocks(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (bytes as they are, the same lines in UTF-8)."""
        first = True
        for raw in self._raw_blocks():
            if first and b"\0" in raw[:4096]:
                raise UserError(f"{self.path} is not a text file.")
            plain = raw.removeprefix(codecs.BOM_UTF8) if first else raw
            first = False
            yield b"" if self.wide or self.returns else raw, plain if plain.isascii() else self._in_utf8(plain)
            self.line += plain.count(b"\n")

    def _raw_blocks(self) -> Iterator[bytes]:
        """Blocks that end with a complete line (the last one may lack its newline, if the file does)."""
        rest = b""
        decoder = codecs.getincrementaldecoder(self.wide)("replace") if self.wide else None
        with open_unpacked(self.path) as stream:
            while True:
                try:
                    # `read1`: what could be unpacked before the damage is not lost with it.
                    block = stream.read1(BLOCK)  # type: ignore[attr-defined]
                except DAMAGED as error:
                    if self.packed is None:
                        raise
                    # The line in which a damaged archive ends cannot be trusted: it is the one thing left out.
                    self.truncated = True
                    detail = f"the archive is damaged from this line on ({error}); the lines before it are kept"
                    self.problems.append(LineProblem(self.path, self.line, f"truncated {self.packed}", detail))
                    return
                ended = not block
                if decoder is not None:
                    block = decoder.decode(block, final=ended).encode()
                if self.returns:
                    block = block.replace(b"\r", b"\n")
                whole, newline, tail = (rest + block).rpartition(b"\n")
                if newline:
                    yield whole + newline
                rest = tail
                if ended:
                    break
        if rest:
            yield rest

    def _in_utf8(self, block: bytes) -> bytes:
        """`block`, which is not ASCII, in UTF-8; lines with wrong bytes are noted."""
        if self.encoding == "utf-8":
            try:
                block.decode("utf-8")
                self.utf8_lines += self.guesses  # enough to tell that some lines are
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
                return self._line_not_utf8(line, number, error.start + 1, wrong)
            found = NOT_LATIN.search(line) if self.encoding == "iso8859-1" else None
            try:
                text = line.decode(self.encoding)
            except UnicodeDecodeError as unread:
                text = line.decode(self.encoding, "replace")
                what = (line[unread.start : unread.start + 1], unread.start + 1)
            else:
                if found is None:
                    return text.encode()
                what = (found[0], found.start() + 1)
                text = NOT_LATIN.sub(b"\xff\xfd", line).decode("latin-1").replace("\xff\xfd", "\ufffd")
            named = "Latin-1" if self.encoding == "iso8859-1" else self.encoding
            detail = f"byte 0x{what[0].hex()} at column {what[1]} is no {named} character"
            self.problems.append(LineProblem(self.path, number, ENCODING, detail, kept=True))
            return text.encode()
        self.utf8_lines += 1
        if self.encoding != "utf-8":
            named = "Latin-1" if self.encoding == "iso8859-1" else self.encoding
            detail = f"this line is UTF-8 in a file that is {named}"
            self.problems.append(LineProblem(self.path, number, ENCODING, detail, kept=True))
        return line

    def _line_not_utf8(self, line: bytes, number: int, column: int, wrong: bytes) -> bytes:
        """A line that should be UTF-8 and is not: made so, and noted."""
        self.other_lines += 1
        self.first_other = self.first_other or (number, column, wrong)
        if len(self.sample) < SAMPLE:
            self.sample += line + b"\n"
        detail = f"byte 0x{wrong.hex()} at column {column} is not UTF-8"
        if not self.guesses:
            self.problems.append(
                LineProblem(self.path, number, ENCODING, f"{detail}; is the file Latin-1?", kept=True)
            )
            return line.decode("utf-8", "replace").encode()
        detail += f"; this line is read as {WESTERN}"
        self.problems.append(LineProblem(self.path, number, ENCODING, detail, kept=True))
        return line.decode(WESTERN, "replace").encode()


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
