"""Rules heard by a language model: its answer is constrained to what this catalogue has, and checked again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from pydantic import BaseModel
from rapidfuzz import fuzz, process

from latentcrs.data import ColumnKind
from latentcrs.data.rules import ALWAYS_THERE, Rule
from latentcrs.hear.askable import Askable, answer_schema, askable_columns
from latentcrs.hear.reading import Heard, HeardRule
from latentcrs.llm import Call, ChatModel, Message, answer
from latentcrs.llm.prompts import prompt

MOST_TOKENS = 1000  # more than the longest answer that the schema allows: only a model that loops gets there
REMEMBERED = 4  # earlier utterances shown
SAME_NAME = 92.0  # of 100: one slip of the fingers in a name
QUOTED, QUOTED_TEXT, UNQUOTED = 0.8, 0.6, 0.4
"""How certain a rule is: its words were said; the same for words of a text; or they were not said."""


class LLMExtractor:
    """Asks a chat model what an utterance says about one catalogue.

    items: the catalogue with `columns`. A name that the catalogue does not have becomes `unknown`.
    """

    name = "llm"

    def __init__(self, model: ChatModel, items: pl.DataFrame, columns: Mapping[str, ColumnKind]) -> None:
        self.model = model
        self._columns = {column.name: column for column in askable_columns(items, columns)}
        self._names = {
            column.name: {value.lower(): value for value in reversed(column.values)}
            for column in self._columns.values()
            if column.values
        }
        self.schema = answer_schema(list(self._columns.values()))
        self._opening = [Message("system", prompt("rules", columns=list(self._columns.values())))]
        for said, answered in _examples(list(self._columns.values())):
            text = json.dumps(self.schema.model_validate(answered).model_dump())
            self._opening += [Message("user", prompt("said", now=said, before=[])), Message("assistant", text)]

    def extract(self, utterance: str, before: Sequence[str] = (), call: Call | None = None) -> Heard:
        """See `Extractor.extract`. `call` says in whose conversation this is asked.

        Raises:
            ModelError: the model gave no usable answer; another extractor has to do.
        """
        said = prompt("said", now=utterance, before=list(before)[-REMEMBERED:])
        messages = [*self._opening, Message("user", said)]
        found: Any = answer(self.model, messages, call or Call("rules"), self.schema, max_tokens=MOST_TOKENS)
        unknown = dict.fromkeys(words for words in found.unknown if words.lower() in utterance.lower())
        rules, wishes, dropped = (
            self._heard(conditions, utterance, unknown) for conditions in (found.rules, found.wishes, found.dropped)
        )
        return Heard(rules=rules, wishes=wishes, dropped=tuple(each.rule for each in dropped), unknown=tuple(unknown))

    def _heard(
        self, conditions: Sequence[BaseModel], utterance: str, unknown: dict[str, None]
    ) -> tuple[HeardRule, ...]:
        """The conditions as rules, equal ones once; what the catalogue does not have goes to `unknown`."""
        heard: dict[str, HeardRule] = {}
        for condition in conditions:
            said = condition.model_dump()
            quoted = said["words"].lower() in utterance.lower()
            rule, missing = self._rule(said["column"], said["op"], said["value"])
            for value in missing:  # in the user's words, or the model has made it up
                if value.lower() in utterance.lower() or quoted:
                    unknown[value if value.lower() in utterance.lower() else said["words"]] = None
            if rule is not None:
                certainty = (QUOTED_TEXT if rule.column in ALWAYS_THERE else QUOTED) if quoted else UNQUOTED
                one = HeardRule(rule=rule, certainty=certainty, insisted=said["insisted"], words=said["words"])
                heard.setdefault(rule.model_dump_json(), one)
        return tuple(heard.values())

    def _rule(self, column: str, op: str, values: list[Any]) -> tuple[Rule | None, list[str]]:
        """A condition as a rule, None where none of its values is the catalogue's; and the values that are not."""
        if column not in (*self._names, *ALWAYS_THERE):
            return _numeric_rule(column, op, values), []
        values = list(dict.fromkeys(value.strip() for value in values if value.strip()))
        if column in ALWAYS_THERE:
            return (Rule(column=column, op=op, value=values) if values else None), []
        found = {value: self._catalogue_value(column, value) for value in values}
        known = list(dict.fromkeys(value for value in found.values() if value is not None))
        rule = Rule(column=column, op=op, value=known) if known else None
        return rule, [value for value, name in found.items() if name is None]

    def _catalogue_value(self, column: str, value: str) -> str | None:
        """The catalogue's own value: the same one, the most frequent that ends so (a surname), or one with a slip."""
        names, wanted = self._names[column], value.lower()
        if wanted in names:
            return names[wanted]
        by_frequency = self._columns[column].values
        surname = next((name for name in by_frequency if name.lower().endswith(f" {wanted}")), None)
        if surname is not None:
            return surname
        near = process.extractOne(wanted, names.keys(), scorer=fuzz.ratio, score_cutoff=SAME_NAME)
        return names[near[0]] if near is not None else None


def _numeric_rule(column: str, op: str, values: list[Any]) -> Rule:
    if op == "not between":  # of years
        low, high = sorted(int(value) for value in values)
        return Rule(column=column, op="not", value=list(map(float, range(low, high + 1))))
    numbers = [float(value) for value in values]
    return Rule(column=column, op=op, value=numbers[0] if op.startswith(("<", ">")) else numbers)


def _examples(columns: Sequence[Askable]) -> list[tuple[str, dict[str, Any]]]:
    """A handful of utterances with their answers, made of this catalogue's own most frequent values."""

    def answered(**lists: list[Any]) -> dict[str, Any]:
        return {"rules": [], "wishes": [], "dropped": [], "unknown": [], **lists}

    def condition(words: str, column: Askable, op: str, *values: Any, insisted: bool = False) -> dict[str, Any]:
        return {"words": words, "column": column.name, "op": op, "value": list(values), "insisted": insisted}

    closed = [column for column in columns if column.closed and len(column.values) >= 3]
    names = next((column for column in columns if column.values and not column.closed), None)
    year = next((column for column in columns if column.kind == "year"), None)
    examples = [("hi! what else is there that I can get by tomorrow?", answered(unknown=["by tomorrow"]))]
    if year is not None:
        decade = (year.low + year.high) // 20 * 10
        span = condition(f"the {decade}s", year, "between", decade, decade + 9)
        until = condition(f"before {decade}", year, "<", decade, insisted=True)
        examples += [
            (f"ideally from the {decade}s", answered(wishes=[span])),
            (f"it has to be from before {decade}", answered(rules=[until])),
        ]
    if names is not None:
        name = names.values[0]
        examples.append((f"something by {name}", answered(rules=[condition(name, names, "has any", name)])))
    if closed:
        kind = max(closed, key=lambda column: (column.kind == "multi-category", len(column.values)))
        first, second, third = kind.values[:3]
        either = condition(f"{first} or {second}", kind, "has any", first, second)
        examples += [
            (f"never mind the {second}", answered(dropped=[condition(second, kind, "has any", second)])),
            (f"anything but {third}", answered(rules=[condition(f"anything but {third}", kind, "not", third)])),
            (f"{first} or {second}, please", answered(rules=[either])),
        ]
    return examples
