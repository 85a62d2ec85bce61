"""What is true of an item when a system asks: is its column this value?"""

from __future__ import annotations

import re

from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.dialogue import Question
from latentcrs.users.leak import words_of

_NUMBER = re.compile(r"(?:the )?['’]?(\d+(?:\.\d+)?)(['’]?s)?")


def answer_to(question: Question, dataset: PreparedDataset, item: int) -> bool | None:
    """Whether the column asked about is, lists, says (text) or lies in (a decade) the value asked for.

    Years and numbers are asked as "1995", "1990s", "the 90s". None where no value is asked, the catalogue has nothing
    in the column, or the question is not understood.
    """
    kind = dataset.info.columns.get(question.column)
    if question.value is None or kind is None:
        return None
    found, asked = dataset.items[question.column][item], question.value.strip().lower()
    if found is None or not len(found if hasattr(found, "__len__") else [found]):
        return None
    if kind == "text":
        return f" {' '.join(words_of(asked))} " in f" {' '.join(words_of(found))} "
    if kind not in ("year", "number"):
        return asked in {str(one).strip().lower() for one in ([found] if isinstance(found, str) else found)}
    said = _NUMBER.fullmatch(asked)
    if said is None or said[2] is None:
        return None if said is None else float(found) == float(said[1])
    decade = float(said[1]) + (0 if len(said[1]) > 2 else 1900 if float(said[1]) >= 30 else 2000)
    return bool(decade <= found < decade + 10)
