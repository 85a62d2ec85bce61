"""Who trains a model: this process alone, or a group of processes that share every batch and take each step together.

Every process of a group holds the whole model and all rows, draws the same batches, and does its share of each. The
gradients of the shares add up to the gradient of the batch, so that the group learns what one process would.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

Together = Callable[[Callable[..., Any]], Any]
"""Runs `job(device=..)` on every process of a group, all of them anew where one died, until it ends on all. Returns
what the first of them returned. A job goes on from its checkpoints.
"""


class Group:
    """This process alone: everything is as it would be without a group."""

    rank, size = 0, 1

    def seed(self, number: int) -> None:
        """Seed what a process draws for its own rows (dropout, negatives): differently in each."""
        torch.manual_seed(number)

    def share(self, rows: int) -> slice:
        """The rows of a batch of `rows` that this process does: one at least, the first ones twice where they are too
        few."""
        return slice(None)

    def part(self, loss: Tensor, rows: int, of: int | None = None) -> Tensor:
        """What the mean `loss` over this process's `rows` adds to the mean over the rows of all: scalar -> scalar.

        of: rows of the batch that was shared, where that is known; else the processes count together.
        """
        return loss

    def add_up(self, optimizer: torch.optim.Optimizer) -> None:
        """Replace the gradients of the optimiser's weights by their sum over all processes."""

    def same(self, tensor: Tensor) -> Tensor:
        """The first process's `tensor`, of the same shape in all."""
        return tensor

    def gather(self, rows: Tensor) -> Tensor:
        """The rows (n, ..) of all processes, whose numbers may differ. Gradients reach this process's own rows, and
        the other processes see to theirs: what is computed of all rows here must enter the loss as it is, no `part`.
        """
        return rows

    def mean(self, values: NDArray[np.floating]) -> float:
        """Mean of `values` (n,) over all processes; the same number in all, so that they decide alike."""
        return float(values.mean())

    def follow(self, modules: Iterable[nn.Module]) -> None:
        """Take over the first process's weights."""

    def agree(self, number: int) -> bool:
        """Whether `number` is the same in all processes."""
        return True


class ProcessGroup(Group):
    """The processes of `torch.distributed`'s default group: gloo between processors, nccl between GPUs."""

    def __init__(self) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.device = torch.device("cuda" if "nccl" in distributed.get_backend() else "cpu")

    def seed(self, number: int) -> None:
        torch.manual_seed(number + self.rank * 1_000_000_007)

    def share(self, rows: int) -> slice:
        # Every so-many-th row: rows of like length, which stand together, are spread over all.
        first = self.rank % rows
        return slice(first, None, self.size) if first == self.rank else slice(first, first + 1)

    def part(self, loss: Tensor, rows: int, of: int | None = None) -> Tensor:
        total = float(self._sum(torch.tensor(float(rows)))) if of is None else max(of, self.size)
        return loss * (rows / total)

    @torch.no_grad()
    def add_up(self, optimizer: torch.optim.Optimizer) -> None:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        found = [weight for weight in weights if weight.grad is not None]  # the same ones in all: no share is empty
        dense = [weight.grad for weight in found if not weight.grad.is_sparse]
        if dense:
            flat = self._sum(torch.cat([gradient.flatten() for gradient in dense]))
            for gradient, total in zip(dense, flat.split([gradient.numel() for gradient in dense]), strict=True):
                gradient.copy_(total.view_as(gradient))
        for table in found:
            if table.grad.is_sparse:  # never as long as the table: the rows that any process has a gradient of
                own = table.grad.coalesce()
                rows, values = self.gather(own.indices()[0]), self.gather(own.values())
                table.grad = torch.sparse_coo_tensor(rows[None], values, table.shape, check_invariants=False)

    def same(self, tensor: Tensor) -> Tensor:
        there = tensor.detach().to(self.device, copy=True).contiguous()
        distributed.broadcast(there, 0)
        return there.to(tensor.device)

    def gather(self, rows: Tensor) -> Tensor:
        counts = [torch.zeros((), dtype=torch.int64, device=self.device) for _ in range(self.size)]
        distributed.all_gather(counts, torch.tensor(len(rows), device=self.device))
        most = max(int(count) for count in counts)
        padded = torch.zeros((most, *rows.shape[1:]), dtype=rows.dtype, device=self.device)
        padded[: len(rows)] = rows.detach()
        found = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(found, padded)
        parts = [part[: int(count)].to(rows.device) for part, count in zip(found, counts, strict=True)]
        parts[self.rank] = rows
        return torch.cat(parts)

    def mean(self, values: NDArray[np.floating]) -> float:
        total, count = self._sum(
            torch.tensor([float(values.sum()), float(len(values))], dtype=torch.float64)
        ).tolist()
        return total / count

    def follow(self, modules: Iterable[nn.Module]) -> None:
        for module in modules:
            for tensor in module.state_dict().values():
                tensor.copy_(self.same(tensor))

    def agree(self, number: int) -> bool:
        return bool((self.gather(torch.tensor([number])) == number).all())

    def _sum(self, tensor: Tensor) -> Tensor:
        there = tensor.to(self.device)
        distributed.all_reduce(there)
        return there.to(tensor.device)


def current_group() -> Group:
    """The group that this process is in; `Group()`, itself alone, where it is in none."""
    return ProcessGroup() if distributed.is_available() and distributed.is_initialized() else Group()
