"""UNICORN (Deng et al., SIGIR 2021): one policy over asking about attributes and recommending items."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from latentcrs.systems.facets import Facets
from latentcrs.systems.sessions import RECOMMEND, Acts, Sessions
from latentcrs_lab.systems.unicorn.embeddings import NodeEmbeddings, Preference, in_order
from latentcrs_lab.systems.unicorn.graph import GraphPruner, Graphs
from latentcrs_lab.systems.unicorn.network import QNetwork
from latentcrs_lab.systems.unicorn.settings import UnicornSettings


class Unicorn:
    """An `AskingPolicy`: does what has the highest Q-value among a few attributes and items."""

    def __init__(self, nodes: NodeEmbeddings, network: QNetwork, facets: Facets, settings: UnicornSettings) -> None:
        self.name = "unicorn"
        self.network, self.settings = network, settings
        self.preference = Preference(nodes, facets)
        self.pruning = GraphPruner(facets, self.preference, settings)

    def act(self, sessions: Sessions) -> Acts:
        """See `AskingPolicy.act`."""
        graphs = self.pruning(sessions)
        values = self.values(graphs)
        return acts_of(graphs, values.argmax(1), values, self.settings)

    def values(self, graphs: Graphs) -> NDArray[np.float32]:
        """Q of every action, see `QNetwork.forward`."""
        with torch.no_grad():
            found: NDArray[np.float32] = self.network(graphs).numpy()
        return found

    def scores(self, sessions: Sessions) -> NDArray[np.float32]:
        """See `AskingPolicy.scores`: by preference, items with more of the accepted attributes first."""
        users = self.preference.users(sessions.histories)
        return in_order(self.preference.scores(users, sessions.accepted, sessions.rejected), sessions.matches)


def acts_of(
    graphs: Graphs, actions: NDArray[np.int64], values: NDArray[np.float32], settings: UnicornSettings
) -> Acts:
    """What `actions` (B,), columns of `values` (B, K + items), mean. Where an item was chosen, it is shown together
    with the next best ones: candidates by `values`, and behind them what else fits by preference.
    """
    asking = graphs.asks.shape[1]
    rows = np.arange(len(actions))
    asks = np.where(actions < asking, graphs.asks[rows, np.minimum(actions, asking - 1)], RECOMMEND)
    order = values[:, asking:].copy()
    chosen = actions >= asking
    order[rows[chosen], actions[chosen] - asking] = np.inf
    ranked = np.full(graphs.items.shape, -np.inf, np.float32)  # what is no action keeps its place behind the others
    ranked[:, : order.shape[1]] = order
    places = np.argsort(-ranked, axis=1, kind="stable")[:, : settings.shown]
    return Acts(asks.astype(np.int64), np.take_along_axis(graphs.items, places, 1).astype(np.int64))
