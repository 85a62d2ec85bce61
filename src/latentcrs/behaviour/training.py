"""The training loop of every behaviour encoder: epochs, early stopping, checkpoints from which a run goes on."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.optim import Optimizer

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.base.device import quick_products
from latentcrs.base.group import current_group
from latentcrs.base.progress import step
from latentcrs.behaviour.windows import batches, cut_windows, window_tokens
from latentcrs.data.histories import Histories
from latentcrs.data.ranking import ndcg_at, target_ranks


class TrainingConfig(BaseModel):
    """How a behaviour encoder is trained."""

    model_config = ConfigDict(extra="forbid")

    epochs: int = Field(45, ge=1)
    min_steps: int = Field(2500, ge=0)
    """Small logs get more epochs, so that there are at least this many batches."""
    max_steps: int = Field(8000, ge=1)
    """Large logs get fewer epochs (three at least), so that there are no more batches than this."""
    patience: int = Field(10, ge=1)
    """Epochs without a better validation NDCG@20 after which training stops."""
    batch: int = Field(128, ge=1)
    """Windows in a batch."""
    learning_rate: float = Field(2e-3, gt=0)
    """Adam's, falling linearly to 2% over the epochs."""
    validation_users: int = Field(10_000, ge=1)
    """At most so many users (a fixed sample) are ranked after each epoch."""
    seed: int = 0


def optimizers_of(network: nn.Module, learning_rate: float) -> dict[str, torch.optim.Optimizer]:
    """Adam for everything, but for the tables with sparse gradients, which have one of their own: "rows"."""
    tables = [part.weight for part in network.modules() if isinstance(part, nn.Embedding) and part.sparse]
    dense = [weight for weight in network.parameters() if all(weight is not table for table in tables)]
    fused = dense[0].device.type != "mps"
    optimizers: dict[str, torch.optim.Optimizer] = {"adam": torch.optim.Adam(dense, lr=learning_rate, fused=fused)}
    if tables:
        optimizers["rows"] = RowAdam(tables, learning_rate)
    return optimizers


def descend(
    network: Any,
    optimizers: Mapping[str, torch.optim.Optimizer],
    tokens: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,
) -> None:
    """One step on a batch of windows, or on this process's share of one, (B, L) each: see `window_tokens`."""
    device = next(network.parameters()).device
    for optimizer in optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    network.loss(*(None if part is None else part.to(device) for part in (tokens, targets, weights))).backward()
    group = current_group()
    for optimizer in optimizers.values():
        group.add_up(optimizer)
        optimizer.step()


