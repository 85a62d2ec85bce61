"""CRIF's inference phase: what a refused list says about the user, beyond the items in it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Inference(nn.Module):
    """Moves a user's embedding away from what was refused in the items R that they refused.

    A refused item still has facets that the user asked for; what it shares with those is not what was wrong with it.
    Each accepted facet a of the item v takes away its part, as much as it matches the item:

        r_v = e_v - 1/|A_v| sum over a in A_v of tanh(e_a . e_v) (W e_a) * e_v
        e_u' = e_u - s 1/|R| sum over v in R of r_v

    with A_v the accepted facets that v has, * element by element, and R all items refused in the session. Here s is
    learned. In the public code s is 1, A_v are the facets that v shares with the target, R is the newest refused
    list, and the loop that would take the parts away goes over an empty list.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width, bias=False)
        self.strength = nn.Parameter(torch.ones(()))

    def forward(self, users: Tensor, refused: Tensor, there: Tensor, facets: Tensor, own: Tensor) -> Tensor:
        """users (B, d); refused items (B, m, d), of which `there` (B, m) are items at all; accepted facets (B, k, d)
        and `own` (B, m, k): whether the item has the facet -> users (B, d).
        """
        weights = torch.tanh(refused @ facets.transpose(1, 2)) * own  # (B, m, k)
        weights = weights / own.sum(2, keepdim=True).clamp_min(1)
        wrong = refused - (weights @ self.gate(facets)) * refused  # (B, m, d)
        count = there.sum(1, keepdim=True).clamp_min(1)
        moved: Tensor = users - self.strength * (wrong * there[:, :, None]).sum(1) / count
        return moved
