"""The best items of many users at once, at the speed of the matrix product."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.base.device import fast_exact_products
from latentcrs.data.histories import Histories

USERS_AT_ONCE = {"cpu": 256, "mps": 2048, "cuda": 4096}
ITEMS_AT_ONCE = {"cpu": 16_384, "mps": 32_768, "cuda": 65_536}
"""A tile of scores: large enough for the product, small enough for the processor's caches (16 MB on a CPU)."""
GROUPS = 16


@torch.inference_mode()
def best_items(
    S: Tensor, V: Tensor, k: int, without: Histories
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """The k items of each user with the highest inner products, best first, never one of the user's history.

    S (B, d), V (n, d), on one device; `without` holds B histories. Returns the items (B, k), their scores (B, k) and
    how many of them count, (B,): fewer than k where fewer items are left. Memory is one tile of scores.
    """
    rows = USERS_AT_ONCE[S.device.type]
    k = min(k, len(V))
    items, scores = np.empty((len(S), k), np.int64), np.empty((len(S), k), np.float32)
    room = torch.empty(min(rows, len(S)) * min(ITEMS_AT_ONCE[S.device.type], len(V)), device=S.device)
    with fast_exact_products(S.device):
        for start in range(0, len(S), rows):
            part = slice(start, min(start + rows, len(S)))
            found, values = _best(S[part], V, k, without[part], room)
            items[part], scores[part] = found.cpu().numpy(), values.cpu().numpy()
    return items, scores, np.isfinite(scores).sum(1)


def _best(S: Tensor, V: Tensor, k: int, without: Histories, room: Tensor) -> tuple[Tensor, Tensor]:
    """`best_items` of few users: the best of each tile of items, and the best of those. Left out: minus infinity.
    room: where a tile of scores is kept, used again and again (new memory costs more than the product).
    """
    width = ITEMS_AT_ONCE[S.device.type]
    users, gone = without.pairs()
    tile_of = gone // width
    if len(V) > width:
        order = np.argsort(tile_of.astype(np.uint16) if len(V) < width << 16 else tile_of, kind="stable")
        users, gone, tile_of = users[order], gone[order], tile_of[order]
    found, values = [], []
    for tile, start in enumerate(range(0, len(V), width)):
        part = V[start : start + width]
        scores = torch.mm(S, part.T, out=room[: len(S) * len(part)].view(len(S), len(part)))  # (B, width)
        pairs = slice(*np.searchsorted(tile_of, [tile, tile + 1]))
        flat = users[pairs] * len(part) + gone[pairs] - start
        scores.view(-1).index_fill_(0, torch.from_numpy(flat).to(S.device), -torch.inf)
        best, places = top_of_rows(scores, min(k, len(part)))
        found.append(places + start)
        values.append(best)
    if len(found) == 1:
        return found[0], values[0]
    best, places = torch.cat(values, 1).topk(k, 1)
    return torch.cat(found, 1).gather(1, places), best


def top_of_rows(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k highest of each row (B, n) and where they are, as `Tensor.topk`, and on a CPU up to four times as fast.

    The highest k of a row are in the k groups with the highest maxima, and a maximum takes no sorting. Group j holds
    the columns j, j + w, j + 2w, …, so that maxima are taken along memory.
    """
    n = scores.shape[1]
    w = n // GROUPS
    if scores.device.type != "cpu" or w < 8 * k:
        best = scores.topk(k, 1)
        return best.values, best.indices
    whole = w * GROUPS
    groups = scores[:, :whole].view(len(scores), GROUPS, w).amax(1).topk(k, 1, sorted=False).indices  # (B, k)
    columns = (groups[:, None, :] + torch.arange(0, whole, w)[None, :, None]).flatten(1)  # (B, GROUPS * k)
    columns = torch.cat([columns, torch.arange(whole, n).expand(len(scores), -1)], 1)
    best = scores.gather(1, columns).topk(k, 1)
    return best.values, columns.gather(1, best.indices)
