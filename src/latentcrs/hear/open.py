"""Opens an extractor by the name that commands give it."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from latentcrs.data import ColumnKind
from latentcrs.errors import UserError
from latentcrs.hear.heads import StateEncoder
from latentcrs.hear.hearer import Hearer
from latentcrs.hear.llm import LLMExtractor
from latentcrs.hear.reading import Extractor
from latentcrs.language import TextEncoder
from latentcrs.language.chat import ChatModel


def state_encoder(encoder: TextEncoder) -> StateEncoder | None:
    """`encoder`, where it is the one that the heads are trained for, so that it is loaded once; else None."""
    from latentcrs.language.minilm import MiniLM  # late: PyTorch takes seconds

    return encoder if isinstance(encoder, MiniLM) else None


def open_extractor(
    name: str,
    items: pl.DataFrame,
    columns: Mapping[str, ColumnKind],
    model: ChatModel | None = None,
    encoder: TextEncoder | None = None,
) -> Extractor:
    """The extractor `name` over a catalogue: "lexical", which needs no language model, or "llm", which asks `model`.

    encoder: what else reads requests, whose states are used where they are of the right kind.

    Raises:
        UserError: no such extractor, or no language model for it.
    """
    if name == "lexical":
        return Hearer(items, columns, None if encoder is None else state_encoder(encoder))
    if name != "llm":
        raise UserError(f"There is no extractor {name!r}; choose lexical or llm.")
    if model is None:
        raise UserError("Rules heard by a language model need one; name it with --llm, or set LATENTCRS_LLM_URL.")
    return LLMExtractor(model, items, columns)
