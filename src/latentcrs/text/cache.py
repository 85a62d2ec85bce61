"""Embeddings kept on disk: a text is encoded once per encoder, whichever command or process asks for it."""

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.base.files import cache_folder
from latentcrs.base.progress import step
from latentcrs.base.sqlite_files import enter_wal
from latentcrs.text.encoders import TextEncoder

# float16 halves the disk; its rounding (relative 5e-4) moves a cosine by about 1e-7, less than bfloat16 weights do.
# What was just encoded is rounded too, so a result does not depend on what was cached before.
STORED = np.dtype("<f2")
SECONDS_PER_COMMIT = 3.0
FIRST_CHUNK = 256
BUSY_SECONDS = 60.0
PLACES = "SELECT place FROM wanted CROSS JOIN embedding USING (hash) ORDER BY place"
VECTORS = "SELECT place, vector FROM wanted CROSS JOIN embedding USING (hash) ORDER BY place"


def cache_path(encoder_id: str, folder: Path | None = None) -> Path:
    """The file that keeps an encoder's vectors, by default in `embeddings` in the platform's cache folder."""
    return (folder or cache_folder() / "embeddings") / f"{encoder_id}.sqlite"


class EmbeddingCache:
    """One SQLite file of (SHA-256 of the text, vector) for one encoder, in `folder`. Safe for several processes.

    Raises:
        UserError: the file cannot be written, or is no such cache.
    """

    def __init__(self, encoder_id: str, folder: Path | None = None) -> None:
        self.path = cache_path(encoder_id, folder)
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Autocommit: transactions are opened where they are wanted, below.
            self._db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            enter_wal(self._db)
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA temp_store = MEMORY")
            self._db.execute("PRAGMA mmap_size = 1073741824")
            self._db.execute("CREATE TABLE IF NOT EXISTS embedding (hash BLOB PRIMARY KEY, vector BLOB NOT NULL)")
            self._db.execute("CREATE TEMP TABLE wanted (hash BLOB, place INTEGER)")

    def close(self) -> None:
        self._db.close()

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM embedding").fetchone()[0])

    def places(self, hashes: Sequence[bytes]) -> NDArray[np.int64]:
        """Which of `hashes` are stored, as places in it, (found,). No vector is read."""
        return np.array([place for (place,) in self._joined(PLACES, hashes)], np.int64)

    def lookup(self, hashes: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        """Which of `hashes` are stored, as places in it (found,), and their vectors (found, width); None for none."""
        rows = self._joined(VECTORS, hashes)
        places = np.array([place for place, _ in rows], np.int64)
        if not rows:
            return places, None
        numbers = np.frombuffer(b"".join(vector for _, vector in rows), STORED)
        return places, numbers.reshape(len(rows), -1).astype(np.float32)

    def _joined(self, select: str, hashes: Sequence[bytes]) -> list[Any]:
        """What `select` finds while `hashes` are in the table of those that are wanted."""
        with self._explained(), self._transaction("DEFERRED"):
            self._db.executemany("INSERT INTO wanted VALUES (?, ?)", zip(hashes, range(len(hashes)), strict=True))
            rows = self._db.execute(select).fetchall()
            self._db.execute("DELETE FROM wanted")
        return rows

    def store(self, hashes: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Add `vectors` (len(hashes), width) in one transaction. A hash that is there already keeps its vector."""
        rows = zip(hashes, (row.tobytes() for row in vectors.astype(STORED)), strict=True)
        with self._explained(), self._transaction("IMMEDIATE"):
            self._db.executemany("INSERT OR IGNORE INTO embedding VALUES (?, ?)", rows)

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        self._db.execute(f"BEGIN {kind}")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            raise UserError(
                f"The embedding cache {self.path} cannot be used ({error}); free or repair it, delete it (it is only "
                "a cache), or set LATENTCRS_CACHE to another folder."
            ) from error


def text_hash(text: str) -> bytes:
    """SHA-256 of a text's UTF-8 bytes, by which it is found again."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def embed(
    texts: Sequence[str], encoder: TextEncoder, cache: Path | None = None, name: str | None = "embedding"
) -> NDArray[np.float32]:
    """The vectors of `texts` under `encoder`: (len(texts), width) float32, in order, equal texts with equal vectors.

    Only texts never seen by this encoder are encoded, each once, with a progress bar called `name` (None: without
    one). What is encoded is committed every few seconds, so a run that is stopped goes on where it was. When all is
    cached, no model loads.
    Everything passed here stays on disk: what a person says in a chat is encoded with `encoder.encode` instead.

    Args:
        cache: the folder of the caches; `embeddings` in the platform's cache folder by default.

    Raises:
        UserError: the cache cannot be used, or the model cannot be loaded.
    """
    first_row: dict[str, int] = {}
    inverse = np.fromiter((first_row.setdefault(text, len(first_row)) for text in texts), np.int64, len(texts))
    unique = list(first_row)
    if not unique:
        return np.empty((0, encoder.width), np.float32)
    hashes = [text_hash(text) for text in unique]
    store = EmbeddingCache(encoder.id, cache)
    try:
        found, known = store.lookup(hashes)
        missing = np.setdiff1d(np.arange(len(unique)), found, assume_unique=True)
        if not len(missing) and known is not None:
            return known[inverse]
        vectors = np.empty((len(unique), encoder.width if known is None else known.shape[1]), np.float32)
        if known is not None:
            vectors[found] = known
        for rows, chunk in _encoded_chunks(unique, missing, encoder, name):
            store.store([hashes[row] for row in rows], chunk)
            vectors[rows] = chunk
    finally:
        store.close()
    return vectors[inverse]


def missing_texts(texts: Sequence[str], encoder: TextEncoder, cache: Path | None = None) -> list[str]:
    """Those of `texts` that `embed` would have to encode, each once."""
    unique = list(dict.fromkeys(texts))
    store = EmbeddingCache(encoder.id, cache)
    try:
        found = store.places([text_hash(text) for text in unique])
    finally:
        store.close()
    absent = np.ones(len(unique), bool)
    absent[found] = False
    return [unique[place] for place in np.flatnonzero(absent)]


def as_stored(vectors: NDArray[np.floating], texts: Sequence[str], encoder_id: str) -> NDArray[np.float32]:
    """The vectors of `texts` as they come back from the cache.

    Raises:
        UserError: one of them is not finite.
    """
    rounded = vectors.astype(STORED).astype(np.float32)
    if not np.isfinite(rounded).all():
        worst = texts[int(np.argmin(np.isfinite(rounded).all(axis=1)))]
        raise UserError(f"The encoder {encoder_id} gives no finite vector for the text {worst[:80]!r}.")
    return rounded


def _encoded_chunks(
    texts: list[str], rows: NDArray[np.int64], encoder: TextEncoder, name: str | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Encode the texts at `rows`, a few seconds' worth at a time: their rows and rounded vectors."""
    with step(name, total=len(rows)) as bar:
        start, size = 0, FIRST_CHUNK
        while start < len(rows):
            chunk = rows[start : start + size]
            began = time.monotonic()
            part = [texts[row] for row in chunk]
            rounded = as_stored(encoder.encode(part, progress=bar.advance), part, encoder.id)
            yield chunk, rounded
            start += len(chunk)
            # The first chunk pays for loading the model, so a chunk at most quadruples.
            speed = len(chunk) / max(time.monotonic() - began, 1e-3)
            size = int(np.clip(speed * SECONDS_PER_COMMIT, 64, 4 * size))
