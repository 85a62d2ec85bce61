"""The retrieval benchmark: the top 100 of a large catalogue, beside plain NumPy in the same run."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.bench.machine import hardware
from latentcrs.recommend import load
from latentcrs.recommend.index import ItemIndex, Kind, lists_path
from latentcrs.recommend.users import trained_dataset
from latentcrs.text.lexical import Lexical

K = 100
QUERIES = 50
"""Other people's queries, by turns: no list stays warm in the cache for being asked for again."""
REPEATS = 15
SHARES = (0.001, 0.01, 0.1, 0.6)
"""What the rules let pass, drawn by chance."""
CLUSTERS = 1000
NOISE = 0.5
"""Made-up items: standard deviation around their cluster's centre, whose own is 1."""
TILE_NOISE = 0.3
"""Copies of a bundle's items: standard deviation of the noise, in that of each column."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Search:
    """One kind of search: medians in milliseconds, ours and the peer's, taken by turns, and what of the true top is
    found. `share`: of the items that pass, None without rules. processor: ours, without waiting for others' work.
    lexical: with BM25 of the request added to every score, reckoned on both sides.
    """

    kind: Kind
    share: float | None
    milliseconds: float
    processor_milliseconds: float
    numpy_milliseconds: float
    recall: float
    lexical: bool = False

    @property
    def ratio(self) -> float:
        """Ours to NumPy's: below 1 is faster."""
        return self.milliseconds / self.numpy_milliseconds


@dataclass
class RetrieveBenchmark:
    """All searches of one catalogue. sizes: MiB on disk; vectors_mib: what NumPy keeps. built: seconds."""

    items: int
    width: int
    vectors: str
    hardware: dict[str, Any]
    busy: float
    vectors_mib: float
    sizes: dict[Kind, float] = field(default_factory=dict)
    built: dict[Kind, float] = field(default_factory=dict)
    searches: list[Search] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        return {
            **asdict(self),
            "k": K,
            "threads": 1,
            "searches": [{**asdict(search), "ratio": search.ratio} for search in self.searches],
        }


def bench_retrieve(items: int, width: int = 64, bundle: Path | None = None, words: bool = False) -> RetrieveBenchmark:
    """Build an exact index and one with lists in a temporary folder, and search both, one thread.

    Vectors are made up, in clusters; with a bundle they are copies of its behaviour vectors, with `words` of those
    that requests are compared with, each with noise, and queries are those of real people. With `words` the exact
    index is searched once more with the lexical term, over copies of the items' texts.

    Raises:
        UserError: fewer than 1000 items, or no such bundle, or the data set that it was trained on is gone.
    """
    if items < 10 * K:
        raise UserError(f"--items must be at least {10 * K}, not {items}.")
    words_of: Words | None = None
    if bundle is None:
        vectors, queries, said = clustered(items, width)
    else:
        vectors, queries, said, words_of = tiled(items, bundle, words)
    found = RetrieveBenchmark(
        items, vectors.shape[1], said, hardware("cpu"), os.getloadavg()[0], vectors.nbytes / 2**20
    )
    with (
        tempfile.TemporaryDirectory(prefix="latentcrs-bench-") as folder,
        step("searches", (2 + bool(words_of)) * 5) as bar,
    ):
        kinds: tuple[Kind, ...] = ("half", "lists")
        for kind in kinds:
            path = Path(folder) / f"{kind}.faiss"
            began = time.perf_counter()
            ItemIndex.build(vectors, kind).save(path)
            found.built[kind] = time.perf_counter() - began
            found.sizes[kind] = sum(
                part.stat().st_size / 2**20 for part in (path, lists_path(path)) if part.is_file()
            )
            index, rng = ItemIndex.load(path), np.random.default_rng(1)
            with one_thread():
                for share in (None, *SHARES):
                    passing = None if share is None else rng.random(items) < share
                    for lexical in (None, words_of) if kind == "half" and words_of else (None,):
                        found.searches.append(compared(index, vectors, queries, passing, share, lexical))
                        bar.advance()
    return found


@dataclass(frozen=True)
class Words:
    """BM25 of all items, and the text of each query."""

    lexical: Lexical
    texts: list[str]

    def bonus(self, query: int) -> Floats:
        """(n,): what the words of a query add to every score."""
        counts = self.lexical.counts([self.texts[query]])
        return np.asarray(self.lexical.matches(counts).toarray()[0], np.float32)


