"""K-means by FAISS: the intents' centroids (Eq. 3 of LatentCRS)."""

import faiss
import numpy as np
import torch
from torch import Tensor


def kmeans(vectors: Tensor, clusters: int, seed: int, rounds: int = 25) -> Tensor:
    """Centroids (clusters, d) of `vectors` (N, d), deterministic under `seed`; N must be at least `clusters`."""
    points = np.ascontiguousarray(vectors.detach().float().cpu().numpy())
    model = faiss.Kmeans(points.shape[1], clusters, niter=rounds, seed=seed, min_points_per_centroid=1)
    model.train(points)
    return torch.from_numpy(model.centroids).to(vectors.device)


def nearest(vectors: Tensor, centroids: Tensor) -> Tensor:
    """Index of the nearest centroid of each row: (N, d), (K, d) -> (N,)."""
    return torch.cdist(vectors, centroids).argmin(1)
