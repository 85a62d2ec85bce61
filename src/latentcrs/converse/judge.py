"""Variant V (section 4.3): a language model grades the top of the list against the user's words; it is reordered."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, create_model

from latentcrs.converse.answers import story_of
from latentcrs.data import ColumnKind
from latentcrs.llm import Call, ChatModel, Message, ModelError, answer
from latentcrs.llm.prompts import prompt

JUDGED = 10
PLACES = 2.0
"""Places an item moves up for each grade above its neighbours. Not the grade alone: the order that is judged already
knows the person, and one wrong grade must not throw its best item out.
"""
CONTROLS = 3
"""Items that have nothing to do with the request, hidden among the judged ones at other places every time: a model
that does not see that they do not fit is not judging, and its grades are not used. (As gold questions keep crowd
workers honest; a small model repeats a pattern whatever it is shown.)
"""
LONGEST_ITEM = 240
JUDGED_ITEM, JUDGED_REQUEST = 56, 280
"""Characters of an item, and of what was said last, that a judge reads: title, year and kind."""


def grades(
    model: ChatModel,
    call: Call,
    request: str,
    liked: Sequence[str],
    items: Sequence[Mapping[str, Any]],
    columns: Mapping[str, ColumnKind],
    controls: Sequence[Mapping[str, Any]] = (),
) -> list[int]:
    """How well each item (its row of the catalogue) fits the request: 0 to 3.

    controls: items that do not fit it, put among the others.

    Raises:
        ModelError: the model gave no such list, or graded a control as fitting ("invalid").
    """
    count = len(items) + len(controls)
    hidden = np.random.default_rng(call.turn).choice(count, len(controls), replace=False).tolist()
    asked = list(items)
    for place, control in sorted(zip(hidden, controls, strict=True), key=lambda pair: pair[0]):
        asked.insert(place, control)
    grade = Annotated[int, Field(ge=0, le=3)]
    schema: type[BaseModel] = create_model(
        "Judgement", grades=(Annotated[list[grade], Field(min_length=count, max_length=count)], ...)
    )
    shown = [described(item, columns, JUDGED_ITEM) for item in asked]
    text = prompt("judge", request=request[-JUDGED_REQUEST:], liked=liked[-3:], items=shown)
    # What is always the same stands first: a model in this process reads it once.
    messages = [Message("system", prompt("judge_rules")), Message("user", text)]
    judged = answer(model, messages, call, schema, max_tokens=4 * count + 40)
    given: list[int] = judged.grades  # type: ignore[attr-defined]
    if any(given[place] > 1 for place in hidden):
        raise ModelError("invalid", "The model takes items for fitting that have nothing to do with the request.")
    return [grade for place, grade in enumerate(given) if place not in hidden]


def reordered(given: Sequence[int], places: float = PLACES) -> list[int]:
    """The order of the items, as positions in the list that was graded: each moves up by `places` for each grade."""
    return np.argsort(np.arange(len(given)) - places * np.asarray(given, float), kind="stable").tolist()


def described(item: Mapping[str, Any], columns: Mapping[str, ColumnKind], longest: int = LONGEST_ITEM) -> str:
    """An item as one line of a prompt."""
    facts = [
        ", ".join(map(str, value[:4])) if isinstance(value, list) else str(value)
        for column, kind in columns.items()
        if kind not in ("text", "link") and (value := item.get(column)) not in (None, [])
    ]
    return " | ".join([str(item["title"]), *facts, story_of(item, columns)])[:longest]
