"""What is true of an item when a system asks: is its column this value?"""

from __future__ import annotations

import operator
import re

from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.dialogue import Question
from latentcrs.users.leak import words_of

_SIDES = (
    (r"<=|at most|up to|until", operator.le),
    (r">=|at least|from|since|or later|\+", operator.ge),
    (r"<|under|below|before|less than|older than|pre", operator.lt),
    (r">|over|above|after|more than|newer than|post", operator.gt),
)


def answer_to(question: Question, dataset: PreparedDataset, item: int) -> bool | None:
    """Whether the column asked about is, lists, says (text) or lies in (a year or number) the value asked for.

    Years and numbers are asked as "1995", "1990s", "90s", "1990-1999", "before 1990", "> 20". None where no value is
    asked, the catalogue has nothing in the column, or the question is not understood.
    """
    kind = dataset.info.columns.get(question.column)
    if question.value is None or kind is None:
        return None
    found, asked = dataset.items[question.column][item], question.value.strip().lower()
    if found is None or not len(found if hasattr(found, "__len__") else [found]):
        return None
    if kind in ("year", "number"):
        return _within(float(found), asked)
    if kind == "text":
        return f" {' '.join(words_of(asked))} " in f" {' '.join(words_of(found))} "
    return asked in {str(one).strip().lower() for one in ([found] if isinstance(found, str) else found)}


def _within(number: float, asked: str) -> bool | None:
    bounds = [float(bound) for bound in re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"(?<=\d)\s*[-–]\s*", " to ", asked))]
    if len(bounds) == 2:
        return bounds[0] <= number <= bounds[1]
    if len(bounds) != 1:
        return None
    (bound,) = bounds
    if re.search(r"\d['’]?s$", asked):
        bound += 0 if bound >= 1000 else 1900 if bound >= 30 else 2000
        return bound <= number < bound + 10
    compare = next((side for pattern, side in _SIDES if re.search(pattern, asked)), operator.eq)
    return bool(compare(number, bound))
