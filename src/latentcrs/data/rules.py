"""Hard rules over the catalogue's own columns, as typed predicates that become Polars expressions."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from latentcrs.base.errors import UserError
from latentcrs.data import ColumnKind

Operator = Literal["is", "has any", "has all", "not", "<", "<=", ">", ">=", "between", "contains"]
ALLOWED: dict[str, frozenset[str]] = {
    "category": frozenset({"is", "has any", "not", "contains"}),
    "multi-category": frozenset({"is", "has any", "has all", "not", "contains"}),
    "number": frozenset({"is", "not", "<", "<=", ">", ">=", "between"}),
    "year": frozenset({"is", "not", "<", "<=", ">", ">=", "between"}),
    "text": frozenset({"is", "not", "contains"}),
    "link": frozenset({"is", "not"}),
}
"""Operators that make sense on each kind of column."""
ALWAYS_THERE = ("title", "text")
"""Columns of free text that every catalogue has: the title, and all that is said of an item as one text."""
_LETTERS = {
    "a": "[aàáâãäå]", "c": "[cç]", "e": "[eèéêë]", "i": "[iìíîï]", "n": "[nñ]", "o": "[oòóôõöø]", "u": "[uùúûü]",
    "y": "[yýÿ]",
}  # fmt: skip
_GAP = r"[\s\-]+"


class Rule(BaseModel):
    """One predicate, e.g. `Rule(column="genres", op="has any", value=["Comedy"])`.

    `not` is true of items that do not have the value (or any of the values). Text is compared without regard to case.
    An item whose column is empty passes only `not`. `contains` looks for whole words, whatever their plural, accents
    and hyphens: "robot" is in "Robots in love", "rob" is not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    op: Operator
    value: str | float | list[str] | list[float]

    def expression(self, columns: Mapping[str, ColumnKind]) -> pl.Expr:
        """The rule as a Polars expression over the catalogue, true where an item passes.

        Raises:
            UserError: no such column, an operator that its kind does not have, or a value of the wrong type.

        >>> rule = latentcrs.Rule(column="year", op=">=", value=1995)
        >>> items.filter(rule.expression(data.info.columns))["year"].min()
        1995
        >>> len(model.recommend(["Toy Story"], "a comedy", k=3, where=rule))
        3
        """
        kind: str = "text" if self.column in ALWAYS_THERE else columns.get(self.column, "")
        if not kind:
            has = ", ".join([*ALWAYS_THERE, *columns])
            raise UserError(f"The catalogue has no column {self.column!r}; it has {has}.")
        if self.op not in ALLOWED[kind]:
            allowed = ", ".join(sorted(ALLOWED[kind]))
            raise UserError(f"{self.column!r} is a {kind} column and has no operator {self.op!r}; it has {allowed}.")
        values = self._values()
        numeric = kind in ("number", "year")
        if not values or any(isinstance(value, str) == numeric for value in values):
            wanted = "numbers" if numeric else "words"
            raise UserError(f"The rule on {self.column!r} wants {wanted}, not {self.value!r}.")
        if self.op == "between" and len(values) != 2:
            raise UserError(f"The rule on {self.column!r}: between wants two numbers, not {self.value!r}.")
        if self.op in ("<", "<=", ">", ">=") and len(values) != 1:
            raise UserError(f"The rule on {self.column!r}: {self.op} wants one number, not {self.value!r}.")
        passes = _numeric(self, values) if numeric else _textual(self, kind, [str(value) for value in values])
        return ~passes.fill_null(False) if self.op == "not" else passes.fill_null(False)

    def __str__(self) -> str:
        """The rule in words, as it is shown to people: "genres: Comedy or Drama", "year not 1980 to 1989"."""
        values, name = self._values(), self.column.replace("_", " ")
        words = [value for value in values if isinstance(value, str)]
        numbers = spans([value for value in values if isinstance(value, float)])
        joined = " or ".join(words or numbers)
        if self.op == "between":
            low, high = sorted(value for value in values if isinstance(value, float))
            return f"{name} {low:.10g}" if low == high else f"{name} {low:.10g} to {high:.10g}"
        if self.op in ("is", "has any"):
            return f"{name}: {joined}" if words else f"{name} {joined}"
        if self.op == "has all":
            return f"{name}: {' and '.join(words)}"
        if self.op == "not":
            without = " without" if self.column in ALWAYS_THERE else ": not" if words else " not"
            return f"{name}{without} {joined}"
        return f"{name} says {joined}" if self.op == "contains" else f"{name} {self.op} {joined}"

    def _values(self) -> Sequence[str | float]:
        return self.value if isinstance(self.value, list) else [self.value]