def compared(
    index: ItemIndex,
    vectors: Floats,
    queries: Floats,
    passing: NDArray[np.bool_] | None,
    share: float | None,
    words: Words | None = None,
) -> Search:
    """The index and NumPy by turns, `REPEATS` queries each after one that is not counted; recall of all queries."""

    def bonus(query: int) -> Floats | None:
        return None if words is None else words.bonus(query)

    searches: list[Callable[[int], tuple[NDArray[np.int64], Floats]]] = [
        lambda q: index.top(queries[q], K, passing, bonus(q)),
        lambda q: plain(vectors, queries[q], passing, bonus(q)),
    ]
    took = np.empty((REPEATS + 1, 2, 2))  # repeat, ours and NumPy's, wall clock and processor
    for repeat in range(REPEATS + 1):
        for which, search in enumerate(searches):
            took[repeat, which] = timed(search, repeat % len(queries))
    (ours, processor), (theirs, _) = np.median(took[1:], 0) * 1000
    recalls = []
    for query in range(len(queries)):
        found, truth = (search(query)[0] for search in searches)
        recalls.append(len(np.intersect1d(truth, found)) / len(truth))
    return Search(
        index.kind, share, float(ours), float(processor), float(theirs), float(np.mean(recalls)), words is not None
    )


def plain(
    vectors: Floats, query: Floats, passing: NDArray[np.bool_] | None, bonus: Floats | None = None
) -> tuple[NDArray[np.int64], Floats]:
    """The peer: the matrix product, a boolean mask, argpartition."""
    candidates = None if passing is None else np.flatnonzero(passing)
    scores = vectors @ query if bonus is None else vectors @ query + bonus
    if passing is not None and candidates is not None:
        scores = scores[passing]
    top = np.argpartition(scores, len(scores) - min(K, len(scores)))[-K:]
    top = top[np.argsort(-scores[top])]
    return (top if candidates is None else candidates[top]), scores[top]


def timed(search: Callable[[int], object], query: int) -> tuple[float, float]:
    """Seconds of one search, by the clock and of this thread's processor time."""
    began, worked = time.perf_counter(), time.thread_time()
    search(query)
    return time.perf_counter() - began, time.thread_time() - worked


@contextmanager
def one_thread() -> Iterator[None]:
    """NumPy, FAISS and PyTorch compute on one thread inside."""
    from threadpoolctl import threadpool_limits  # late: scikit-learn's, and only benchmarks need it

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def clustered(items: int, width: int) -> tuple[Floats, Floats, str]:
    """Items around `CLUSTERS` centres, and queries near items."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLUSTERS, width), np.float32)
    vectors = rng.standard_normal((items, width), np.float32)
    vectors *= NOISE
    vectors += centres[rng.integers(0, CLUSTERS, items)]
    queries = vectors[rng.integers(0, items, QUERIES)] + NOISE * rng.standard_normal((QUERIES, width), np.float32)
    return vectors, queries, f"made up, around {CLUSTERS:,} centres"


def tiled(items: int, bundle: Path, words: bool) -> tuple[Floats, Floats, str, Words | None]:
    """A bundle's vectors, repeated with noise, and the queries of its test split; with `words`, the texts too."""
    recommender = load(bundle, "cpu")
    dataset = trained_dataset(recommender.bundle.info)
    requests = dataset.requests.filter(pl.col("split") == "test")
    requests = requests.sample(min(QUERIES, len(requests)), seed=0)
    histories = dataset.request_histories(requests)
    pasts = [
        histories.items[start : start + length].astype(np.int64)
        for start, length in zip(histories.offsets, histories.lengths, strict=True)
    ]
    texts = requests["text"].to_list()
    asked = recommender.read_many(pasts, texts, recommender.text_encoder.encode(texts) if words else None)
    own = asked[0].index.rows(np.arange(len(recommender.bundle.items)))[:, : len(asked[0].vector)]
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((items, own.shape[1]), np.float32)
    vectors *= TILE_NOISE * own.std(0)
    copied = rng.integers(0, len(own), items)
    vectors += own[copied]
    reader, words_of = recommender.bundle.reader, None
    if words and reader is not None:
        one = reader.lexical
        many = sp.csr_matrix(one.weights.tocsc()[:, copied])
        words_of = Words(Lexical(one.words, many, one.idf, one.average, one.telling), texts)
    what = "item" if words else "behaviour"
    said = f"{what} vectors of {bundle.name} ({len(own):,}), each repeated with noise; queries of its test split"
    return vectors, np.stack([query.vector for query in asked]), said, words_of
