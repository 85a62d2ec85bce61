"""TransE (Bordes et al., NeurIPS 2013) on the graph of users, items and attributes: UNICORN's own pre-training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.base.progress import step
from latentcrs.data.dataset import PreparedDataset
from latentcrs.systems.facets import Facets
from latentcrs_lab.systems.unicorn.embeddings import NodeEmbeddings
from latentcrs_lab.systems.unicorn.pretraining import chosen
from latentcrs_lab.systems.unicorn.settings import UnicornSettings

MARGIN = 1.0
_EPOCH = 100


class TransE(nn.Module):
    """A head plus its relation lies near its tail: users chose items, items have facets. Entities have length 1."""

    def __init__(self, users: int, items: int, facets: int, width: int) -> None:
        super().__init__()
        self.first = (0, users, users + items, users + items + facets)  # where users, items, facets begin; the end
        self.entities = nn.Parameter(torch.randn(self.first[-1], width))
        self.relations = nn.Parameter(F.normalize(torch.randn(2, width), dim=1))

    def distances(self, heads: Tensor, relations: Tensor, tails: Tensor) -> Tensor:
        """|h + r - t| of triplets, (T,) each -> (T,)."""
        head, tail = (F.normalize(self.entities[ends], dim=1) for ends in (heads, tails))
        return torch.linalg.vector_norm(head + self.relations[relations] - tail, dim=1)

    def loss(self, triplets: Tensor, corrupted: Tensor) -> Tensor:
        """triplets, corrupted (T, 3): head, relation, tail -> scalar: max(0, margin + d - d of the corrupted)."""
        true, false = self.distances(*triplets.T), self.distances(*corrupted.T)
        return torch.relu(MARGIN + true - false).mean()


def train_transe(
    dataset: PreparedDataset, facets: Facets, settings: UnicornSettings, checkpoint: Checkpoint
) -> tuple[NodeEmbeddings, dict[str, Any]]:
    """Node embeddings by TransE. A user's is folded in, as the mean of their items: that is h + r where h + r = t.
    The public code's, h alone, is further from what they would choose by the length of r.
    """
    torch.manual_seed(settings.seed)
    n, count = facets.has.shape
    model = TransE(dataset.info.users, n, count, settings.width)
    _, items, ends, _ = model.first
    users, _, chose = chosen(dataset)
    having = np.argwhere(facets.has)
    triplets = np.concatenate(
        [
            np.stack([users, np.zeros_like(users), items + chose], 1),
            np.stack([items + having[:, 0], np.ones(len(having), np.int64), ends + having[:, 1]], 1),
        ]
    )
    adam = torch.optim.Adam(model.parameters(), settings.rate)
    loop: dict[str, Any] = {"epoch": 0, "curve": []}
    if restored := checkpoint.restore({"model": model}, {"adam": adam}):
        _, loop = restored
    epochs, bounds = math.ceil(settings.steps / _EPOCH), np.array(model.first)
    with step("UNICORN's node embeddings (TransE)", epochs * _EPOCH) as bar:
        bar.advance(loop["epoch"] * _EPOCH)
        while loop["epoch"] < epochs:
            rng, losses = np.random.default_rng([settings.seed, loop["epoch"]]), 0.0
            for number in range(_EPOCH):
                for group in adam.param_groups:
                    group["lr"] = settings.rate * max(0.02, 1 - loop["epoch"] / epochs - number / _EPOCH / epochs)
                batch = triplets[rng.integers(0, len(triplets), 8 * settings.rows)]
                wrong, end = batch.copy(), np.where(rng.random(len(batch)) < 0.5, 0, 2)
                kind = batch[:, 1] + end // 2  # 0 users, 1 items, 2 facets: what stands at that end
                wrong[np.arange(len(batch)), end] = rng.integers(bounds[kind], bounds[kind + 1])
                loss = model.loss(torch.from_numpy(batch), torch.from_numpy(wrong))
                adam.zero_grad(set_to_none=True)
                loss.backward()
                adam.step()
                losses += loss.item()
                bar.advance()
            loop["epoch"] += 1
            loop["curve"].append(round(losses / _EPOCH, 5))
            bar.note(f"loss {losses / _EPOCH:.4f}")
            checkpoint.save({"model": model}, {"adam": adam}, {}, loop)
    nodes = NodeEmbeddings(n, count, settings.width, settings.newest)
    with torch.no_grad():
        entities = F.normalize(model.entities, dim=1)
        nodes.items.copy_(entities[items:ends])
        nodes.past.copy_(entities[items:ends])
        nodes.facets.copy_(entities[ends:])
        nodes.anyone.zero_()
        nodes.recency.zero_()
    return nodes, {"loss": loop["curve"]}
