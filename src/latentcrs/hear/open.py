"""Opens an extractor by the name that commands give it."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from latentcrs.data import ColumnKind
from latentcrs.errors import UserError
from latentcrs.hear.hearer import Hearer
from latentcrs.hear.llm import LLMExtractor
from latentcrs.hear.reading import Extractor
from latentcrs.language.chat import ChatModel


def open_extractor(
    name: str, items: pl.DataFrame, columns: Mapping[str, ColumnKind], model: ChatModel | None = None
) -> Extractor:
    """The extractor `name` over a catalogue: "lexical", which needs no language model, or "llm", which asks `model`.

    Raises:
        UserError: no such extractor, or no language model for it.
    """
    if name == "lexical":
        return Hearer(items, columns)
    if name != "llm":
        raise UserError(f"There is no extractor {name!r}; choose lexical or llm.")
    if model is None:
        raise UserError("Rules heard by a language model need one; name it with --llm, or set LATENTCRS_LLM_URL.")
    return LLMExtractor(model, items, columns)
