"""One stage of training over precomputed rows: epochs, early stopping, checkpoints, the best weights put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.base.device import quick_products
from latentcrs.base.group import current_group
from latentcrs.base.progress import step
from latentcrs.behaviour.softmax import Proposal, full_softmax_loss, sampled_softmax_loss
from latentcrs.data.histories import Histories
from latentcrs.data.ranking import ndcg_at, target_ranks
from latentcrs.intent.clues import Clues
from latentcrs.intent.config import EMSection
from latentcrs.intent.losses import rec_loss, sampled_scores


@dataclass(frozen=True)
class Rows:
    """R training or validation rows: (S, X, target), with the histories that leave a ranking.

    S (R, d) on the training device; X is kept once per distinct text: row r's is `texts[text_of[r]]`. weights (R,):
    what each row counts in validation, 1 on average; None: all alike.
    """

    S: Tensor
    texts: Tensor  # (distinct texts, d_x)
    text_of: Tensor  # (R,)
    targets: Tensor  # (R,)
    histories: Histories
    clues: Clues | None = None
    weights: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def X(self, rows: Tensor | slice = slice(None)) -> Tensor:
        """The request embeddings of `rows`, (len(rows), d_x)."""
        return self.texts[self.text_of[rows]]

    def to(self, device: torch.device) -> Rows:
        """The same on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("S", "texts", "text_of", "targets")}
        return replace(self, **moved)

    def take(self, rows: NDArray[np.int64]) -> Rows:
        index = torch.from_numpy(rows).to(self.S.device)
        return replace(
            self,
            S=self.S[index],
            text_of=self.text_of[index],
            targets=self.targets[index],
            histories=self.histories[rows],
            clues=None if self.clues is None else self.clues.take(rows),
            weights=None if self.weights is None else self.weights[rows],
        )


class ItemVectors(Protocol):
    """What queries are multiplied with: the whole catalogue, (n, w), or the rows that are named, (m,) -> (m, w)."""

    def __call__(self, rows: Tensor | None = None) -> Tensor: ...


class Softmax:
    """-log softmax of a row's target among its negatives, as `EMSection.negatives` asks."""

    def __init__(self, counts: Tensor, config: EMSection) -> None:
        """counts (n,): how often each item is chosen in training."""
        self.config = config
        self.proposal = Proposal(counts)
        self.everything = config.negatives == "all"
        self.large = len(counts) > config.full_softmax_items
        """Whether a step computes the items that it needs alone, rather than the catalogue."""

    def candidates(self, targets: Tensor, negatives: int) -> Tensor:
        """The target first, then uniform negatives: (B,) -> (B, 1 + negatives). A draw of the target is moved on."""
        n = len(self.proposal.log_q)
        drawn = torch.randint(n, (len(targets), negatives), device=targets.device)
        drawn = torch.where(drawn == targets[:, None], (drawn + 1) % n, drawn)
        return torch.cat([targets[:, None], drawn], 1)

    @property
    def sees_clues(self) -> bool:
        """Whether scores beside the inner product can be part of it: where it is over the whole catalogue."""
        return self.everything and not self.large

    def __call__(
        self,
        query: Tensor,
        items: ItemVectors,
        targets: Tensor,
        gates: Tensor | None = None,
        channels: Tensor | None = None,
    ) -> Tensor:
        """query (B, w), items: the (n, w) that it is multiplied with, or some rows of it, targets (B,) -> scalar.

        gates (B, c), channels (c, B, n): see `full_softmax_loss`; only where `sees_clues`.
        """
        if not self.everything:
            candidates = self.candidates(targets, int(self.config.negatives))
            if self.large:
                scores = torch.einsum("bw,bcw->bc", query, items(candidates.flatten()).unflatten(0, candidates.shape))
            else:
                scores = sampled_scores(query, items(), candidates)
            return rec_loss(scores, torch.zeros_like(targets))
        if self.large:
            return sampled_softmax_loss(query, items, targets, self.proposal, self.config.samples)
        return full_softmax_loss(query, items(), targets, gates, channels)


def ndcg20(query: Tensor, items: Tensor, rows: Rows) -> float:
    """Mean NDCG@20 of the rows' targets, histories left out; over the rows of all processes in a group."""
    return mean_ndcg20(target_ranks(query, items, rows.targets.cpu().numpy(), rows.histories), rows)


def mean_ndcg20(ranks: NDArray[np.int64], rows: Rows) -> float:
    """Mean NDCG@20 of ranks (R,), each row counting by its weight; over the rows of all processes in a group."""
    found = ndcg_at(ranks, 20)
    return current_group().mean(found if rows.weights is None else found * rows.weights)


