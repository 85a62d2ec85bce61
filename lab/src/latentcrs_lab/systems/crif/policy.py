"""CRIF in conversation: an `AskingPolicy` of its trained parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latentcrs.systems.sessions import RECOMMEND, Acts, Sessions
from latentcrs_lab.systems.crif.decision import Decision
from latentcrs_lab.systems.crif.turn import Turn

_TOGETHER = 512


class Crif:
    """Asks about the facet of the highest entropy, or recommends the candidates with the highest scores."""

    def __init__(self, turn: Turn, decision: Decision) -> None:
        self.name = "crif"
        self.turn, self.decision = turn, decision

    def act(self, sessions: Sessions) -> Acts:
        """See `AskingPolicy.act`."""
        standing = self.turn(sessions)
        last = sessions.turns >= self.turn.settings.turns - 1
        asks = self.decision.asks(standing.state) & standing.can_ask & ~last
        return Acts(np.where(asks, standing.question, RECOMMEND), self.turn.list_of(standing, sessions))

    def scores(self, sessions: Sessions) -> NDArray[np.float32]:
        """See `AskingPolicy.scores`: first what fits all facets heard, by score; then what fits less."""
        parts = [
            self.turn.keys(sessions.some(np.arange(start, min(start + _TOGETHER, len(sessions)))))
            for start in range(0, len(sessions), _TOGETHER)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(sessions.facets.has)), np.float32)
