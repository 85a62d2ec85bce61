"""What a plan can say about one catalogue: the JSON schema of its steps, and the steps as tools take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, create_model

from latentcrs.data import ColumnKind
from latentcrs.data.rules import Operator, Rule
from latentcrs.serve.conditions import Askable, askable_columns

MOST_STEPS, MOST_CONDITIONS, MOST_VALUES, MOST_TITLES = 5, 5, 5, 5
Tool = Literal["query", "filter", "similar", "rank"]
Order = Literal["preference", "popularity", "similarity"]
Words = Annotated[str, Field(min_length=1, max_length=60)]
Title = Annotated[str, Field(min_length=1, max_length=80)]
_OPERATORS: dict[str, Operator] = {"any": "has any", "all": "has all"}


@dataclass(frozen=True)
class Step:
    """One use of a tool. rules: all of them must hold. titles: what is looked up, or like what the candidates are, or
    what is preferred. unwanted: titles to take out. by: the order.
    """

    tool: Tool
    rules: tuple[Rule, ...] = ()
    titles: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    by: Order = "preference"


class Plans:
    """Plans over one catalogue. schema: the pydantic model of a plan. columns: what conditions can be on."""

    def __init__(self, items: pl.DataFrame, columns: Mapping[str, ColumnKind]) -> None:
        self.columns = askable_columns(items, columns)
        self._columns = {column.name: column for column in self.columns}
        self.schema = _plan_schema(self.columns)

    def steps(self, plan: BaseModel) -> list[Step]:
        """The steps of a plan, an instance of `schema`."""
        return [self._step(**said) for said in plan.model_dump()["steps"]]

    def _step(
        self,
        tool: Tool,
        where: Sequence[Mapping[str, Any]] = (),
        titles: Sequence[str] = (),
        to: Sequence[str] = (),
        prefer: Sequence[str] = (),
        unwanted: Sequence[str] = (),
        by: Order = "preference",
    ) -> Step:
        rules = [rule for condition in where for rule in self._rules(**condition)]
        return Step(tool, tuple(rules), (*titles, *to, *prefer), tuple(unwanted), by)

    def _rules(self, column: str, op: str, value: list[Any]) -> list[Rule]:
        """A condition as rules, all of which must hold."""
        asked = self._columns.get(column)
        if asked is not None and not asked.values:  # a year, a number
            numbers = [float(number) for number in value]
            if op == "not between":  # of years
                span = range(int(min(numbers)), int(max(numbers)) + 1)
                return [Rule(column=column, op="not", value=[float(year) for year in span])]
            return [Rule(column=column, op="between", value=numbers * (3 - len(numbers)))]
        if asked is None or not asked.closed:  # the words need not be the whole value: "Spielberg"
            if op == "all":
                return [Rule(column=column, op="contains", value=[words]) for words in value]
            if op == "not" and asked is not None:
                said = [f" {words.lower()} " for words in value]
                inside = [name for name in asked.values if any(words in f" {name.lower()} " for words in said)]
                return [Rule(column=column, op="not", value=inside or value)]
            return [Rule(column=column, op="not" if op == "not" else "contains", value=value)]
        return [Rule(column=column, op=_OPERATORS.get(op, "not"), value=value)]


def _plan_schema(columns: Sequence[Askable]) -> type[BaseModel]:
    conditions: list[Any] = [_condition(column) for column in columns]
    conditions.append(
        _model("condition on text", column=Literal["text"], op=Literal["any", "all", "not"], value=_several(Words))
    )
    condition: Any = Union[tuple(conditions)]  # noqa: UP007
    titles = _several(Title, MOST_TITLES, least=0)
    tools: list[Any] = [
        _model("query", tool=Literal["query"], titles=titles, where=_several(condition, MOST_CONDITIONS, least=0)),
        _model("filter", tool=Literal["filter"], where=_several(condition, MOST_CONDITIONS)),
        _model("similar", tool=Literal["similar"], to=_several(Title, MOST_TITLES)),
        _model("rank", tool=Literal["rank"], by=Order, prefer=titles, unwanted=titles),
    ]
    one: Any = Union[tuple(tools)]  # noqa: UP007
    return _model("plan", steps=_several(one, MOST_STEPS, least=0))


def _condition(column: Askable) -> type[BaseModel]:
    only: Any = Literal[column.name]
    name = f"condition on {column.name}"
    if column.kind == "year":
        year: Any = Annotated[int, Field(ge=column.low, le=column.high)]
        return _model(name, column=only, op=Literal["between", "not between"], value=_several(year, 2))
    if column.kind == "number":
        return _model(name, column=only, op=Literal["between"], value=_several(FiniteFloat, 2))
    value: Any = Literal[column.values] if column.closed else Words
    operators: Any = Literal["any", "all", "not"] if column.kind == "multi-category" else Literal["any", "not"]
    return _model(name, column=only, op=operators, value=_several(value))


def _several(value: Any, most: int = MOST_VALUES, least: int = 1) -> Any:
    return Annotated[list[value], Field(min_length=least, max_length=most)]


def _model(name: str, **fields: Any) -> type[BaseModel]:
    typed: dict[str, Any] = {field: (kind, ...) for field, kind in fields.items()}
    return create_model(name, __config__=ConfigDict(extra="forbid"), **typed)
