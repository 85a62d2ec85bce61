"""A system that asks about facets, in conversation with simulated users and in the one-turn tables."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.histories import Histories
from latentcrs.systems.hearing import FacetHearing
from latentcrs.systems.sessions import RECOMMEND, Acts, AskingPolicy, Sessions, best
from latentcrs.users.dialogue import Dialogue, SystemTurn


class FacetDialogues:
    """A `Conversationalist` around a policy. Of the user's words it hears the facets of the opening, as in the
    systems' own papers, where the user begins with an attribute; after that only yes, no, and not this.
    """

    def __init__(self, dataset: PreparedDataset, hearing: FacetHearing, policy: AskingPolicy) -> None:
        self.name, self.policy = policy.name, policy
        self._dataset, self._hearing = dataset, hearing
        self._met: list[Dialogue] = []
        self._places: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._sessions: Sessions | None = None

    def meet(self, dialogues: Sequence[Dialogue]) -> None:
        """See `Conversationalist.meet`."""
        self._places = {id(dialogue): place for place, dialogue in enumerate(dialogues)}
        self._met, self._asks, self._sessions = list(dialogues), {}, None

    def reply(self, dialogues: Sequence[Dialogue]) -> list[SystemTurn]:
        """See `Conversationalist.reply`."""
        sessions = self._sessions = self._sessions or self._begun()
        rows = np.array([self._places[id(dialogue)] for dialogue in dialogues])
        for row, dialogue in zip(rows.tolist(), dialogues, strict=True):
            self._hear(sessions, row, dialogue)
        acts = self.policy.act(sessions.some(rows))
        sessions.turns[rows] += 1
        answers = []
        for ask, items in zip(acts.asks.tolist(), acts.items.tolist(), strict=True):
            if ask == RECOMMEND:
                answers.append(SystemTurn(tuple(item for item in items if item >= 0)))
            else:
                answers.append(SystemTurn((), self._hearing.facets.question(ask)))
        self._asks |= dict(zip(rows.tolist(), acts.asks.tolist(), strict=True))
        return answers

    def _begun(self) -> Sessions:
        users = np.array([dialogue.user for dialogue in self._met], np.int64)
        histories = Histories.from_lists([dialogue.history.tolist() for dialogue in self._met])
        accepted, rejected = self._hearing.heard([dialogue.said[0] for dialogue in self._met])
        return Sessions.begin(self._hearing.facets, users, histories, accepted, rejected)

    def _hear(self, sessions: Sessions, row: int, dialogue: Dialogue) -> None:
        """Note what became of the last act."""
        if row not in self._asks:
            return
        place, ask = np.array([row]), self._asks[row]
        if ask == RECOMMEND:
            sessions.refused(place, np.array([dialogue.shown[-1].items], np.int64))
        else:
            answer = -1 if dialogue.answer is None else int(dialogue.answer)
            sessions.answered(place, np.array([ask]), np.array([answer], np.int8))

    def tokens(self, dialogue: Dialogue) -> tuple[int, int]:
        """None: no language model is asked."""
        return 0, 0

    def scores(self, requests: pl.DataFrame) -> NDArray[np.float32]:
        """Every item's score for each request (columns of `REQUESTS_SCHEMA`), (B, n)."""
        users = requests["user"].fill_null(-1).to_numpy().astype(np.int64)
        histories = self._dataset.request_histories(requests)
        accepted, rejected = self._hearing.of_requests(requests)
        return self.policy.scores(Sessions.begin(self._hearing.facets, users, histories, accepted, rejected))


ENOUGH = 10
"""Candidates that are few enough to be shown."""


class AttributeFilter:
    """Popularity among the items that have the accepted facets; `asks`: questions first."""

    def __init__(self, counts: NDArray[np.int64], asks: bool, k: int = 5, turns: int = 5) -> None:
        """counts (n,): how often each item was chosen. k: items shown in a turn. turns: of a whole conversation."""
        self.name = "max-entropy" if asks else "attributes"
        self._counts, self._asks, self._k, self._turns = counts.astype(np.float32), asks, k, turns

    def act(self, sessions: Sessions) -> Acts:
        """See `AskingPolicy.act`."""
        candidates = sessions.candidates()
        items = best(np.broadcast_to(self._counts, candidates.shape), ~sessions.gone & candidates, self._k)
        short = (items < 0).any(1)
        if short.any():  # too few candidates: the next best behind them
            items[short] = best(self._ordered(sessions)[short], ~sessions.gone[short], self._k)
        asks = np.full(len(sessions), RECOMMEND)
        if self._asks:
            allowed = sessions.askable()
            weight = candidates.astype(np.float32)
            share = (weight @ sessions.facets.weights) / weight.sum(1, keepdims=True)
            even = np.where(allowed, -np.abs(share - 0.5), -np.inf)
            wants = (candidates.sum(1) > ENOUGH) & (sessions.turns < self._turns - 1) & allowed.any(1)
            asks[wants] = even[wants].argmax(1)
        return Acts(asks, items)

    def scores(self, sessions: Sessions) -> NDArray[np.float32]:
        """See `AskingPolicy.scores`."""
        return self._ordered(sessions)

    def _ordered(self, sessions: Sessions) -> NDArray[np.float32]:
        """Items by how many accepted facets they have, the popular first among equals."""
        clashes = sessions.rejected.astype(np.float32) @ sessions.facets.weights.T
        share = self._counts / (self._counts.max() + 1)
        return (sessions.matches - clashes + share).astype(np.float32)
