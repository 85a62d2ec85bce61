"""Next-item losses over a large catalogue that never keep a (rows x items) matrix: full and sampled softmax."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentcrs.device import fast_dtype

CHUNK_ELEMENTS = 1 << 20  # logits held at once: a few MB, so that a chunk stays in the processor's cache


class _FullSoftmax(torch.autograd.Function):
    """Cross-entropy of `hidden @ items.T` computed chunk by chunk, its gradient with it."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, items: Tensor, targets: Tensor) -> Tensor:
        rows = max(1, (CHUNK_ELEMENTS if hidden.device.type == "cpu" else 1 << 27) // len(items))
        kind = fast_dtype(hidden.device)
        hidden_k, items_k = hidden.to(kind), items.to(kind)
        grad_hidden, grad_items = torch.empty_like(hidden), torch.zeros_like(items)
        total = hidden.new_zeros(())
        for start in range(0, len(hidden), rows):
            part, wanted = hidden_k[start : start + rows], targets[start : start + rows, None]
            probability = torch.softmax(part @ items_k.T, 1, dtype=torch.float32)  # (rows, n)
            of_target = probability.gather(1, wanted)
            total -= of_target.clamp_min(1e-30).log().sum()
            probability.scatter_(1, wanted, of_target - 1)  # now the gradient of the logits
            gradient = probability.to(kind)
            grad_hidden[start : start + rows] = gradient @ items_k
            grad_items += gradient.T @ part
        ctx.save_for_backward(grad_hidden, grad_items)
        return total / len(hidden)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_hidden, grad_items = ctx.saved_tensors
        scale = grads[0] / len(grad_hidden)
        return grad_hidden * scale, grad_items * scale, None


def full_softmax_loss(hidden: Tensor, items: Tensor, targets: Tensor) -> Tensor:
    """Mean of `-log softmax_v(hidden . v)[target]` over the whole catalogue.

    hidden (N, d), items (n, d), targets (N,) -> scalar. Equal to `cross_entropy(hidden @ items.T, targets)`, in
    memory that does not grow with N. Klenitskiy & Vasilev, "Turning Dross Into Gold Loss", RecSys 2023.
    """
    return _FullSoftmax.apply(hidden.contiguous(), items.contiguous(), targets)


def sampled_softmax_loss(hidden: Tensor, items: Tensor, targets: Tensor, log_q: Tensor, samples: int) -> Tensor:
    """Softmax over the target and `samples` negatives shared by the batch, with log-Q correction.

    hidden (N, d), items (n, d), targets (N,), log_q (n,): the log of the distribution that negatives are drawn from.
    Each negative's logit is lowered by log(samples * q) so that the loss estimates the full softmax
    (Bengio & Senecal 2008; Yi et al., RecSys 2019); a negative that is a row's own target is masked for that row.
    """
    drawn = torch.multinomial(log_q.exp(), samples, replacement=True)
    correction = log_q[drawn] + torch.log(torch.tensor(float(samples), device=hidden.device))
    negatives = hidden @ items[drawn].T - correction  # (N, samples)
    negatives = negatives.masked_fill(drawn[None, :] == targets[:, None], float("-inf"))
    positive = (hidden * items[targets]).sum(1, keepdim=True)  # (N, 1)
    return (torch.cat([positive, negatives], 1).logsumexp(1) - positive[:, 0]).mean()
