"""What a language model may say about one catalogue: its columns, their values, and the JSON schema made of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, create_model

from latentcrs.data import ColumnKind
from latentcrs.data.rules import ALWAYS_THERE

FEW = 60  # values of a column that are all offered; of longer lists the model writes the value itself
SHOWN = 8
MOST_RULES, MOST_OTHERS, MOST_VALUES, MOST_YEARS = 6, 3, 6, 20
Phrase = Annotated[str, Field(min_length=1, max_length=60)]


@dataclass(frozen=True)
class Askable:
    """One column as a language model sees it.

    values: its category values, the most frequent first. low, high: the decades that its years span.
    """

    name: str
    kind: ColumnKind
    values: tuple[str, ...] = ()
    low: int = 0
    high: int = 0

    @property
    def closed(self) -> bool:
        """Whether all its values are offered, so that no other can be said."""
        return 0 < len(self.values) <= FEW

    @property
    def about(self) -> str:
        """The column in one line of a prompt."""
        if self.kind == "year":
            return f"a year, {self.low} to {self.high}"
        if self.kind == "number":
            return "a number"
        shown = ", ".join(self.values if self.closed else self.values[:SHOWN])
        return f"one of {shown}" if self.closed else f"a name, such as {shown}"


def askable_columns(items: pl.DataFrame, columns: Mapping[str, ColumnKind]) -> list[Askable]:
    """The columns that a condition can be on, free text apart, with their values; empty ones are left out."""
    found = []
    for name, kind in columns.items():
        present = items[name].drop_nulls()
        if kind in ("category", "multi-category"):
            values = _by_frequency(present)
            found += [Askable(name, kind, values)] if values else []
        elif kind == "year" and len(present):
            years = int(str(present.min())), int(str(present.max()))
            found.append(Askable(name, kind, low=years[0] // 10 * 10, high=years[1] // 10 * 10 + 9))
        elif kind == "number" and len(present):
            found.append(Askable(name, kind))
    return found


def _by_frequency(values: pl.Series) -> tuple[str, ...]:
    if isinstance(values.dtype, pl.List):
        values = values.explode(empty_as_null=False)
    counts = values.drop_nulls().alias("value").value_counts().sort("count", "value", descending=[True, False])
    return tuple(counts["value"].to_list())


def answer_schema(columns: Sequence[Askable]) -> type[BaseModel]:
    """The pydantic model of an answer about a catalogue with `columns`: four lists, as the prompt `rules` says."""
    conditions = [condition for column in columns for condition in _conditions(column)]
    for name in ALWAYS_THERE:
        conditions.append(_condition(name, ("contains", "not"), _listed(Phrase, MOST_VALUES)))
    one: Any = Union[tuple(conditions)]  # noqa: UP007
    several: Any = Annotated[list[one], Field(max_length=MOST_RULES)]
    few: Any = Annotated[list[one], Field(max_length=MOST_OTHERS)]
    unknown: Any = Annotated[list[Phrase], Field(max_length=MOST_OTHERS)]
    return create_model(
        "Conditions",
        __config__=ConfigDict(extra="forbid"),
        rules=(several, ...),
        wishes=(few, ...),
        dropped=(few, ...),
        unknown=(unknown, ...),
    )


def _conditions(column: Askable) -> list[type[BaseModel]]:
    """Every operator with the values that it can have: what cannot be a rule cannot be said."""
    if column.values:
        value: Any = Literal[column.values] if column.closed else Phrase
        return [_condition(column.name, ("has any", "not"), _listed(value, MOST_VALUES))]
    years = column.kind == "year"
    number: Any = Annotated[int, Field(ge=column.low, le=column.high)] if years else FiniteFloat
    return [
        _condition(column.name, ("<", "<=", ">", ">="), _listed(number, 1)),
        _condition(column.name, ("between", "not between") if years else ("between",), _listed(number, 2, least=2)),
        _condition(column.name, ("is", "not"), _listed(number, MOST_YEARS)),
    ]


def _listed(value: Any, most: int, least: int = 1) -> Any:
    return Annotated[list[value], Field(min_length=least, max_length=most)]


def _condition(column: str, operators: tuple[str, ...], values: Any) -> type[BaseModel]:
    only: Any = Literal[column]
    allowed: Any = Literal[operators]
    return create_model(
        f"{column}: {operators[0]}",
        __config__=ConfigDict(extra="forbid"),
        words=(Phrase, ...),
        column=(only, ...),
        op=(allowed, ...),
        value=(values, ...),
        insisted=(bool, ...),
    )
