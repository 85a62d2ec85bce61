"""Opens an extractor by the name that commands give it."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from latentcrs.data import ColumnKind
from latentcrs.errors import UserError
from latentcrs.language.chat import open_chat_model
from latentcrs.language.extract.heard import Extractor
from latentcrs.language.extract.lexical import LexicalExtractor
from latentcrs.language.extract.llm import LLMExtractor


def open_extractor(
    name: str, items: pl.DataFrame, columns: Mapping[str, ColumnKind], llm: str | None = None
) -> Extractor:
    """The extractor `name` ("lexical" or "llm") over a catalogue; `llm` as `open_chat_model` takes it.

    Raises:
        UserError: no such extractor, or no language model for it.
    """
    if name == "lexical":
        return LexicalExtractor(items, columns)
    if name != "llm":
        raise UserError(f"There is no extractor {name!r}; choose lexical or llm.")
    model = open_chat_model(llm)
    if model is None:
        raise UserError("The extractor llm needs a language model; name one with --llm, or set LATENTCRS_LLM_URL.")
    return LLMExtractor(model, items, columns)
