"""CRIF's offline phase: BPR over items and facets, with two kinds of items that were not chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.base.progress import step
from latentcrs_lab.systems.crif.examples import Examples, ExampleSampler
from latentcrs_lab.systems.crif.representation import Nodes, Representation, told_facets

REFUSING = 8
"""One example of so many has refused items before."""


def item_scores(
    representation: Representation, nodes: Nodes, users: Tensor, accepted: Tensor, rejected: Tensor, items: Tensor
) -> Tensor:
    """s(v) = w_v + match(e_u . e_v) + sum over accepted p of match(e_p . e_v) - the same over rejected p.

    users (B, d), facets accepted (B, k, d) and rejected (B, k, d), the numbers items (B, m) -> (B, m).
    """
    vectors = F.embedding(items, nodes.items)  # (B, m, d)
    scores = representation.match((vectors @ users[:, :, None])[:, :, 0])
    scores = scores + representation.match(vectors @ accepted.transpose(1, 2)).sum(2)
    scores = scores - representation.match(vectors @ rejected.transpose(1, 2)).sum(2)
    return scores + representation.popularity[items]


def facet_scores(
    representation: Representation, users: Tensor, accepted: Tensor, rejected: Tensor, facets: Tensor
) -> Tensor:
    """`item_scores` of facets (B, m, d), which have no weight of their own: (B, m)."""
    scores = representation.match((facets @ users[:, :, None])[:, :, 0])
    scores = scores + representation.match(facets @ accepted.transpose(1, 2)).sum(2)
    return scores - representation.match(facets @ rejected.transpose(1, 2)).sum(2)


def loss(representation: Representation, has: Tensor, examples: Examples) -> Tensor:
    """The mean loss of an example: -log sigmoid of how far the chosen item is above either other item, and a facet it
    has above one that it lacks. has (n, F): which item has which facet.
    """
    nodes = representation.nodes()
    users = representation.users(nodes, examples.users, examples.histories)
    accepted = told_facets(nodes.facets, examples.accepted)
    rejected = told_facets(nodes.facets, examples.rejected)

    def scores(users: Tensor, items: Tensor) -> Tensor:
        some = len(users)
        return item_scores(representation, nodes, users, accepted[:some], rejected[:some], items)

    refused, alike = refusals(scores, users, examples.alike, representation.settings.refused)
    there, some = refused >= 0, len(refused)
    vectors = F.embedding(refused.clamp_min(0), nodes.items) * there[:, :, None]
    own = _own(has, refused, examples.accepted[:some])
    moved = representation.inference(users[:some], vectors, there, accepted[:some], own)
    users = torch.cat([moved, users[some:]])
    never, alike = (hardest(scores, users, items) for items in (examples.never, alike))
    others = torch.stack([never, torch.where(alike < 0, never, alike)], 1)  # (B, 2)
    found = scores(users, torch.cat([examples.chosen[:, None], others.clamp_min(0)], 1))
    pair = facet_scores(representation, users, accepted, rejected, told_facets(nodes.facets, examples.facets))
    told = (examples.facets >= 0).all(1)
    ranking = -(F.logsigmoid(found[:, :1] - found[:, 1:]) * (others >= 0)).sum(1)
    ranking = ranking - F.logsigmoid(pair[:, 0] - pair[:, 1]) * told
    return ranking.mean() + representation.settings.decay * _lengths(representation, examples)


Scores = Callable[[Tensor, Tensor], Tensor]
"""Of items (b, m) for the users (b, d) of the first examples: (b, m)."""


def refusals(scores: Scores, users: Tensor, items: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Splits items (B, m), -1 for none, into those that the first B / `REFUSING` examples have been shown, the `most`
    best, and refused by that; and those that are left to any example: (b, most), (B, m - most).
    """
    some = len(items) // REFUSING
    with torch.no_grad():
        found = scores(users[:some], items[:some].clamp_min(0)).masked_fill(items[:some] < 0, -torch.inf)
    ordered = items[:some].gather(1, found.argsort(1, descending=True))
    return ordered[:, :most], torch.cat([ordered[:, most:], items[some:, : items.shape[1] - most]])


def hardest(scores: Scores, users: Tensor, items: Tensor) -> Tensor:
    """Of each row's items (B, m), -1 for none, the one with the highest score; -1 where there is none."""
    with torch.no_grad():
        best = scores(users, items.clamp_min(0)).masked_fill(items < 0, -torch.inf).argmax(1)
    return items.gather(1, best[:, None])[:, 0]


def _own(has: Tensor, items: Tensor, facets: Tensor) -> Tensor:
    """(B, m), (B, k) -> (B, m, k): whether the item has the facet; False where either is -1."""
    if has.shape[1] == 0:
        return torch.zeros(*items.shape, facets.shape[1], dtype=torch.bool)
    both = (items >= 0)[:, :, None] & (facets >= 0)[:, None, :]
    return has[items.clamp_min(0)[:, :, None], facets.clamp_min(0)[:, None, :]] & both


def _lengths(representation: Representation, examples: Examples) -> Tensor:
    """The mean over examples of the squared lengths of the user's and the item's embedding."""
    users = F.embedding(torch.from_numpy(examples.users), representation.embeddings)
    items = F.embedding(examples.chosen + representation.graph.users, representation.embeddings)
    return users.square().sum() / len(users) + items.square().sum() / len(users)


def train_representation(
    representation: Representation,
    drawing: ExampleSampler,
    has: Tensor,
    validate: Callable[[], float],
    saved: Checkpoint,
) -> dict[str, Any]:
    """Train in place and leave the weights with the best validation NDCG@20.

    Every epoch draws from its own seed, so a run that was killed and goes on from `saved` ends with the same weights.
    """
    settings = representation.settings
    adam = torch.optim.Adam(representation.parameters(), lr=settings.learning_rate)
    loop: dict[str, Any] = {"epoch": 0, "best": -1.0, "best_epoch": 0, "curve": []}
    best: dict[str, Tensor] = {}
    if restored := saved.restore({"representation": representation}, {"adam": adam}):
        best, loop = restored
    steps = -(-len(drawing) // settings.batch)
    with step("CRIF, offline phase", settings.epochs * steps) as bar:
        bar.advance(loop["epoch"] * steps)
        while loop["epoch"] < settings.epochs and loop["epoch"] - loop["best_epoch"] < settings.patience:
            epoch = loop["epoch"]
            torch.manual_seed(settings.seed * 100_003 + epoch)
            rng = np.random.default_rng([settings.seed, epoch])
            for group in adam.param_groups:
                group["lr"] = settings.learning_rate * max(0.1, 1 - epoch / settings.epochs)
            representation.train()
            order = rng.permutation(len(drawing))
            for start in range(0, len(order), settings.batch):
                adam.zero_grad(set_to_none=True)
                loss(representation, has, drawing.draw(order[start : start + settings.batch], rng)).backward()
                adam.step()
                bar.advance()
            representation.eval()
            with torch.inference_mode():
                score = validate()
            loop["epoch"] += 1
            loop["curve"].append(round(score, 5))
            if score > loop["best"]:
                loop |= {"best": score, "best_epoch": loop["epoch"]}
                best = {name: tensor.clone() for name, tensor in representation.state_dict().items()}
            bar.note(f"epoch {loop['epoch']}, validation NDCG@20 {score:.4f}, best {loop['best']:.4f}")
            saved.save({"representation": representation}, {"adam": adam}, best, loop)
    representation.load_state_dict(best)
    representation.eval()
    return {"epochs": loop["epoch"], "validation_ndcg@20": loop["best"], "curve": loop["curve"]}
