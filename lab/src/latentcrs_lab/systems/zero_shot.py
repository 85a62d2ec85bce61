"""Zero-shot: a language model names titles by what it knows of the world; the rows of bare models in the paper's
tables (prompted as in He et al., "Large Language Models as Zero-Shot Conversational Recommenders", CIKM 2023).
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, create_model

from latentcrs.data import PreparedDataset
from latentcrs.llm import ChatModel
from latentcrs.recommend import Recommender
from latentcrs_lab.systems.named import NamedTitles
from latentcrs_lab.systems.prompted import Behaviour, PromptedSystem, Turn, share

SPARE = 2
"""Titles asked for in a conversation's turn, for each item that is shown: the catalogue does not have all of them."""
LONGEST_NAME = 80
TOKENS_PER_TITLE = 50


class ZeroShot(PromptedSystem):
    """The history and the conversation in the prompt, titles out, each matched to the catalogue (`NamedTitles`).

    A title that the catalogue does not have, or of an item that was chosen before or shown already, is left out: a
    turn may show fewer items than there is room for, and none where the call failed. In the one-turn tables all items
    that were not named share one score, so that ties count against the target.
    """

    name = "zero-shot"

    def __init__(
        self, dataset: PreparedDataset, recommender: Recommender, behaviour: Behaviour, model: ChatModel, k: int = 5
    ) -> None:
        """See `PromptedSystem`."""
        super().__init__(dataset, recommender, behaviour, model, k)
        self.wanted = SPARE * self.k
        self._named = NamedTitles(self.dataset.items, self.dataset.training_counts.tolist(), self._year)
        self._newest = max((year for year in self._years if year is not None), default=None)

    def _answer(self, turn: Turn) -> list[int]:
        """See `PromptedSystem`."""
        text = self.prompt("zero_shot", turn, newest=self._newest)
        written: Any = turn.ask("zero-shot", text, _schema(turn.wanted), TOKENS_PER_TITLE * turn.wanted + 100)
        return self._found(written.titles, turn) if written is not None else []

    def _found(self, titles: list[str], turn: Turn) -> list[int]:
        """The items that may be shown, of those that are named."""
        open_items, written = turn.talk.open, set()
        found: dict[int, None] = {}
        for named in self._named.find(titles):
            same = named.title.casefold().strip()
            if same in written or named.item in found:
                turn.counts["repeated"] += 1
                continue
            written.add(same)
            turn.counts["titles"] += 1
            if named.item is None:
                continue
            turn.counts["near" if named.near else "exact"] += 1
            if open_items[named.item]:
                found[named.item] = None
            else:
                turn.counts["known"] += 1
        turn.counts["usable"] += len(found)
        return list(found)

    def _behind(self, behaved: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.zeros_like(behaved)

    def _told(self, counts: Counter[str]) -> dict[str, float]:
        """titles: different ones written, `repeated` ones left out. match_rate: the share of them that the catalogue
        has, near_rate: those of them that it writes in other letters. known_rate: the share of titles of items that
        were chosen before or shown. usable: items per answer.
        """
        titles = counts["titles"]
        return {
            "titles": titles,
            "repeated": counts["repeated"],
            "match_rate": share(counts["exact"] + counts["near"], titles),
            "near_rate": share(counts["near"], titles),
            "known_rate": share(counts["known"], titles),
            "usable": share(counts["usable"], counts["answers"]),
        }


def _schema(most: int) -> type[BaseModel]:
    title = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    titles: Any = Annotated[list[title], Field(min_length=1, max_length=most)]
    return create_model("Titles", titles=(titles, ...))
