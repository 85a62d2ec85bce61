"""What is true of an item when a system asks: is its `column` this value?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from latentcrs.data.dataset import ColumnKind
from latentcrs.users.leak import words_of

_NUMBER = r"\$?(-?\d+(?:\.\d+)?)"
_BOUNDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"{_NUMBER}\s*(?:-|–|to|and)\s*{_NUMBER}"), "between"),
    (re.compile(rf"(?:<=|at most|up to|until)\s*{_NUMBER}"), "at most"),
    (re.compile(rf"(?:>=|at least|from|since)\s*{_NUMBER}|{_NUMBER}\s*(?:or later|\+)"), "at least"),
    (re.compile(rf"(?:<|under|below|before|less than|older than|pre-?)\s*{_NUMBER}"), "below"),
    (re.compile(rf"(?:>|over|above|after|more than|newer than|post-?)\s*{_NUMBER}"), "above"),
    (re.compile(r"(?:the )?['’]?(\d{2}|\d{3}0)['’]?s"), "decade"),
    (re.compile(_NUMBER), "equal"),
)


def is_value(row: Mapping[str, Any], column: str, kind: ColumnKind, value: str) -> bool | None:
    """Whether `column` of the item `row` is, lists, says (text) or lies in (a year or number) `value`.

    Years and numbers are asked as "1995", "1990s", "90s", "1990-1999", "before 1990", "> 20". None where the
    catalogue has nothing in the column or the question is not understood.
    """
    found = row.get(column)
    if found is None or found == [] or found == "":
        return None
    asked = value.strip().lower()
    if kind in ("year", "number"):
        return _within(float(found), asked)
    if kind == "text":
        return f" {' '.join(words_of(asked))} " in f" {' '.join(words_of(found))} "
    values = found if isinstance(found, list) else [found]
    return asked in {str(one).strip().lower() for one in values}


def _within(number: float, asked: str) -> bool | None:
    for pattern, meaning in _BOUNDS:
        match = pattern.fullmatch(asked)
        if match is None:
            continue
        bound, *more = (float(group) for group in match.groups() if group is not None)
        if meaning == "between":
            return bound <= number <= more[0]
        if meaning == "decade":
            decade = bound if bound >= 1000 else (1900 if bound >= 30 else 2000) + bound
            return decade <= number < decade + 10
        return {
            "at most": number <= bound,
            "at least": number >= bound,
            "below": number < bound,
            "above": number > bound,
            "equal": number == bound,
        }[meaning]
    return None
