"""The network of UNICORN: graph convolution and transformer over a session's graph, and its dueling Q-values."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentcrs.systems.facets import Facets
from latentcrs_lab.systems.unicorn.embeddings import NodeEmbeddings
from latentcrs_lab.systems.unicorn.graph import NONE, Graphs
from latentcrs_lab.systems.unicorn.settings import UnicornSettings


class GraphConvolution(nn.Module):
    """e_i' = ReLU(sum over neighbours j of L_ij W e_j + B e_i), L the symmetrically normalised adjacency matrix."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.near, self.own = nn.Linear(inner, outer, bias=False), nn.Linear(inner, outer)

    def forward(self, nodes: Tensor, others: Tensor, edges: Tensor) -> Tensor:
        """nodes (B, l, inner), others (B, r, inner): the nodes that they may be joined to; edges (B, l, r): of L
        -> (B, l, outer).
        """
        return torch.relu(torch.bmm(edges, self.near(others)) + self.own(nodes))


def normalised(edges: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2, from the weights A of the edges between both sides of graphs, (B, l, r)."""
    left, right = edges.sum(2, keepdim=True), edges.sum(1, keepdim=True)
    return edges / (left * right).sqrt().clamp_min(1e-6)


class QNetwork(nn.Module):
    """Q(s, a) = V(s) + A(s, a) - the mean of A over the actions there are (Wang et al., ICML 2016).

    State: graph convolution over the whole graph, then a transformer over the user and the accepted attributes, and
    the mean of what it makes of them.
    Action: the embedding of the attribute or item, and its share of the candidates' weight.
    """

    def __init__(self, nodes: NodeEmbeddings, facets: Facets, settings: UnicornSettings) -> None:
        super().__init__()
        width, hidden = settings.width, settings.hidden
        self._items = settings.items
        # The pre-trained embeddings stay as they are, which is the public code's default; only brought to one scale.
        scale = nodes.items.detach().std()
        tables = {
            "item_nodes": nodes.items.detach() / scale,
            "facet_nodes": F.pad(nodes.facets.detach() / scale, (0, 0, 0, 1)),  # the last row stands for no facet
            "has": F.pad(torch.from_numpy(facets.has), (0, 1)),
            "scale": scale,
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)
        self.item_nodes: Tensor
        self.facet_nodes: Tensor
        self.scale: Tensor
        self.has: Tensor
        sizes = [width, *[hidden] * settings.layers]
        self.convolutions = nn.ModuleList(map(GraphConvolution, sizes[:-1], sizes[1:]))
        layer = nn.TransformerEncoderLayer(hidden, settings.heads, 4 * hidden, dropout=0.0, batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, settings.transformer_layers, enable_nested_tensor=False)
        self.turn = nn.Embedding(settings.turns, hidden)
        self.state = nn.Linear(hidden, hidden)
        self.value = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.advantage = nn.Sequential(nn.Linear(hidden + width + 1, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, graphs: Graphs) -> Tensor:
        """Q of every action, (B, K + items), in the order of `Graphs.actions`; -inf where there is no such action."""
        state = self.encoded(graphs)
        items = torch.from_numpy(graphs.items[:, : self._items]).long()
        nodes = torch.cat(
            [self.facet_nodes[torch.from_numpy(graphs.asks).long()], self.item_nodes[items.clamp_min(0)]], 1
        )
        share = torch.cat([torch.from_numpy(graphs.shares), torch.from_numpy(graphs.weights[:, : self._items])], 1)
        there = torch.from_numpy(graphs.actions(self._items))  # (B, a)
        joined = torch.cat([state[:, None].expand(-1, nodes.shape[1], -1), nodes, share[..., None]], 2)
        advantage: Tensor = self.advantage(joined)[..., 0]
        mean = (advantage * there).sum(1, keepdim=True) / there.sum(1, keepdim=True)
        values: Tensor = self.value(state) + advantage - mean
        return values.masked_fill(~there, -torch.inf)

    def encoded(self, graphs: Graphs) -> Tensor:
        """The states, (B, hidden)."""
        accepted, asks, items = (
            torch.from_numpy(nodes).long() for nodes in (graphs.accepted, graphs.asks, graphs.items)
        )
        weights = torch.from_numpy(graphs.weights)
        facets = torch.cat([accepted, asks], 1)  # (B, A + K)
        # NONE is -1, the last column: an attribute that no item has.
        linked = self.has[items[:, None], facets[:, :, None]] & (weights > 0)[:, None]  # (B, A + K, M)
        edges = normalised(torch.cat([weights[:, None], linked.float()], 1))
        user = (torch.from_numpy(graphs.users) / self.scale)[:, None]
        # Every edge joins an item to the user or to an attribute, so these two sides of the graph are kept apart.
        left, right = torch.cat([user, self.facet_nodes[facets]], 1), self.item_nodes[items.clamp_min(0)]
        for convolution in self.convolutions[:-1]:
            left, right = convolution(left, right, edges), convolution(right, left, edges.transpose(1, 2))
        read = slice(1 + accepted.shape[1])  # of the last layer, what the transformer reads
        left = self.convolutions[-1](left[:, read], right, edges[:, read])
        absent = torch.cat([torch.zeros(len(graphs), 1, dtype=torch.bool), accepted == NONE], 1)
        sequence = self.transformer(left, src_key_padding_mask=absent) * ~absent[..., None]
        mean = sequence.sum(1) / (~absent).sum(1, keepdim=True)
        turns = torch.from_numpy(graphs.turns).long().clamp_max(self.turn.num_embeddings - 1)
        return torch.relu(self.state(mean + self.turn(turns)))
