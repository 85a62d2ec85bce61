"""Who hears the rules over one state of the catalogue."""

from __future__ import annotations

from copy import copy
from typing import Literal

from latentcrs.hear import Extractor
from latentcrs.hear.open import handed_over, hearer_of, open_extractor
from latentcrs.llm import ChatModel
from latentcrs.recommend import Recommender


class Extractors:
    """Who hears the rules over one catalogue: made once, used by every conversation. lexical: by words alone."""

    def __init__(self, recommender: Recommender, rules: Literal["lexical", "llm"], model: ChatModel | None) -> None:
        """Raises:
        UserError: "llm" without a model.
        """
        items, columns = recommender.bundle.items, recommender.bundle.columns
        self.recommender = recommender
        self.lexical = hearer_of(recommender)
        self.chosen: Extractor = open_extractor("llm", items, columns, model) if rules == "llm" else self.lexical

    def over(self, recommender: Recommender) -> Extractors:
        """The same over a catalogue of which no words are others."""
        made = copy(self)
        made.recommender, made.lexical = recommender, handed_over(self.lexical, recommender)
        if self.chosen is self.lexical:
            made.chosen = made.lexical
        return made
