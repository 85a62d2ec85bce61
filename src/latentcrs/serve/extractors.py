"""Who hears the rules over one state of the catalogue."""

from __future__ import annotations

from copy import copy
from typing import Literal

from latentcrs.hear import Extractor
from latentcrs.hear.open import hearer_of, open_extractor
from latentcrs.llm import ChatModel
from latentcrs.recommend import Recommender


class Extractors:
    """Who hears the rules over one catalogue: made once, used by every conversation."""

    def __init__(self, recommender: Recommender, rules: Literal["lexical", "llm"], model: ChatModel | None) -> None:
        """Raises:
        UserError: "llm" without a model.
        """
        items, columns = recommender.bundle.items, recommender.bundle.columns
        self.recommender = recommender
        self.lexical = hearer_of(recommender)
        self._asking = open_extractor("llm", items, columns, model) if rules == "llm" else None

    def of(self, model: ChatModel | None) -> Extractor:
        """The extractor of one conversation, which asks `model`: the one that counts its tokens."""
        if self._asking is None or model is None:
            return self.lexical
        own = copy(self._asking)
        setattr(own, "model", model)  # noqa: B010
        return own
