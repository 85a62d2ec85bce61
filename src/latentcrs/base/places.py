"""Places by URL (file, s3, gs and whatever else fsspec knows): folders of Parquet, and files fetched and put."""

import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from latentcrs.base.errors import UserError, first_line

SCHEMES = "file://, s3:// or gs://"


def is_url(place: str | Path) -> bool:
    """Whether `place` is a URL rather than a path."""
    return "://" in str(place)


def file_system(place: str | Path) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a path or URL, and the path within it.

    Raises:
        UserError: a scheme that is not known, or whose package is not installed.
    """
    try:
        system, path = url_to_fs(str(place))
    except ImportError as error:
        raise UserError(f"{place} cannot be opened: {str(error).rstrip('.')}.") from None
    except ValueError:
        raise UserError(f"{place} has a scheme that is not known; use {SCHEMES}.") from None
    return system, path


def local_place(place: str | Path) -> str | Path:
    """`place` as an absolute path where it is on this machine (a path, or a file:// URL); else the URL as it is.

    Raises:
        UserError: see `file_system`.
    """
    if is_url(place):
        system, path = file_system(place)
        return Path(path) if "file" in protocols(system) else str(place).rstrip("/")
    return Path(place).absolute()


def below(place: str | Path, name: str) -> str | Path:
    """The file `name` of the folder at a path or URL."""
    return f"{str(place).rstrip('/')}/{name}" if is_url(place) else Path(place) / name


def is_file(place: str | Path) -> bool:
    """Whether there is a file at a path or URL."""
    system, path = file_system(place)
    with told_in_a_sentence(place):
        return bool(system.isfile(path))


def remove_file(place: str | Path) -> None:
    """Remove the file at a path or URL, if there is one."""
    system, path = file_system(place)
    with told_in_a_sentence(place), suppress(FileNotFoundError):
        system.rm_file(path)


@contextmanager
def told_in_a_sentence(place: str | Path) -> Iterator[None]:
    """Whatever a file system raises (every service has errors of its own) as a `UserError` that names `place`."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{place} does not exist.") from None
    except Exception as error:
        raise UserError(f"{place} cannot be reached ({first_line(error).rstrip('.')}).") from None


def parquet_files(place: str | Path) -> list[str]:
    """The Parquet files of a folder, or the one file, at a path or URL, by name: local paths, or URLs.

    Files and folders whose name begins with "_" or "." are what engines leave beside their parts.

    Raises:
        UserError: there is nothing there, or no Parquet file.
    """
    system, root = file_system(place)
    with told_in_a_sentence(place):
        if system.isfile(root):
            names = [root]
        elif system.exists(root):
            names = sorted(name for name in system.find(root) if is_part(posixpath.relpath(name, root)))
        else:
            raise FileNotFoundError
    if not names or not names[0].lower().endswith(".parquet"):
        raise UserError(f"{place} holds no .parquet files.")
    return [name if "file" in protocols(system) else system.unstrip_protocol(name) for name in names]


def row_counts(files: Sequence[str], columns: Sequence[str]) -> list[int]:
    """How many rows each of some Parquet files has, by its footer; all have to have `columns`, of the same types.

    Raises:
        UserError: a file is not Parquet, or differs from the first in a column.
    """
    counts: list[int] = []
    first: dict[str, pl.DataType] = {}
    for place in files:
        system, path = file_system(place)
        with told_in_a_sentence(place), system.open(path, "rb") as stream:
            try:
                file = pq.ParquetFile(stream)
                kinds = dict(pl.DataFrame(file.schema_arrow.empty_table()).schema)
            except pa.ArrowException as error:
                raise UserError(f"{place} cannot be read as parquet: {first_line(error).rstrip('.')}.") from None
            counts.append(file.metadata.num_rows)
        first = first or kinds
        for name in columns:
            if name not in kinds:
                raise UserError(f"{place} has no column {name!r}, which {files[0]} has.")
            if kinds[name] != first[name]:
                raise UserError(f"{place} has {name!r} as {kinds[name]}, and {files[0]} has it as {first[name]}.")
    return counts


def is_part(name: str) -> bool:
    """Whether a file of a folder, by its path below it, is a part of a table."""
    return name.lower().endswith(".parquet") and not any(piece.startswith(("_", ".")) for piece in name.split("/"))


def protocols(system: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    """The schemes of a file system."""
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)


def fetch_file(place: str | Path, copy: Path) -> None:
    """Copy the file at a path or URL to `copy`.

    Raises:
        UserError: there is no such file, or it cannot be reached.
    """
    system, path = file_system(place)
    copy.parent.mkdir(parents=True, exist_ok=True)
    with told_in_a_sentence(place):
        if not system.isfile(path):
            raise FileNotFoundError
        system.get_file(path, str(copy))


def fetched(place: str | Path, workspace: Path) -> Path:
    """`place` itself where it is a path, else a copy of the file at that URL, in `workspace`.

    Raises:
        UserError: see `fetch_file`.
    """
    if not is_url(place):
        return Path(place)
    copy = workspace / posixpath.basename(str(place))
    fetch_file(place, copy)
    return copy


def put_file(path: Path, place: str | Path) -> None:
    """Copy the file `path` to a URL, replacing what is there: whole or not at all where the store puts objects so.

    Raises:
        UserError: it cannot be reached.
    """
    system, there = file_system(place)
    with told_in_a_sentence(place):
        system.makedirs(posixpath.dirname(there), exist_ok=True)
        system.put_file(str(path), there)


def put_folder(folder: Path, place: str, marker: str) -> None:
    """Copy the files of `folder` to the URL `place`; `marker`, without which a folder is none of ours, goes last.

    Raises:
        UserError: something else is there, or it cannot be reached.
    """
    system, root = file_system(place)
    with told_in_a_sentence(place):
        refuse_foreign(system, root, place, marker)
        system.makedirs(root, exist_ok=True)
        if system.exists(f"{root}/{marker}"):
            system.rm_file(f"{root}/{marker}")
        files = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.name == marker)
        for path in files:
            system.put_file(str(path), f"{root}/{path.name}")


def refuse_foreign(system: fsspec.AbstractFileSystem, root: str, place: str, marker: str) -> None:
    """Raise `UserError` where `place` is a file, or a folder of other things."""
    if not system.exists(root):
        return
    if system.isfile(root):
        raise UserError(f"{place} is a file; --out wants a folder.")
    if system.ls(root, detail=False) and not system.exists(f"{root}/{marker}"):
        raise UserError(f"{place} holds other files (no {marker}); choose a new folder or an empty one.")
