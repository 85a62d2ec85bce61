"""Prepared data sets at URLs: written there whole, copied from and to a folder, checked on the way."""

import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_folder, refuse_foreign_folder, sha256_of
from latentcrs.base.places import fetch_file, file_system, is_url, put_folder, refuse_foreign, told_in_a_sentence
from latentcrs.base.progress import step
from latentcrs.data.dataset import MANIFEST, PreparedDataset


@contextmanager
def placed(out: str, workspace: Path) -> Iterator[Path]:
    """The folder to write a data set into that shall lie at `out`: itself where it is a path, else one in
    `workspace`, which is copied to the URL once the block ends well.

    Raises:
        UserError: something else lies at `out`, or it cannot be reached; before the block where that is known.
    """
    if not is_url(out):
        refuse_foreign_folder(Path(out), MANIFEST)
        yield Path(out)
        return
    system, root = file_system(out)
    with told_in_a_sentence(out):
        refuse_foreign(system, root, out, MANIFEST)
    folder = workspace / "out" / posixpath.basename(root.rstrip("/"))
    yield folder
    with step("Copying the data set"):
        put_folder(folder, out, MANIFEST)


def copy_dataset(source: str, target: str) -> PreparedDataset:
    """Copy the prepared data set at `source` to `target`, each a path or a URL; every file has to match its checksum.

    Raises:
        UserError: there is no data set, a file is not what was written, or something else lies at `target`.
    """
    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace, placed(target, Path(workspace)) as folder:
        # Every later step reads a folder of this machine: what lies at a URL is a copy for others to take.
        with atomic_folder(folder, MANIFEST) as copy, step("Fetching the data set"):
            place = source.rstrip("/")
            fetch_file(f"{place}/{MANIFEST}", copy / MANIFEST)
            dataset = PreparedDataset(copy)
            for name, expected in dataset.info.checksums.items():
                fetch_file(f"{place}/{posixpath.basename(name)}", copy / posixpath.basename(name))
                if sha256_of(copy / posixpath.basename(name)) != expected:
                    raise UserError(f"{place}/{name} has changed since it was written (checksum).")
        dataset.path = folder
    return dataset
