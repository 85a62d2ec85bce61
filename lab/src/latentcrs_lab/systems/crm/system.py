"""CRM in conversations and in the one-turn tables: it hears words, asks about a column, or shows items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.dataset import PreparedDataset
from latentcrs.systems.sessions import best
from latentcrs.users.dialogue import Dialogue, Question, SystemTurn
from latentcrs_lab.systems.crm.model import CrmModel
from latentcrs_lab.systems.crm.words import Heard


class Crm:
    """A `Conversationalist` around a trained CRM."""

    name = "crm"

    def __init__(self, dataset: PreparedDataset, model: CrmModel) -> None:
        self._dataset, self.model = dataset, model
        self._places: dict[int, int] = {}
        self._said: list[list[int]] = []
        self._heard: Heard = model.ear.hear([])

    def meet(self, dialogues: Sequence[Dialogue]) -> None:
        """See `Conversationalist.meet`."""
        self._places = {id(dialogue): place for place, dialogue in enumerate(dialogues)}
        self._said = [[] for _ in dialogues]
        self._heard = self.model.ear.hear([])

    def reply(self, dialogues: Sequence[Dialogue]) -> list[SystemTurn]:
        """See `Conversationalist.reply`."""
        self._listen(dialogues)
        answers: list[SystemTurn] = [SystemTurn()] * len(dialogues)
        lengths = np.array([len(dialogue.said) for dialogue in dialogues])
        for length in np.unique(lengths).tolist():  # side by side they have taken as many turns, as a rule
            places = np.flatnonzero(lengths == length)
            now = [dialogues[place] for place in places.tolist()]
            for place, answer in zip(places.tolist(), self._answer(now), strict=True):
                answers[place] = answer
        return answers

    def _listen(self, dialogues: Sequence[Dialogue]) -> None:
        """Hear what was said since the last time."""
        texts: list[str] = []
        known = len(self._heard.offsets) - 1
        for dialogue in dialogues:
            numbers = self._said[self._places[id(dialogue)]]
            new = dialogue.said[len(numbers) :]
            numbers += range(known + len(texts), known + len(texts) + len(new))
            texts += new
        self._heard = self._heard + self.model.ear.hear(texts)

    def _answer(self, dialogues: list[Dialogue]) -> list[SystemTurn]:
        columns = self.model.values.columns
        said = np.array([self._said[self._places[id(dialogue)]] for dialogue in dialogues])
        asked = np.zeros_like(said)
        gone = np.zeros((len(dialogues), self._dataset.info.items), bool)
        for row, dialogue in enumerate(dialogues):
            gone[row, dialogue.history] = True
            for turn, shown in enumerate(dialogue.shown[: said.shape[1] - 1], 1):
                gone[row, list(shown.items)] = True
                if shown.question is not None:
                    asked[row, turn] = 1 + columns.index(shown.question.column)
        users = np.array([dialogue.user for dialogue in dialogues], np.int64)
        state, scores = self.model.read(self._heard, said, asked, users)
        acts = self.model.policy(state).argmax(1).tolist()
        items = best(scores.numpy(), ~gone, self.model.settings.shown).tolist()
        return [
            SystemTurn((), Question(columns[act]))
            if act < len(columns)
            else SystemTurn(tuple(i for i in row if i >= 0))
            for act, row in zip(acts, items, strict=True)
        ]

    def tokens(self, dialogue: Dialogue) -> tuple[int, int]:
        """None: no language model is asked."""
        return 0, 0

    def scores(self, requests: pl.DataFrame) -> NDArray[np.float32]:
        """Every item's score for each request (columns of `REQUESTS_SCHEMA`), (B, n)."""
        said = np.arange(len(requests))[:, None]
        users = requests["user"].fill_null(-1).to_numpy().astype(np.int64)
        heard = self.model.ear.hear(requests["text"].to_list())
        found: NDArray[np.float32] = self.model.read(heard, said, np.zeros_like(said), users)[1].numpy()
        return found
