"""Variant V (section 4.3): a language model grades the top of the list against the user's words; it is reordered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, create_model

from latentcrs.converse.answers import story_of
from latentcrs.data import ColumnKind
from latentcrs.language.chat import Call, ChatModel, Message, answer
from latentcrs.language.prompts import prompt

JUDGED = 20
PLACES = 2.0
"""Places an item moves up for each grade above its neighbours. Not the grade alone: the order that is judged already
knows the person, and one wrong grade must not throw its best item out.
"""
LONGEST_ITEM = 240


def grades(
    model: ChatModel,
    call: Call,
    request: str,
    liked: Sequence[str],
    items: Sequence[Mapping[str, Any]],
    columns: Mapping[str, ColumnKind],
) -> list[int]:
    """How well each item (its row of the catalogue) fits the request: 0 to 3.

    Raises:
        ModelError: the model gave no such list.
    """
    count = len(items)
    grade = Annotated[int, Field(ge=0, le=3)]
    schema: type[BaseModel] = create_model(
        "Judgement", grades=(Annotated[list[grade], Field(min_length=count, max_length=count)], ...)
    )
    text = prompt("judge", request=request, liked=list(liked), items=[described(item, columns) for item in items])
    judged = answer(model, [Message("user", text)], call, schema, max_tokens=8 * count + 40)
    return judged.grades  # type: ignore[attr-defined]


def reordered(given: Sequence[int], places: float = PLACES) -> list[int]:
    """The order of the items, as positions in the list that was graded: each moves up by `places` for each grade."""
    return np.argsort(np.arange(len(given)) - places * np.asarray(given, float), kind="stable").tolist()


def described(item: Mapping[str, Any], columns: Mapping[str, ColumnKind]) -> str:
    """An item as one line of a prompt."""
    facts = [
        ", ".join(map(str, value[:4])) if isinstance(value, list) else str(value)
        for column, kind in columns.items()
        if kind != "text" and (value := item.get(column)) not in (None, [])
    ]
    return " | ".join([str(item["title"]), *facts, story_of(item, columns)])[:LONGEST_ITEM]
