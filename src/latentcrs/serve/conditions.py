"""Conditions on a catalogue as an agent writes them: one property per column, closed lists of values as enums."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, create_model
from rapidfuzz import fuzz, process, utils

from latentcrs.base.errors import UserError
from latentcrs.data import ColumnKind
from latentcrs.data.rules import ALWAYS_THERE, Rule

FEW = 60  # values of a column that are all offered; of longer lists whoever asks writes the value
SHOWN = 8
MOST_VALUES = 20
SUGGESTED, LEAST_ALIKE = 3, 75
Words = Annotated[str, Field(min_length=1, max_length=100)]
OPERATORS: dict[str, Literal["has any", "has all", "not", ">=", "<=", "contains"]] = {
    "any_of": "has any",
    "all_of": "has all",
    "none_of": "not",
    "at_least": ">=",
    "at_most": "<=",
    "contains_any": "contains",
    "contains_none": "not",
}
"""What a condition may say of its column -> the operator of the rule that it becomes."""


@dataclass(frozen=True)
class Askable:
    """One column as whoever asks of it sees it.

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


class CatalogueConditions:
    """What an agent may demand of the items of one catalogue.

    model: a pydantic model with one optional property per column, which also gives the JSON schema.
    """

    def __init__(self, items: pl.DataFrame, columns: Mapping[str, ColumnKind]) -> None:
        self._askable = {column.name: column for column in askable_columns(items, columns)}
        texts = [*ALWAYS_THERE, *(name for name, kind in columns.items() if kind == "text")]
        conditions = {name: _condition(column) for name, column in self._askable.items()}
        conditions |= {name: _text_condition(name) for name in texts}
        fields: dict[str, Any] = {  # a column's name need not be one that Python takes
            f"column_{number}": (condition, Field(default=None, alias=name))
            for number, (name, condition) in enumerate(conditions.items())
        }
        self.model: type[BaseModel] = create_model("Conditions", __config__=ConfigDict(extra="forbid"), **fields)

    def rules(self, said: BaseModel) -> list[Rule]:
        """What was said, an instance of `model`, as rules; all of them must hold.

        Raises:
            UserError: a value that no item has; the sentence names the nearest ones.
        """
        found = []
        for name, condition in said.model_dump(by_alias=True, exclude_unset=True).items():
            for word, value in condition.items():
                if value != []:
                    known = self._known(name, value) if name in self._askable else value
                    found.append(Rule(column=name, op=OPERATORS[word], value=known))
        return found

    def _known(self, name: str, value: list[str] | float) -> list[str] | float:
        """Values as the catalogue writes them; numbers as they are."""
        if not isinstance(value, list):
            return value
        written = self._written[name]
        unknown = [one for one in value if one.strip().lower() not in written]
        if unknown:
            near = process.extract(
                unknown[0],
                self._askable[name].values,
                scorer=fuzz.WRatio,
                processor=utils.default_process,
                limit=SUGGESTED,
                score_cutoff=LEAST_ALIKE,
            )
            hint = f"; did you mean {' or '.join(repr(match) for match, *_ in near)}?" if near else "."
            raise UserError(f"No item has {name} {unknown[0]!r}{hint}")
        return [written[one.strip().lower()] for one in value]

    @cached_property
    def _written(self) -> dict[str, dict[str, str]]:
        return {
            name: {value.lower(): value for value in reversed(column.values)}
            for name, column in self._askable.items()
        }


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema without `$defs`, which many clients of tools cannot follow, and without what pydantic adds that
    says nothing: titles made of names, null as a default. It must not refer to itself.
    """
    definitions = schema.get("$defs", {})

    def resolve(part: Any) -> Any:
        if isinstance(part, list):
            return [resolve(one) for one in part]
        if not isinstance(part, dict):
            return part
        beside = {key: resolve(value) for key, value in part.items() if not _empty(key, value)}
        if "$ref" in part:
            return resolve(definitions[part["$ref"].removeprefix("#/$defs/")]) | beside
        return beside

    resolved: dict[str, Any] = resolve(dict(schema))
    return resolved


def _empty(key: str, value: object) -> bool:
    # A property may be called "title" too; what stands there is then a schema, no text.
    nameless = (key == "title" and isinstance(value, str)) or (key == "default" and value is None)
    return nameless or key in ("$ref", "$defs")


def _condition(column: Askable) -> type[BaseModel]:
    if column.kind in ("year", "number"):
        return _model(column.name, column.about, {"at_least": (FiniteFloat, None), "at_most": (FiniteFloat, None)})
    value: Any = Literal[column.values] if column.closed else Words
    several = _several(value)
    fields = {"any_of": several, "none_of": several}
    if column.kind == "multi-category":
        fields["all_of"] = several
    return _model(column.name, "" if column.closed else column.about, fields)


def _text_condition(name: str) -> type[BaseModel]:
    about = {"title": "words in the title", "text": "words in anything that is said of the item"}
    fields = {"contains_any": _several(Words), "contains_none": _several(Words)}
    return _model(name, about.get(name, "words in this text"), fields)


def _several(value: Any) -> tuple[Any, Any]:
    return Annotated[list[value], Field(default_factory=list, max_length=MOST_VALUES)], ...


def _model(name: str, about: str, fields: Mapping[str, Any]) -> type[BaseModel]:
    return create_model(
        f"Condition on {name}", __config__=ConfigDict(extra="forbid"), __doc__=about or None, **fields
    )
