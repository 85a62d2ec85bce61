"""One turn of CRIF, all but the decision: where sessions stand, what would be asked, and what would be shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from latentcrs.systems.facets import Facets
from latentcrs.systems.sessions import Sessions, best
from latentcrs_lab.systems.crif.preference import Preference
from latentcrs_lab.systems.crif.settings import DecisionSettings
from latentcrs_lab.systems.crif.tracking import Tracking, ordered


@dataclass(frozen=True)
class SessionState:
    """Where B sessions stand. state (B, FEATURES). keys (B, n): the order in which items would be shown, the larger
    the better. candidates (B, n). question (B,): the facet that would be asked about, where `can_ask` (B,).
    """

    state: NDArray[np.float32]
    keys: NDArray[np.float32]
    candidates: NDArray[np.bool_]
    question: NDArray[np.int64]
    can_ask: NDArray[np.bool_]


class Turn:
    """Tracking, and the preference that was inferred from it."""

    def __init__(self, facets: Facets, preference: Preference, settings: DecisionSettings) -> None:
        self.settings = settings
        self._tracking, self.preference = Tracking(facets, settings.turns, settings.shown), preference

    def __call__(self, sessions: Sessions) -> SessionState:
        """Where `sessions` stand; nothing is changed in them."""
        fits, scores = self._tracking.fits(sessions), self.preference.scores(sessions)
        candidates = self._tracking.candidates(sessions, fits)
        weights = candidates.astype(np.float32)
        if self.settings.weighted:
            weights *= softmax(np.where(candidates, scores, scores.min(1, keepdims=True)), axis=1)
        question, can_ask = self._tracking.questions(sessions, weights)
        state = self._tracking.states(sessions, candidates)
        return SessionState(state, ordered(fits, scores), candidates, question, can_ask)

    def keys(self, sessions: Sessions) -> NDArray[np.float32]:
        """`SessionState.keys` alone."""
        return ordered(self._tracking.fits(sessions), self.preference.scores(sessions))

    def list_of(self, standing: SessionState, sessions: Sessions) -> NDArray[np.int64]:
        """What would be shown, (B, shown)."""
        return best(standing.keys, ~sessions.gone, self.settings.shown)
