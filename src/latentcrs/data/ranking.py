"""Where a target stands among the whole catalogue, and Recall@K and NDCG@K of that."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.data.histories import Histories

CHUNK_ELEMENTS = 1 << 23  # scores held at once


def both_ranks_of(
    scores: Callable[[slice], Tensor], n: int, targets: NDArray[np.integer], exclude: Histories
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`ranks_in_parts` under both protocols from the same scores: history left out, and left in."""
    ranks = [
        (ranks_of_scores(block := scores(rows), targets[rows]), ranks_of_scores(block, targets[rows], exclude[rows]))
        for rows in _parts(len(targets), n)
    ]
    left_in, left_out = (np.concatenate(found) for found in zip(*ranks, strict=True))
    return left_out, left_in


def target_ranks(
    queries: Tensor, items: Tensor, targets: NDArray[np.integer], exclude: Histories | None = None
) -> NDArray[np.int64]:
    """Rank of each row's target by inner product among all items, 1 is the top; ties count against the target.

    queries (B, w), items (n, w), targets (B,) -> (B,). `exclude` holds the items that leave each row's ranking (its
    history); a target that is itself excluded takes the last rank, n.
    """
    return ranks_in_parts(lambda rows: queries[rows] @ items.T, len(items), targets, exclude)


def ranks_in_parts(
    scores: Callable[[slice], Tensor], n: int, targets: NDArray[np.integer], exclude: Histories | None
) -> NDArray[np.int64]:
    """`target_ranks` of any system: `scores(rows)` are its scores of some rows, (rows, n)."""
    parts = _parts(len(targets), n)
    ranks = [ranks_of_scores(scores(rows), targets[rows], exclude and exclude[rows]) for rows in parts]
    return np.concatenate(ranks) if ranks else np.zeros(0, np.int64)


def _parts(rows: int, n: int) -> list[slice]:
    """Slices of so many rows that their scores of n items may be held at once."""
    size = max(1, CHUNK_ELEMENTS // n)
    return [slice(start, start + size) for start in range(0, rows, size)]


def ranks_of_scores(
    scores: Tensor, targets: NDArray[np.integer], exclude: Histories | None = None
) -> NDArray[np.int64]:
    """As `target_ranks`, from scores (B, n), which are overwritten where `exclude` takes items out."""
    wanted = torch.as_tensor(targets, dtype=torch.int64, device=scores.device)[:, None]
    of_target = scores.gather(1, wanted)
    if exclude is not None:
        left_out, items = exclude.pairs()
        scores[torch.from_numpy(left_out).to(scores.device), torch.from_numpy(items).to(scores.device)] = -torch.inf
    # Not "at least as high" but "not lower": a score that is no number counts against the target too.
    ranks = (~(scores < of_target)).sum(1)  # the target counts itself: rank 1 is the top
    gone = torch.isinf(scores.gather(1, wanted)[:, 0])
    return torch.where(gone, scores.shape[1], ranks).cpu().numpy()


def recall_at(ranks: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Recall@K of each row: 1 where the one target is among the first K, else 0."""
    return (ranks <= k).astype(np.float64)


def ndcg_at(ranks: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """NDCG@K of each row, with one relevant item: 1 / log2(rank + 1) in the first K (Jarvelin & Kekalainen, 2002)."""
    return np.where(ranks <= k, 1 / np.log2(ranks + 1.0), 0.0)
