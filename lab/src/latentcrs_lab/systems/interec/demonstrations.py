"""Dynamic demonstrations: requests with their plans, made of the catalogue's own values, the nearest ones shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentcrs.serve.conditions import Askable
from latentcrs.text import TextEncoder
from latentcrs_lab.systems.interec.plan import Plans

SHOWN = 3
"""Demonstrations in a prompt (the reference code's default)."""
MOST_VALUES = 4
"""Values of each column, the most frequent ones, of which demonstrations are made."""
Made = tuple[str, list[dict[str, Any]]]
"""A request, and the steps of its plan."""


@dataclass(frozen=True)
class Demonstration:
    """A request, and the plan for it as JSON."""

    request: str
    plan: str


class Demonstrations:
    """Demonstrations for one catalogue, found by how near their requests are to another."""

    def __init__(self, plans: Plans, popular: Sequence[Mapping[str, Any]], thing: str, encoder: TextEncoder) -> None:
        """popular: rows of the catalogue, at least two, the most chosen first. thing: what an item is called.
        encoder: tells which requests are near.
        """
        made = [*_of_titles(popular, thing), *_of_values(plans, popular, thing), *_of_items(plans, popular, thing)]
        plain = {request: json.dumps({"steps": steps}) for request, steps in reversed(made)}
        self.all = [Demonstration(request, plan) for request, plan in plain.items()]
        self._encoder = encoder
        self._vectors = _unit(encoder.encode(list(plain)))

    def nearest(self, request: str) -> list[Demonstration]:
        """The `SHOWN` demonstrations nearest to `request`, the nearest last: next to what is asked."""
        alike = self._vectors @ _unit(self._encoder.encode([request]))[0]
        return [self.all[place] for place in np.argsort(-alike, kind="stable")[:SHOWN][::-1]]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / (lengths + 1e-9)


def _condition(column: str, op: str, *value: Any) -> dict[str, Any]:
    return {"column": column, "op": op, "value": list(value)}


def _filter(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"tool": "filter", "where": list(conditions)}


def _similar(*titles: str) -> dict[str, Any]:
    return {"tool": "similar", "to": list(titles)}


def _rank(by: str, *unwanted: str) -> dict[str, Any]:
    return {"tool": "rank", "by": by, "prefer": [], "unwanted": list(unwanted)}


def _of_titles(popular: Sequence[Mapping[str, Any]], thing: str) -> Iterator[Made]:
    """Requests by title, and without any condition."""
    one, other = (str(row["title"]) for row in popular[:2])
    journey = _filter(_condition("text", "any", "journey"))
    yield f"What {thing} would I like next?", [_rank("preference")]
    yield f"Something popular, please. What {thing}s does everybody like?", [_rank("popularity")]
    yield f"I liked {one}. Is there anything like it?", [_similar(one), _rank("similarity")]
    yield f"Some {thing} like {one} and {other}, please", [_similar(one, other), _rank("similarity")]
    yield f"Not {one}, I know that one already. What else is there?", [_rank("preference", one)]
    yield f"What is {one} about?", [{"tool": "query", "titles": [one], "where": []}, _rank("preference")]
    yield "It should be about a journey.", [journey, _rank("preference")]


def _of_values(plans: Plans, popular: Sequence[Mapping[str, Any]], thing: str) -> Iterator[Made]:
    """Requests for a value of one column, the most frequent ones."""
    one, preference = str(popular[0]["title"]), _rank("preference")
    for column in plans.columns:
        name, values = column.name, column.values[:MOST_VALUES]
        for value in values:
            yield f"{value} {thing}s, please", [_filter(_condition(name, "any", value)), preference]
        if len(values) > 1:
            this, that = values[:2]
            yield f"{this} or {that}, what is there?", [_filter(_condition(name, "any", this, that)), preference]
            yield f"anything but {that}", [_filter(_condition(name, "not", that)), preference]
        if column.kind == "multi-category" and (said := _said_of(popular[0], column)) is not None:
            yield f"{said[0]} like {one}", [_filter(said[1]), _similar(one), _rank("similarity")]
        if column.kind == "year":
            for decade in range(column.high - 19, column.low - 1, -10)[:MOST_VALUES]:
                span = _condition(name, "between", decade, decade + 9)
                yield f"I am looking for a {thing} from the {decade}s.", [_filter(span), preference]
            last, first = column.high - 9, column.low + 20
            newer, older = (last, column.high), (column.low, first - 1)
            yield f"a {thing} made after {last - 1}", [_filter(_condition(name, "between", *newer)), preference]
            yield f"nothing from before {first}", [_filter(_condition(name, "not between", *older)), preference]


def _of_items(plans: Plans, popular: Sequence[Mapping[str, Any]], thing: str) -> Iterator[Made]:
    """Requests for two columns at once, each true of one of the popular items."""
    pairs = list(combinations([column for column in plans.columns if column.kind != "number"], 2))
    for row, (column, another) in zip(popular, cycle(pairs), strict=False):
        said, also = _said_of(row, column), _said_of(row, another)
        if said is not None and also is not None:
            yield f"a {thing}, {said[0]} and {also[0]}", [_filter(said[1], also[1]), _rank("preference")]


def _said_of(row: Mapping[str, Any], column: Askable) -> tuple[str, dict[str, Any]] | None:
    """What an item has in a column, in words and as a condition; None where the catalogue says nothing."""
    value = row[column.name]
    if value is None or value == []:
        return None
    if column.kind == "year":
        decade = int(value) // 10 * 10
        return f"from the {decade}s", _condition(column.name, "between", decade, decade + 9)
    first = value[0] if isinstance(value, list) else value
    return str(first), _condition(column.name, "any", first)
