"""Next-item losses over a large catalogue that never keep a (rows x items) matrix: full and sampled softmax."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from latentcrs.base.device import fast_dtype
from latentcrs.base.group import current_group

CHUNK_ELEMENTS = 1 << 20  # logits held at once: a few MB, so that a chunk stays in the processor's cache


class _FullSoftmax(torch.autograd.Function):
    """Cross-entropy of `hidden @ items.T` computed chunk by chunk, its gradient with it."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        items: Tensor,
        targets: Tensor,
        gates: Tensor | None,
        channels: Tensor | None,
        weights: Tensor | None,
    ) -> Tensor:
        rows = max(1, (CHUNK_ELEMENTS if hidden.device.type == "cpu" else 1 << 27) // len(items))
        kind = fast_dtype(hidden.device)
        hidden_k, items_k = hidden.to(kind), items.to(kind)
        grad_hidden, grad_items = torch.empty_like(hidden), torch.zeros_like(items)
        grad_gates = None if gates is None else torch.empty_like(gates)
        total = hidden.new_zeros(())
        for start in range(0, len(hidden), rows):
            here = slice(start, start + rows)
            part, wanted = hidden_k[here], targets[here, None]
            logits = part @ items_k.T
            if gates is not None and channels is not None:
                logits = logits.float() + torch.einsum("bc,cbn->bn", gates[here], channels[:, here])
            probability = torch.softmax(logits, 1, dtype=torch.float32)  # (rows, n)
            of_target = probability.gather(1, wanted)
            likelihood = of_target.clamp_min(1e-30).log()
            probability.scatter_(1, wanted, of_target - 1)  # now the gradient of the logits
            if weights is not None:
                weight = weights[here, None]
                likelihood, probability = likelihood * weight, probability.mul_(weight)
            total -= likelihood.sum()
            if grad_gates is not None and channels is not None:
                grad_gates[here] = torch.einsum("bn,cbn->bc", probability, channels[:, here])
            gradient = probability.to(kind)
            grad_hidden[here] = gradient @ items_k
            grad_items += gradient.T @ part
        ctx.save_for_backward(grad_hidden, grad_items, grad_gates)
        return total / len(hidden)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, Tensor | None, None, None]:
        grad_hidden, grad_items, grad_gates = ctx.saved_tensors
        scale = grads[0] / len(grad_hidden)
        return (
            grad_hidden * scale, grad_items * scale, None,
            None if grad_gates is None else grad_gates * scale, None, None,
        )  # fmt: skip


def full_softmax_loss(
    hidden: Tensor,
    items: Tensor,
    targets: Tensor,
    gates: Tensor | None = None,
    channels: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean of `-log softmax_v(hidden . v)[target]` over the whole catalogue.

    hidden (N, d), items (n, d), targets (N,) -> scalar. Equal to `cross_entropy(hidden @ items.T, targets)`, in
    memory that does not grow with N. Klenitskiy & Vasilev, "Turning Dross Into Gold Loss", RecSys 2023. gates (N, c)
    and channels (c, N, n): constant scores beside the product, and how much each counts in each row. weights (N,): of
    the rows in the mean, 1 on average.
    """
    return _FullSoftmax.apply(hidden.contiguous(), items.contiguous(), targets, gates, channels, weights)


class Proposal(nn.Module):
    """q, which the sampled softmax draws its negatives from: how often an item was chosen in training, plus one."""

    def __init__(self, counts: Tensor) -> None:
        """counts (n,): whole numbers."""
        super().__init__()
        weights = counts.long() + 1
        self.tickets = int(weights.sum())
        self.register_buffer("log_q", torch.log(weights.float()) - math.log(self.tickets), persistent=False)
        self.register_buffer("reach", weights.cumsum(0), persistent=False)
        self.log_q: Tensor
        self.reach: Tensor

    def draw(self, samples: int) -> Tensor:
        """Item numbers (samples,), with replacement, in ascending order.

        One binary search each: nothing here is as long as the catalogue. Sorted, because neighbours then share most
        of their way through memory. The processes of a group draw the same: a batch has its negatives in common.
        """
        drawn = current_group().same(torch.randint(self.tickets, (samples,), device=self.reach.device))
        return torch.searchsorted(self.reach, drawn.sort().values, right=True)


def sampled_softmax_loss(
    hidden: Tensor,
    vectors: Callable[[Tensor], Tensor],
    targets: Tensor,
    proposal: Proposal,
    samples: int,
    weights: Tensor | None = None,
) -> Tensor:
    """Softmax over the target and `samples` negatives shared by the batch, with log-Q correction.

    hidden (N, d), vectors: item numbers (m,) -> (m, d), asked for the targets and the negatives alone, targets (N,).
    Each negative's logit is lowered by log(samples * q) so that the loss estimates the full softmax
    (Bengio & Senecal 2008; Yi et al., RecSys 2019); a negative that is a row's own target is masked for that row.
    weights (N,): of the rows in the mean, 1 on average.
    """
    drawn = proposal.draw(samples)
    correction = proposal.log_q[drawn] + math.log(samples)
    negatives = torch.addmm(-correction, hidden, vectors(drawn).T)  # (N, samples)
    negatives = negatives.masked_fill_(drawn[None, :] == targets[:, None], float("-inf"))
    positive = (hidden * vectors(targets)).sum(1)  # (N,)
    losses = torch.logaddexp(positive, negatives.logsumexp(1)) - positive
    return (losses if weights is None else losses * weights).mean()
