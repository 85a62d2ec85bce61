"""Opens files that may be compressed: by what their first bytes say, whatever they are called."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import pyarrow as pa

from latentcrs.base.errors import UserError

PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
}
REFUSED = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV (UTF-8)",
    b"%PDF": "a PDF; export the table as CSV",
    b"SQLite format 3": "a SQLite database; export the table as CSV or Parquet",
    b"\x80\x04\x95": "a pickle, which is not opened: it could run code; write Parquet instead",
    b"ORC": "an ORC file; write Parquet instead",
    b"Obj\x01": "an Avro file; write Parquet instead",
    b"ARROW1": "an Arrow file; write Parquet instead",
}
ENDINGS = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".lz4", ".zip")
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError)
"""What reading a damaged archive raises."""


def packing(path: Path) -> str | None:
    """How the file at `path` is compressed; None where it is not.

    Raises:
        UserError: it is something that holds no table as text, or cannot be opened.
    """
    with path.open("rb") as stream:
        head = stream.read(512)
    for magic, what in REFUSED.items():
        if head.startswith(magic):
            raise UserError(f"{path} is {what}.")
    if head[257:262] == b"ustar":
        raise UserError(f"{path} is a tar archive of files; unpack it and give the file.")
    return next((name for magic, name in PACKED.items() if head.startswith(magic)), None)


def open_unpacked(path: Path) -> BinaryIO:
    """The bytes of the file at `path`, unpacked where it is compressed.

    Raises:
        UserError: it is no single table; see `packing`.
    """
    kind = packing(path)
    if kind in ("zstd", "lz4"):
        return pa.CompressedInputStream(pa.OSFile(str(path), "rb"), kind)
    opens: dict[str | None, Any] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open, "zip": _only_member}
    stream: BinaryIO = opens.get(kind, Path.open)(path, "rb")
    return stream


def open_text(path: Path) -> TextIO:
    """The text of a file in UTF-8, unpacked where it is compressed, with its ends of lines as they are.

    Raises:
        UserError: it is no single table; see `packing`.
    """
    return io.TextIOWrapper(open_unpacked(path), "utf-8", newline="\n")


def _only_member(path: Path, _: str) -> BinaryIO:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise UserError(f"{path} is a damaged zip archive ({error}).") from None
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if "[Content_Types].xml" in names:
        raise UserError(f"{path} is an Excel workbook or another office file; save the sheet as CSV (UTF-8).")
    names = [name for name in names if not name.startswith("__MACOSX/") and not Path(name).name.startswith(".")]
    if len(names) != 1:
        raise UserError(
            f"{path} holds {len(names)} files ({', '.join(names[:5])}); unpack it and give the one that is meant."
        )
    try:
        return archive.open(names[0])  # type: ignore[return-value]
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be unpacked: {error}.") from None
