"""What is said about columns, in a form that is equal wherever the meaning is: heard and labelled are compared so."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from latentcrs.data import ColumnKind
from latentcrs.data.rules import ALWAYS_THERE, Rule, runs_of

Said = Literal["rule", "wish", "dropped"]
SAID: tuple[Said, ...] = ("rule", "wish", "dropped")
Range = tuple[float, float]


@dataclass(frozen=True, order=True)
class Predicate:
    """One thing said about a column, in a form that is equal wherever the meaning is.

    said: whether it filters, ranks or is taken back. values: lowered words; or closed ranges of whole years, endless
    ones with an infinite end; or numbers as they are.
    """

    said: Said
    column: str
    test: str  # any, not, contains, in, or the operator of a number
    values: tuple[Any, ...]

    def __str__(self) -> str:
        """E.g. "wish year in 1990..1999"."""
        shown = [_range_in_words(value) if isinstance(value, tuple) else str(value) for value in self.values]
        return f"{self.said} {self.column} {self.test} {' | '.join(shown)}"


def canonical(rule: Rule, columns: Mapping[str, ColumnKind], said: Said = "rule") -> frozenset[Predicate]:
    """The predicates that a rule amounts to: one, or one for each value where all must hold or none may.

    Texts are one: the title, the text and text columns are compared as "text".
    """
    kind: str = "text" if rule.column in ALWAYS_THERE else columns.get(rule.column, "category")
    values: Sequence[str | float] = rule.value if isinstance(rule.value, list) else [rule.value]
    if kind in ("year", "number"):
        numbers = sorted({float(value) for value in values})
        if kind == "number":
            return frozenset({Predicate(said, rule.column, rule.op, tuple(numbers))})
        test = "not" if rule.op == "not" else "in"
        return frozenset({Predicate(said, rule.column, test, _years(rule.op, numbers))})
    words = {str(value).lower() for value in values}
    if kind == "text":
        column, test = "text", rule.op
        words = {word.removesuffix("s") or word for word in words} if rule.op in ("contains", "not") else words
    else:
        column, test = rule.column, "any" if rule.op in ("is", "has any", "has all") else rule.op
    if test == "not" or rule.op == "has all" or (rule.op == "is" and kind == "multi-category"):
        return frozenset(Predicate(said, column, test, (word,)) for word in words)
    return frozenset({Predicate(said, column, test, tuple(sorted(words)))})


def _years(op: str, values: list[float]) -> tuple[Range, ...]:
    """The whole years that pass (for `not`: that do not), as closed ranges without neighbours. values: ascending."""
    first = values[0]
    if op == "between":
        return ((math.ceil(first), math.floor(values[-1])),)
    if op in ("<", "<="):
        return ((-math.inf, math.floor(first) if op == "<=" else math.ceil(first) - 1),)
    if op in (">", ">="):
        return ((math.ceil(first) if op == ">=" else math.floor(first) + 1, math.inf),)
    return tuple((run[0], run[-1]) for run in runs_of(values))


def _range_in_words(years: Range) -> str:
    low, high = ("" if math.isinf(year) else f"{year:g}" for year in years)
    return low if low == high else f"{low}..{high}"
