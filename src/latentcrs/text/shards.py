"""Many texts into the embedding cache, shard by shard, by one encoder or by one on every worker of an engine."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.base.progress import Step, step
from latentcrs.base.spread import Spread, here
from latentcrs.text.cache import STORED, EmbeddingCache, as_stored, missing_texts, text_hash
from latentcrs.text.encoders import TextEncoder

SHARD_CHARACTERS = 1 << 17
"""About 30,000 tokens: seconds on a processor, half a full batch on a GPU."""
SHARD_TEXTS = 4096

Shard = list[str]
OpenEncoder = Callable[[], TextEncoder]


def warm(
    texts: Sequence[str],
    encoder: TextEncoder,
    spread: Spread = here,
    open_there: OpenEncoder | None = None,
    cache: Path | None = None,
    name: str | None = "embedding",
) -> int:
    """Put the vectors of `texts` into the cache of `encoder`, and say how many were not there yet.

    Every shard is committed as it comes, by this process: a run that is stopped goes on where it was, and workers
    need not see the cache. The vectors are those of `latentcrs.text.embed`, up to the rounding of its batches.

    Args:
        spread: who encodes.
        open_there: opens the encoder on a worker; by default `encoder` itself is used, in this process.
        cache: the folder of the caches.
        name: what the progress bar is called.

    Raises:
        UserError: the cache cannot be used, a model cannot be loaded, or a worker has another model by this name.
    """
    missing = missing_texts(texts, encoder, cache)
    store = EmbeddingCache(encoder.id, cache)
    try:
        with step(name if missing else None, total=len(missing)) as bar:
            # In this process the bar hears of every batch; from workers, of every shard.
            open_job = partial(_open_job, open_there, encoder.id) if open_there else partial(_job_here, encoder, bar)
            for shard, vectors in spread(open_job, shards(missing)):
                store.store([text_hash(text) for text in shard], as_stored(vectors, shard, encoder.id))
                if open_there:
                    bar.advance(len(shard))
    finally:
        store.close()
    return len(missing)


def shards(texts: Sequence[str]) -> Iterator[Shard]:
    """`texts` in shards of about equal work and texts of like length, the longest first."""
    lengths = np.array([len(text) for text in texts], np.int64)
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = int(np.clip(SHARD_CHARACTERS // max(1, lengths[order[start]]), 1, SHARD_TEXTS))
        yield [texts[row] for row in order[start : start + size]]
        start += size


def _open_job(open_there: OpenEncoder, wanted: str) -> Callable[[Shard], tuple[Shard, NDArray[np.floating]]]:
    """What a worker does with a shard; vectors travel as they are stored, in half the bytes."""
    encoder = open_there()
    if encoder.id != wanted:
        raise UserError(f"A worker has another model by this name: {encoder.id} there, {wanted} here.")
    return lambda shard: (shard, encoder.encode(shard).astype(STORED))


def _job_here(encoder: TextEncoder, bar: Step) -> Callable[[Shard], tuple[Shard, NDArray[np.floating]]]:
    return lambda shard: (shard, encoder.encode(shard, bar.advance))
