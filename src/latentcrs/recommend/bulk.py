"""Every user's best items from behaviour alone, block by block into one Parquet file."""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file, sha256_of
from latentcrs.base.progress import step
from latentcrs.base.spread import Spread, here
from latentcrs.data import Histories, PreparedDataset
from latentcrs.recommend.best import best_items
from latentcrs.recommend.bundle import MANIFEST, load_bundle, read_manifest
from latentcrs.recommend.users import trained_dataset

BLOCK = 4096
"""Users in one block, which is one part of the work and one row group of the file."""
ROWS = 1 << 18  # interactions read at once
SCHEMA = pa.schema([("user_id", pa.string()), ("item_id", pa.list_(pa.string())), ("score", pa.list_(pa.float32()))])
"""One row for each user; the two lists are equally long, best first."""


@dataclass(frozen=True)
class UserBlock:
    """Neighbouring users of a data set, `first` the number of the first, with their whole histories."""

    first: int
    user_ids: pa.Array
    histories: Histories


@dataclass(frozen=True)
class BulkReport:
    """What `recommend_all` did. `resumed`: users that an earlier, stopped run had done."""

    users: int
    resumed: int
    k: int
    seconds: float
    out: Path


def user_blocks(dataset: PreparedDataset, size: int = BLOCK) -> Iterator[UserBlock]:
    """The users of a data set in blocks of at most `size`; memory holds one block, not the log.

    Raises:
        UserError: a file of the data set is missing or has changed.
    """
    log = pq.ParquetFile(dataset.file("interactions.parquet")).iter_batches(ROWS, columns=["user", "item"])
    users, items = np.zeros(0, np.int32), np.zeros(0, np.int32)
    first = 0
    for batch in pq.ParquetFile(dataset.file("users.parquet")).iter_batches(size, columns=["user_id"]):
        end = first + len(batch)
        while not len(users) or users[-1] < end:
            rows = next(log, None)
            if rows is None:
                break
            users = np.concatenate([users, rows.column("user").to_numpy()])
            items = np.concatenate([items, rows.column("item").to_numpy()])
        cut = int(np.searchsorted(users, end))
        lengths = np.bincount(users[:cut] - first, minlength=len(batch))
        yield UserBlock(first, batch.column("user_id"), Histories(items[:cut], np.cumsum(lengths) - lengths, lengths))
        users, items, first = users[cut:], items[cut:], end


def open_ranker(bundle: Path, k: int, device: str = "cpu") -> Callable[[UserBlock], tuple[int, pa.Table]]:
    """Opens a bundle; what comes back ranks one block of users after the other: its number, and rows of `SCHEMA`.

    The ranking is that of `Recommender.recommend` without a request: all items by the inner product with the
    behaviour embedding of the whole history, which itself is left out, but of data whose items come again.

    Raises:
        UserError: no bundle there, or a damaged one.
    """
    model = load_bundle(bundle, device)
    V = model.generative.V
    item_ids = pa.array(model.items["item_id"].to_arrow()).cast(pa.string())
    longest = model.info.config.em.max_history

    def rank(block: UserBlock) -> tuple[int, pa.Table]:
        past = block.histories
        S = model.behaviour.encode_tensor(past if longest is None else past.newest(longest))
        gone = Histories.from_lists([[]] * len(past)) if model.info.dataset.repeats else past
        items, scores, counts = best_items(S, V, k, gone)
        kept = np.arange(items.shape[1]) < counts[:, None]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        lists = (item_ids.take(pa.array(items[kept])), pa.array(scores[kept]))
        columns = [block.user_ids.cast(pa.string()), *(pa.ListArray.from_arrays(offsets, flat) for flat in lists)]
        return block.first, pa.table(columns, schema=SCHEMA)

    return rank


def recommend_all(
    bundle: str | Path,
    out: str | Path,
    k: int = 20,
    dataset: str | Path | None = None,
    device: str = "cpu",
    spread: Spread = here,
    block: int = BLOCK,
) -> BulkReport:
    """Write the best k items of every user of the data set that a bundle was trained on to the Parquet file `out`.

    One row for each user, in the data set's order, columns of `SCHEMA`; the items that a user chose before are not
    among them. Blocks that are done lie beside `out` until the last one is, so a stopped run goes on; `out` is whole.

    Args:
        dataset: where the data set lies now, if it was moved.
        spread: who does the work: this process, or the workers of an engine, which must see the bundle's folder.
        block: users of one block.

    Raises:
        UserError: k below 1, no bundle, its data set is gone or has changed, or `out` is being written already.
    """
    if k < 1:
        raise UserError(f"k must be at least 1, not {k}.")
    bundle, out = Path(bundle).resolve(), Path(out)
    if out.is_dir():
        raise UserError(f"{out} is a folder; --out wants the name of a file.")
    info = read_manifest(bundle)
    prepared = trained_dataset(info, dataset)
    began, users = time.perf_counter(), prepared.info.users
    out.parent.mkdir(parents=True, exist_ok=True)
    parts = out.with_name(f".{out.name}.parts")
    mark = hashlib.sha256(
        f"{sha256_of(bundle / MANIFEST)} {prepared.info.checksums['users.parquet']} {k} {block}".encode()
    ).hexdigest()
    lock = FileLock(out.with_name(f".{out.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{out} is being written by another run.") from None
    try:
        done = _open_parts(parts, mark)
        resumed = 0
        with step("users", users) as bar:

            def waiting() -> Iterator[UserBlock]:
                nonlocal resumed
                for each in user_blocks(prepared, block):
                    if each.first in done:
                        resumed += len(each.user_ids)
                        bar.advance(len(each.user_ids))
                    else:
                        yield each

            for first, table in spread(partial(open_ranker, bundle, k, device), waiting()):
                with atomic_file(_part(parts, first)) as temporary:
                    pq.write_table(table, temporary)
                bar.advance(len(table))
            with atomic_file(out) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
                for first in sorted(_firsts(parts)):
                    writer.write_table(pq.read_table(_part(parts, first)))
        shutil.rmtree(parts)
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
    return BulkReport(users, resumed, k, time.perf_counter() - began, out)


def _open_parts(parts: Path, mark: str) -> set[int]:
    """The blocks that an earlier run has left in the folder `parts`, if it was the same work (`mark`)."""
    stated = parts / "mark"
    if parts.exists() and not (stated.is_file() and stated.read_text("ascii") == mark):
        shutil.rmtree(parts)
    parts.mkdir(exist_ok=True)
    if not stated.is_file():
        with atomic_file(stated) as temporary:
            temporary.write_text(mark, "ascii")
    return set(_firsts(parts))


def _part(parts: Path, first: int) -> Path:
    return parts / f"{first}.parquet"


def _firsts(parts: Path) -> list[int]:
    return [int(path.stem) for path in parts.glob("[0-9]*.parquet")]
