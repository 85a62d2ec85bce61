"""Who hears the rules over one state of the catalogue."""

from __future__ import annotations

from typing import Literal

from latentcrs.hear import Extractor
from latentcrs.hear.open import hearer_of, open_extractor
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
