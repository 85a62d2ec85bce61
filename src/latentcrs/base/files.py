"""Files and folders that are either whole or absent: written beside their name, then renamed into place."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from latentcrs.base.errors import UserError


def cache_folder() -> Path:
    """Where caches live: `LATENTCRS_CACHE`, else the platform's own cache folder."""
    return Path(os.environ.get("LATENTCRS_CACHE") or platformdirs.user_cache_dir("latentcrs"))


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path: on success it is flushed and renamed to `path`, on any exception (Ctrl-C too) gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: several writers choose their format by it.
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.partial{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, marker: str) -> Iterator[Path]:
    """Yield an empty folder beside `path`; on success it takes the name `path`, on any exception it is removed.

    `marker`: a file that folders of this kind hold. A folder at `path` is replaced only when it holds it or is empty.

    Raises:
        UserError: `path` is a file, or a folder that holds something else.
    """
    path = path if path.name else path.resolve()  # "." has no name beside which something could be
    refuse_foreign_folder(path, marker)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    temporary.mkdir()
    try:
        yield temporary
        replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(source: Path, target: Path) -> None:
    """Rename the folder `source` to `target`; an older `target` is removed last, or put back on any exception."""
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
    try:
        if target.exists():
            target.rename(old)
        source.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def refuse_foreign_folder(path: Path, marker: str) -> None:
    """Raise `UserError` when something stands at `path` that is not a folder of ours (no `marker`) and not empty."""
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError(f"{path} is a file; --out wants a folder.")
    if not (path / marker).exists() and any(path.iterdir()):
        raise UserError(f"{path} holds other files (no {marker}); choose a new folder or an empty one.")


def refuse_other_format(manifest: Path, about: object, reads: int) -> None:
    """Raise `UserError` where `about`, the JSON in `manifest`, has another `format` than the one that is read here.

    It says with which command the folder was made, where that is written there.
    """
    if not isinstance(about, dict) or (found := about.get("format", reads)) == reads:
        return
    older = isinstance(found, int) and found < reads
    command = about.get("command")
    how = f" with '{command}'" if isinstance(command, str) and command else ""
    raise UserError(
        f"{manifest} has format {found}, and this LatentCRS reads {reads}: "
        + (f"make it anew{how}." if older else f"upgrade LatentCRS, or make it anew{how}.")
    )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
