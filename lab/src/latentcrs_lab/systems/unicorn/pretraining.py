"""Pre-training of the node embeddings for what UNICORN uses them for: to rank what was chosen among all that fits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.base.device import quick_products
from latentcrs.base.progress import step
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.ranking import ndcg_at, ranks_of_scores
from latentcrs.systems.facets import Facets
from latentcrs_lab.systems.practice import Practice
from latentcrs_lab.systems.unicorn.embeddings import NodeEmbeddings, Preference, in_order
from latentcrs_lab.systems.unicorn.graph import NONE
from latentcrs_lab.systems.unicorn.settings import UnicornSettings

_EPOCH = 100  # batches between two validations


@dataclass(frozen=True)
class Feedback:
    """What rows of training tell: accepted (R, a) and rejected (R, b), facets, `NONE` where there are fewer."""

    accepted: NDArray[np.int64]
    rejected: NDArray[np.int64]


class Teller:
    """Draws what a user might have told of the item they chose, in the opening and in answers: a random number of
    facets, common ones more often than rare ones.
    """

    def __init__(self, facets: Facets, accepted: int, rejected: int) -> None:
        """accepted, rejected: facets that are told at most."""
        self._facets, self._most = facets, (accepted, rejected)
        items, having = np.nonzero(facets.has)
        counts = facets.has.sum(1)
        self._of_item = np.full((len(facets.has), counts.max(initial=0)), NONE, np.int64)
        self._of_item[items, np.arange(len(items)) - np.repeat(np.cumsum(counts) - counts, counts)] = having
        self._log_weight = 0.5 * np.log(facets.has.sum(0) + 1.0)

    def __call__(self, targets: NDArray[np.int64], others: NDArray[np.int64], rng: np.random.Generator) -> Feedback:
        """targets, others (R,): items; what is rejected is what the others have and the targets are known to lack."""
        rejected = self._draw(others, self._most[1], rng)
        row, facet = targets[:, None], np.maximum(rejected, 0)
        if rejected.size:
            lacks = self._facets.known[row, facet] & ~self._facets.has[row, facet]
            rejected = np.where(lacks, rejected, NONE)
        return Feedback(self._draw(targets, self._most[0], rng), rejected)

    def _draw(self, items: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """(R, at most `most`), without repetition (the Gumbel trick)."""
        lists = self._of_item[items]
        most = min(most, lists.shape[1])
        if not most:
            return np.full((len(items), 0), NONE)
        noise = rng.gumbel(size=lists.shape) + np.where(
            lists == NONE, -np.inf, self._log_weight[np.maximum(lists, 0)]
        )
        drawn = np.take_along_axis(lists, np.argsort(-noise, axis=1)[:, :most], 1)
        return np.where(np.arange(most) < rng.integers(0, most + 1, len(items))[:, None], drawn, NONE)


def ranking_loss(
    nodes: NodeEmbeddings,
    newest: NDArray[np.int64],
    targets: NDArray[np.int64],
    told: Feedback,
    among: NDArray[np.int64],
    having: Tensor,
) -> Tensor:
    """-log softmax of each target's preference score among the items with every accepted facet.

    newest (R, L): see `Histories.last`. targets (R,): places in `among` (m,), which are items. having (F, m): which
    of these have which facet.
    """
    query = nodes.users(newest)
    rows, facets = _pairs(told.accepted)
    query = query.index_add(0, rows, nodes.facets[facets])
    items = nodes.items[torch.from_numpy(among)]
    scores = query @ items.T  # (R, m)
    rows, facets = _pairs(told.rejected)
    scores = scores.index_add(0, rows, -(nodes.facets[facets] @ items.T) * having[facets])
    rows, facets = _pairs(told.accepted)
    lacking = torch.zeros_like(scores).index_add_(0, rows, (~having[facets]).float())
    return F.cross_entropy(scores.masked_fill(lacking > 0, -1e9), torch.from_numpy(targets))


def _pairs(told: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    rows, places = np.nonzero(told != NONE)
    return torch.from_numpy(rows), torch.from_numpy(told[rows, places])


def train_ranking(
    dataset: PreparedDataset,
    facets: Facets,
    valid: Practice,
    settings: UnicornSettings,
    checkpoint: Checkpoint,
) -> tuple[NodeEmbeddings, dict[str, Any]]:
    """Node embeddings that rank every item of the training histories, given what came before it and some facets.

    valid: what the weights that are kept rank best (NDCG@5, accepted facets first).
    """
    torch.manual_seed(settings.seed)
    nodes = NodeEmbeddings(len(facets.has), len(facets), settings.width, settings.newest)
    adam = torch.optim.Adam(nodes.parameters(), settings.rate)
    teller = Teller(facets, settings.told, settings.told_not)
    users, cuts, targets = chosen(dataset)
    having = torch.from_numpy(np.ascontiguousarray(facets.has.T))
    everything = np.arange(len(facets.has))
    loop: dict[str, Any] = {"epoch": 0, "best": -1.0, "curve": []}
    kept: dict[str, Tensor] = {}
    if restored := checkpoint.restore({"nodes": nodes}, {"adam": adam}):
        kept, loop = restored
    epochs = math.ceil(settings.steps / _EPOCH)
    with step("UNICORN's node embeddings", epochs * _EPOCH) as bar:
        bar.advance(loop["epoch"] * _EPOCH)
        while loop["epoch"] < epochs:
            rng = np.random.default_rng([settings.seed, loop["epoch"]])
            for number in range(_EPOCH):
                for group in adam.param_groups:
                    group["lr"] = settings.rate * max(0.02, 1 - loop["epoch"] / epochs - number / _EPOCH / epochs)
                rows, others = rng.integers(0, len(users), (2, settings.rows))
                told = teller(targets[rows], targets[others], rng)
                newest = dataset.histories(users[rows], cuts[rows]).last(settings.newest)
                among, places = everything, targets[rows]
                if len(everything) > settings.negatives:
                    drawn = rng.choice(len(everything), settings.negatives, replace=False)
                    among, places = np.unique(np.concatenate([targets[rows], drawn])), targets[rows]
                    places = np.searchsorted(among, places)
                part = having if among is everything else having[:, torch.from_numpy(among)]
                with quick_products():
                    loss = ranking_loss(nodes, newest, places, told, among, part)
                    adam.zero_grad(set_to_none=True)
                    loss.backward()
                    adam.step()
                bar.advance()
            loop["epoch"] += 1
            score = ranking_ndcg(nodes, facets, valid)
            loop["curve"].append(round(score, 5))
            if score > loop["best"]:
                loop["best"] = score
                kept = {name: tensor.detach().clone() for name, tensor in nodes.state_dict().items()}
            bar.note(f"validation NDCG@5 {score:.4f}, best {loop['best']:.4f}")
            checkpoint.save({"nodes": nodes}, {"adam": adam}, kept, loop)
    nodes.load_state_dict(kept)
    return nodes, {"validation_ndcg@5": loop["best"], "curve": loop["curve"]}


def chosen(dataset: PreparedDataset) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Every (user, cut, item) of the training histories: all but each user's last two items."""
    lengths = np.maximum(dataset.lengths - 2, 0)
    users = np.repeat(np.arange(len(lengths)), lengths)
    cuts = np.arange(len(users)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return users, cuts, dataset.sequence[dataset.offsets[users] + cuts].astype(np.int64)


def ranking_ndcg(nodes: NodeEmbeddings, facets: Facets, practice: Practice, together: int = 256) -> float:
    """Mean NDCG@5 of the targets of `practice`, told what their openings tell, histories left out."""
    preference, ranks = Preference(nodes, facets), []
    for start in range(0, len(practice), together):
        rows = np.arange(start, min(start + together, len(practice)))
        sessions = practice.begin(rows)
        users = preference.users(sessions.histories)
        scores = preference.scores(users, sessions.accepted, sessions.rejected)
        ordered = torch.from_numpy(in_order(scores, sessions.matches))
        ranks.append(ranks_of_scores(ordered, practice.targets[rows], sessions.histories))
    return float(ndcg_at(np.concatenate(ranks), 5).mean())
