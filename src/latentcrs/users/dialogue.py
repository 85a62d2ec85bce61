"""One conversation with a simulated user, as both sides see it, and what such a user must be able to do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.leak import words_of

_NUMBER = re.compile(r"(?:the )?['’]?(\d+(?:\.\d+)?)(['’]?s)?")


@dataclass(frozen=True)
class Question:
    """What a system asks the user: which value of `column`, or, with a `value`, whether it is that one."""

    column: str
    value: str | None = None


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


@dataclass(frozen=True)
class SystemTurn:
    """A system's answer: the numbers of the items it shows, best first, a question, or both."""

    items: tuple[int, ...] = ()
    question: Question | None = None


@dataclass
class Dialogue:
    """The user of one (user, cut), who wants `target`, and what was said and shown so far, turn by turn.

    history: the numbers of the items before the cut, oldest first. persona: how this user speaks. memory: the
    simulator's own notes. answer: to the last question about a value, for systems that take no words: whether the
    target is that; None where it cannot be said. leaks: sentences that gave it away, said otherwise or masked.
    """

    user: int
    cut: int
    target: int
    history: NDArray[np.int32]
    persona: str = ""
    said: list[str] = field(default_factory=list)
    shown: list[SystemTurn] = field(default_factory=list)
    memory: Any = None
    answer: bool | None = None
    leaks: int = 0


def dialogues_of(dataset: PreparedDataset, rows: pl.DataFrame) -> list[Dialogue]:
    """A dialogue for each of `rows` (user, cut, target: dense numbers), in which nothing was said yet."""
    found = []
    for user, cut, target in rows.select("user", "cut", "target").iter_rows():
        first = int(dataset.offsets[user])
        found.append(Dialogue(user, cut, target, dataset.sequence[first : first + cut]))
    return found


class SimulatedUser(Protocol):
    """Someone who wants one item and may not say its title."""

    name: str
    """Names the simulator, and what it depends on, in results and caches."""

    def speak(self, dialogues: Sequence[Dialogue]) -> None:
        """Say the next sentence of each dialogue, onto the end of its `said`: the opening, or the answer to the last
        of `shown`, in which the target was not. A function of the seed and the dialogue alone, in any order or batch.
        """