class RunningMean:
    """The weights of modules averaged over the steps, each step forgetting a little: what validation sees, and what a
    stage ends with. Weights go up and down with the last batches; their mean does not (Polyak & Juditsky, 1992).
    """

    def __init__(self, modules: Mapping[str, nn.Module], keep: float) -> None:
        """keep: what of the mean stays at each step."""
        self.weights = [weight for module in modules.values() for weight in module.parameters()]
        self.means = nn.ParameterList([nn.Parameter(weight.detach().clone(), False) for weight in self.weights])
        self.keep = keep

    @torch.no_grad()
    def follow(self) -> None:
        """Take the weights as they are now into the mean."""
        torch._foreach_lerp_(list(self.means), [weight.detach() for weight in self.weights], 1 - self.keep)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The modules have the mean inside."""
        with torch.no_grad():
            own = [weight.detach().clone() for weight in self.weights]
            for weight, mean in zip(self.weights, self.means, strict=True):
                weight.copy_(mean)
            yield
            for weight, before in zip(self.weights, own, strict=True):
                weight.copy_(before)


def run_stage(
    name: str,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    losses: list[tuple[str, Callable[[Tensor], Tensor]]],
    validate: Callable[[], float],
    rows: int,
    config: EMSection,
    checkpoint: Checkpoint,
    keep_start: bool = False,
) -> dict[str, Any]:
    """Train until validation stops improving, then put the best weights back.

    `losses` are the passes of one epoch, in order: (the optimiser's name, loss of a batch of row numbers). Each epoch
    has its own seed, so a run that goes on from `checkpoint` ends as an uninterrupted one. With `keep_start` the
    weights that the stage begins with are candidates too. In a group every process calls it alike; they share the
    batches, and `validate` has to return the same in all.
    """
    group = current_group()
    device = next(next(iter(modules.values())).parameters()).device
    loop: dict[str, Any] = {"epoch": 0, "best": -1.0, "best_epoch": 0, "curve": [], "done": False}
    best: dict[str, Tensor] = {}

    def current() -> dict[str, Tensor]:
        return {f"{n}/{k}": t.detach().clone() for n, m in modules.items() for k, t in m.state_dict().items()}

    mean = RunningMean(modules, config.average) if config.average else None
    everything = {**modules, **({"mean": mean.means} if mean else {})}

    def measure() -> tuple[float, dict[str, Tensor]]:
        for module in modules.values():
            module.eval()
        with mean.in_place() if mean else nullcontext():
            with torch.inference_mode():
                found = validate()
            return found, current()

    if restored := checkpoint.restore(everything, optimizers):
        best, loop = restored
    elif keep_start:
        loop["best"], best = measure()
    steps = -(-rows // config.batch)
    epochs = max(config.epochs, -(-config.min_steps // steps))
    patience = max(config.patience, epochs // 5)
    total = steps * len(losses)
    with step(None if loop["done"] else name, epochs * total) as bar:
        bar.advance(loop["epoch"] * total)
        while not loop["done"]:
            epoch = loop["epoch"]
            group.seed(config.seed * 100_003 + epoch)
            group.follow(modules.values())
            for optimizer in optimizers.values():
                for part in optimizer.param_groups:
                    part["lr"] = config.learning_rate * max(0.01, 1 - epoch / epochs)
            for module in modules.values():
                module.train()
            with quick_products(), torch.enable_grad():
                for which, loss in losses:
                    for batch in group.same(torch.randperm(rows).to(device)).split(config.batch):
                        share = batch[group.share(len(batch))]
                        optimizers[which].zero_grad(set_to_none=True)
                        group.part(loss(share), len(share), len(batch)).backward()
                        group.add_up(optimizers[which])
                        optimizers[which].step()
                        if mean:
                            mean.follow()
                        bar.advance()
            score, weights = measure()
            loop["epoch"] += 1
            loop["curve"].append(round(score, 5))
            if score > loop["best"]:
                loop |= {"best": score, "best_epoch": loop["epoch"]}
                best = weights
            waited = loop["epoch"] - loop["best_epoch"]
            loop["done"] = loop["epoch"] >= epochs or waited >= patience
            bar.note(f"epoch {loop['epoch']}, validation NDCG@20 {score:.4f}, best {loop['best']:.4f}")
            checkpoint.save(everything, optimizers, best, loop)
    for name_, module in modules.items():
        prefix = f"{name_}/"
        module.load_state_dict({k.removeprefix(prefix): t for k, t in best.items() if k.startswith(prefix)})
        module.eval()
    return {
        "epochs": loop["epoch"],
        "best_epoch": loop["best_epoch"],
        "validation_ndcg@20": loop["best"],
        "curve": loop["curve"],
    }
