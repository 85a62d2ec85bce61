"""Item vectors from who chose what, without any training: where the item table of an encoder may begin."""

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from latentcrs.base.errors import UserError
from latentcrs.data.histories import Histories


def spectral_vectors(sequences: Histories, items: int, width: int, seed: int = 0) -> Tensor:
    """Items as vectors (items, width), float32, mean square 1: near one another where the same people chose them.

    The right singular vectors, each times the root of its singular value, of the matrix of users and items divided
    by the roots of both sides' counts (Dhillon, "Co-clustering documents and words using bipartite spectral graph
    partitioning", KDD 2001), without the first, which is popularity. An item that nobody chose is 0.

    Raises:
        UserError: fewer users or items than the width needs.
    """
    from scipy.sparse.linalg import svds  # late: training alone needs it, and every start would pay

    users, chosen = sequences.pairs()
    if min(len(sequences), items) < width + 2:
        raise UserError(
            f"behaviour.network.first_vectors=svd wants more than {width + 1} users and items, one more than the "
            f"width; there are {len(sequences):,} users and {items:,} items."
        )
    matrix = sp.csr_matrix((np.ones(len(chosen), np.float32), (users, chosen)), (len(sequences), items))
    by_user, by_item = (1 / np.sqrt(np.maximum(np.asarray(matrix.sum(axis)).ravel(), 1)) for axis in (1, 0))
    matrix = sp.diags(by_user) @ matrix @ sp.diags(by_item)
    begin = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    _, values, vectors = svds(matrix, width + 1, v0=begin.astype(np.float32))
    order = np.argsort(-values)[1:]
    found = vectors[order].T * np.sqrt(values[order])
    # The sign of a singular vector is arbitrary: its largest number is made positive, on every machine.
    found = found * np.sign(found[np.abs(found).argmax(0), np.arange(width)])
    return torch.from_numpy((found / np.sqrt(np.mean(found**2))).astype(np.float32))