def train(
    network: Any,
    encode: Callable[[Histories], Tensor],
    sequences: Histories,
    validation: tuple[Histories, NDArray[np.integer]],
    config: TrainingConfig,
    checkpoint: Path | str | None = None,
) -> dict[str, Any]:
    """Train `network` (one like `SASRec`) in place and leave its best weights in it.

    Deterministic under `config.seed` on one machine: every epoch draws from its own seed, so a run that was killed
    and went on from `checkpoint` ends with the same weights as one that was not. In a group
    (`latentcrs.base.group`) every process calls it with the same arguments; they share batches and validation.
    """
    began = time.perf_counter()
    size = network.config.length
    rows = np.random.default_rng(config.seed).permutation(len(validation[0]))[: config.validation_users]
    group = current_group()
    rows = np.sort(rows)[group.share(len(rows))]
    held_out, targets = validation[0][rows], validation[1][rows]
    per_epoch = max(1, round(len(cut_windows(sequences.lengths, size, np.random.default_rng(0))) / config.batch))
    fewest, most = -(-config.min_steps // per_epoch), max(3, config.max_steps // per_epoch)
    epochs = min(max(config.epochs, fewest), most)
    optimizers = optimizers_of(network, config.learning_rate)
    mark = f"{config.model_dump_json()} {network.config.model_dump_json()} {network.items}"
    saved = Checkpoint(checkpoint, f"{mark} rows" if "rows" in optimizers else mark)
    loop: dict[str, Any] = {"epoch": 0, "best": -1.0, "best_epoch": 0, "curve": []}
    best: dict[str, Tensor] = {}
    if restored := saved.restore({"network": network}, optimizers):
        best, loop = restored

    with step("behaviour encoder", epochs * per_epoch) as bar:
        bar.advance(loop["epoch"] * per_epoch)
        while loop["epoch"] < epochs and loop["epoch"] - loop["best_epoch"] < config.patience:
            epoch = loop["epoch"]
            group.seed(config.seed * 100_003 + epoch)
            group.follow([network])
            rng = np.random.default_rng([config.seed, epoch])
            for optimizer in optimizers.values():
                for part in optimizer.param_groups:
                    part["lr"] = config.learning_rate * max(0.02, 1 - epoch / epochs)
            if network.wants_epochs:
                seen = sequences[group.share(len(sequences))]
                network.begin_epoch(group.gather(encode(seen)), config.seed + epoch)
            network.train()
            with quick_products():
                for batch in batches(cut_windows(sequences.lengths, size, rng), config.batch, rng):
                    share = batch.take(group.share(len(batch)))
                    tokens, wanted, weights = window_tokens(sequences, share, network.start)
                    counts = None if weights is None else torch.from_numpy(weights)
                    descend(network, optimizers, torch.from_numpy(tokens), torch.from_numpy(wanted), counts)
                    bar.advance()
            network.eval()
            items = network.item_weights().detach()
            ndcg = group.mean(ndcg_at(target_ranks(encode(held_out), items, targets, held_out), 20))
            loop["epoch"] += 1
            loop["curve"].append(round(ndcg, 5))
            if ndcg > loop["best"]:
                loop |= {"best": ndcg, "best_epoch": loop["epoch"]}
                best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
            bar.note(f"epoch {loop['epoch']}/{epochs}, validation NDCG@20 {ndcg:.4f}, best {loop['best']:.4f}")
            saved.save({"network": network}, optimizers, best, loop)
    network.load_state_dict(best)
    network.eval()
    return {
        "epochs": loop["epoch"],
        "best_epoch": loop["best_epoch"],
        "validation_ndcg@20": loop["best"],
        "curve": loop["curve"],
        "seconds": round(time.perf_counter() - began, 1),
    }


class RowAdam(Optimizer):
    """Lazy Adam (Kingma & Ba, ICLR 2015): weights and moments change only in the rows that the gradient has.

    The update of `torch.optim.SparseAdam`, which adds three sparse tensors to dense ones in place of reading and
    writing rows, and took three to five times as long where both were tried (14,600 rows of 64 in a step).
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        """params: tables (rows, d) with sparse gradients."""
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update of the rows of each table's gradient."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._update(table, group["lr"], group["betas"], group["eps"])

    def _update(self, table: Tensor, lr: float, betas: tuple[float, float], eps: float) -> None:
        beta1, beta2 = betas
        state = self.state[table]
        if not state:
            # Counted in a tensor, as Adam does, so that a checkpoint brings it back as it was.
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
        state["step"] += 1
        count = float(state["step"])
        found = table.grad
        assert found is not None
        rows, place = found._indices()[0].unique(return_inverse=True)
        gradient = found._values().new_zeros(len(rows), table.shape[1]).index_add_(0, place, found._values())
        average = state["exp_avg"][rows].lerp_(gradient, 1 - beta1)
        square = state["exp_avg_sq"][rows].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        state["exp_avg"].index_copy_(0, rows, average)
        state["exp_avg_sq"].index_copy_(0, rows, square)
        spread = square.sqrt_().div_((1 - beta2**count) ** 0.5).add_(eps)
        table.index_add_(0, rows, average.div_(spread), alpha=-lr / (1 - beta1**count))
