"""The bulk benchmark: the best items of many users, ours beside `implicit`'s `recommend` on the same factors."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.bench.machine import hardware
from latentcrs.data import Histories
from latentcrs.recommend.best import best_items
from latentcrs.recommend.bundle import load_bundle
from latentcrs.recommend.users import trained_dataset
from latentcrs_lab.bench.alternating import Comparison, compare, timed

PEER = "implicit's recommend"
CATALOGUES = (10_000, 100_000, 1_000_000)
SCORES = 1 << 28
"""Users times items of one timed run: seconds."""
PAST = 60  # items of a made-up history, on average


@dataclass(frozen=True, kw_only=True)
class Catalogue(Comparison):
    """One catalogue: users a second of both, and the share of ranks on which both name the same item."""

    data: str
    items: int
    users: int
    same: float


@dataclass(frozen=True)
class BulkBenchmark:
    """All catalogues, and the behaviour encoder's own speed on the bundle's users (users a second)."""

    k: int
    width: int
    encoded_per_second: float
    catalogues: list[Catalogue]
    hardware: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        return asdict(self)


def bench_bulk(
    bundle: str | Path, k: int = 20, users: int = 10_000, items: Sequence[int] = CATALOGUES, repeats: int = 5
) -> BulkBenchmark:
    """Rank for at most `users` users of a bundle's data set, and for made-up factors of the catalogues `items`.

    Both sides have the same user and item factors, leave out the same histories, and use as many threads as PyTorch.

    Raises:
        UserError: no bundle there, its data set is gone, or `implicit` is not installed.
    """
    model = load_bundle(bundle, "cpu")
    dataset = trained_dataset(model.info)
    some = np.arange(min(users, dataset.info.users))
    past, V = dataset.histories(some, dataset.lengths[some]), model.generative.V
    S: list[Tensor] = []
    encoding = timed(lambda: S.append(model.behaviour.encode_tensor(past)))
    found = []
    with step("catalogues", 1 + len(items)) as bar:
        found.append(_catalogue(dataset.info.name, S[0], V, past, k, repeats))
        bar.advance()
        for number in items:
            found.append(
                _catalogue("made up", *_made_up(number, min(users, SCORES // number), V.shape[1]), k, repeats)
            )
            bar.advance()
    return BulkBenchmark(k, V.shape[1], len(some) / encoding.seconds, found, hardware("cpu"))


def _catalogue(data: str, S: Tensor, V: Tensor, past: Histories, k: int, repeats: int) -> Catalogue:
    """Both sides on one catalogue."""
    theirs = _peer(S, V, past, k)
    took = compare(lambda: best_items(S, V, k, past), theirs, repeats, len(S))
    same = float((best_items(S, V, k, past)[0] == theirs()).mean())
    return Catalogue(data=data, items=len(V), users=len(S), same=same, **asdict(took))


def _peer(S: Tensor, V: Tensor, past: Histories, k: int) -> Callable[[], NDArray[np.int32]]:
    """`implicit`'s batched recommendation with these factors: the items (B, k)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.getLogger("implicit").setLevel(logging.ERROR)
            from implicit.cpu.als import AlternatingLeastSquares
    except ImportError:
        raise UserError("'bench bulk' compares with implicit: pip install 'latentcrs[dev]'.") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its advice on BLAS threads: both sides have the same
        peer = AlternatingLeastSquares(factors=V.shape[1], num_threads=torch.get_num_threads())
    peer.user_factors, peer.item_factors = S.numpy(), V.detach().numpy()
    users, items = past.pairs()
    chosen = scipy.sparse.csr_matrix((np.ones(len(items), np.float32), (users, items)), (len(S), len(V)))
    numbers = np.arange(len(S))
    return lambda: peer.recommend(numbers, chosen, N=k, filter_already_liked_items=True)[0]


def _made_up(items: int, users: int, width: int) -> tuple[Tensor, Tensor, Histories]:
    """Factors and histories drawn at random."""
    draw = torch.Generator().manual_seed(0)
    S, V = (torch.randn(count, width, generator=draw) for count in (users, items))
    lengths = np.random.default_rng(0).poisson(PAST, users)
    chosen = np.random.default_rng(1).integers(0, items, lengths.sum(), np.int32)
    return S, V, Histories(chosen, np.cumsum(lengths) - lengths, lengths)