def runs_of(numbers: Sequence[float]) -> list[list[float]]:
    """Numbers in order, whole ones that follow each other as the first and the last of them."""
    runs: list[list[float]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return runs


def spans(numbers: Sequence[float]) -> list[str]:
    """Numbers in words, whole ones that follow each other as one: "1980 to 1989"."""
    return [" to ".join(f"{number:.10g}" for number in run) for run in runs_of(numbers)]


def _numeric(rule: Rule, values: Sequence[str | float]) -> pl.Expr:
    column, first = pl.col(rule.column), pl.lit(float(values[0]))
    comparisons = {"<": column < first, "<=": column <= first, ">": column > first, ">=": column >= first}
    if rule.op == "between":
        low, high = sorted(float(value) for value in values)
        return column.is_between(low, high)
    if rule.op in comparisons:
        return comparisons[rule.op]
    return column.cast(pl.Float64).is_in([float(value) for value in values])  # years are whole numbers


def _textual(rule: Rule, kind: str, values: list[str]) -> pl.Expr:
    column, lowered = pl.col(rule.column), [value.lower() for value in values]
    if kind == "multi-category":
        if rule.op == "contains":
            return column.list.eval(_contains_any(pl.element(), lowered)).list.any()
        wanted = list(dict.fromkeys(lowered))
        has = column.list.eval(pl.element().str.to_lowercase().filter(pl.element().str.to_lowercase().is_in(wanted)))
        return has.list.n_unique() == len(wanted) if rule.op in ("has all", "is") else has.list.len() > 0
    if rule.op == "contains" or (kind == "text" and rule.op == "not"):
        return _contains_any(column, lowered)
    return column.str.to_lowercase().is_in(lowered)


def _contains_any(text: pl.Expr, lowered: list[str]) -> pl.Expr:
    # One pattern for all: to compile one costs more than to look for it in a thousand texts.
    any_of_them = "|".join(_words(value) for value in dict.fromkeys(lowered))
    return text.str.contains(rf"(?i)(?:^|[^\w])(?:{any_of_them})(?:[^\w]|$)")


def _words(value: str) -> str:
    """The pattern of a value inside a text: singular or plural, hyphen or blank, with or without accents."""
    words = unicodedata.normalize("NFKD", value)
    words = "".join(c for c in words if not unicodedata.combining(c))
    ending = "(?:s|es)?"
    if words.endswith("ies") and len(words) > 4:
        words, ending = words[:-3], "(?:y|ies)"
    elif words.endswith("y") and words[-2:-1] not in ("a", "e", "o", "u"):
        words, ending = words[:-1], "(?:y|ies)"
    elif words.endswith("s") and not words.endswith("ss") and len(words) > 3:
        words = words[:-1]
    pattern = "".join(_LETTERS.get(c) or (_GAP if c in " -" else re.escape(c)) for c in words)
    return f"{pattern}{ending}"


def rules_expression(
    where: pl.Expr | Rule | Sequence[Rule] | None, columns: Mapping[str, ColumnKind]
) -> pl.Expr | None:
    """Rules (all must hold), or a Polars expression as it is; None where there is nothing to hold.

    Raises:
        UserError: it is neither, or a rule does not fit the columns.
    """
    if where is None or isinstance(where, pl.Expr):
        return where
    rules = [where] if isinstance(where, Rule) else list(where)
    if not all(isinstance(rule, Rule) for rule in rules):
        raise UserError(
            f"where is a Rule, a list of them, or a Polars expression over the catalogue, not {str(where)[:80]!r}."
        )
    return pl.all_horizontal([rule.expression(columns) for rule in rules]) if rules else None
