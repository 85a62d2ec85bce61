"""CRIF's representations of users, items and facets, and the scores that are made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from latentcrs.data.histories import Histories
from latentcrs_lab.systems.crif.graph import Graph, mixed
from latentcrs_lab.systems.crif.inference import Inference
from latentcrs_lab.systems.crif.settings import OfflineSettings


@dataclass(frozen=True)
class Nodes:
    """Every layer's embeddings of the items, each (n, d); and the means over layers: items (n, d), facets (F, d)."""

    layers: tuple[Tensor, ...]
    items: Tensor
    facets: Tensor


class Representation(nn.Module):
    """Embeddings of the nodes of a graph, convolved with their neighbours', a mean over layers.

    A user stands in it as their history has them: known or not, with the items that they chose before they spoke.
    Somebody who is new begins with the mean of all users' embeddings.
    """

    def __init__(self, graph: Graph, settings: OfflineSettings) -> None:
        super().__init__()
        self.graph, self.settings = graph, settings
        width = settings.width
        self.embeddings = nn.Parameter(torch.empty(graph.users + graph.items + graph.facets, width))
        nn.init.normal_(self.embeddings, std=0.1)
        self.convolutions = nn.ModuleList(nn.Linear(width, width) for _ in range(settings.layers))
        self.popularity = nn.Parameter(torch.zeros(graph.items), requires_grad=settings.bias)
        self.inference = Inference(width)

    def nodes(self) -> Nodes:
        """The items and facets, convolved."""
        users, items = self.graph.users, self.graph.items
        layers: list[Tensor] = [self.embeddings]
        for convolution in self.convolutions:
            layers.append(self._activated(convolution(mixed(self.graph.matrix, layers[-1]))))
        mean = torch.stack(layers).mean(0)
        of_items = tuple(layer[users : users + items] for layer in layers)
        return Nodes(of_items, mean[users : users + items], mean[users + items :])

    def users(self, nodes: Nodes, users: NDArray[np.int64], histories: Histories) -> Tensor:
        """users (B,), -1 for somebody new -> (B, d)."""
        known = torch.from_numpy(users >= 0)[:, None]
        own = F.embedding(torch.from_numpy(np.maximum(users, 0)), self.embeddings)
        layers = [torch.where(known, own, self.embeddings[: self.graph.users].mean(0))]
        rows, degrees = self.graph.neighbours(histories)
        share = torch.from_numpy(1 / degrees)[:, None]
        for convolution, items in zip(self.convolutions, nodes.layers, strict=False):
            around = mixed(rows, items) + layers[-1] * share
            layers.append(self._activated(convolution(around)))
        return torch.stack(layers).mean(0)

    def _activated(self, x: Tensor) -> Tensor:
        return F.dropout(F.leaky_relu(x), self.settings.dropout, self.training)

    def match(self, products: Tensor) -> Tensor:
        """What a product of two embeddings counts."""
        return torch.tanh(products) if self.settings.bounded else products


def told_facets(facets: Tensor, numbers: Tensor) -> Tensor:
    """The embeddings of facets (F, d) by their numbers (B, k), zeros where it is -1: (B, k, d)."""
    if len(facets) == 0:
        return facets.new_zeros(*numbers.shape, facets.shape[1])
    return F.embedding(numbers.clamp_min(0), facets) * (numbers >= 0)[:, :, None]
