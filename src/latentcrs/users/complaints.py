"""What is wrong with the items shown: what most of them are and the target is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.roles import Role, roles_of
from latentcrs.users.conditions import Condition
from latentcrs.users.draws import Dice
from latentcrs.users.leak import stem, words_of
from latentcrs.users.nouns import NOUNS, Noun
from latentcrs.users.personas import persona_book
from latentcrs.users.phrases import noun_phrase, plural_of

_MOST = 0.6  # this share of the shown items makes a fault of theirs
_YEARS_APART = 8
_DEARER = 1.5


@dataclass(frozen=True)
class Complaint:
    """A fault: `condition` holds for most shown items and not for the target; `too` is it as a quality, "scary", or
    "", and `things` as things, "horror films", or "".
    """

    condition: Condition
    too: str
    things: str


class _Column:
    """The values of one category column: item i has `ids[offsets[i] : offsets[i + 1]]`, indices of `values`."""

    def __init__(self, values: pl.Series, name: str, role: Role) -> None:
        self.name, self.role = name, role
        frame = values.to_frame("value").with_row_index("item")
        frame = frame.explode("value") if isinstance(values.dtype, pl.List) else frame
        frame = frame.drop_nulls().unique().sort("item", "value")
        self.values: list[str] = frame["value"].unique().sort().to_list()
        index = pl.DataFrame(
            {"value": self.values, "id": np.arange(len(self.values))}, schema_overrides={"value": pl.String}
        )
        self.ids: list[int] = frame.join(index, on="value", how="left", maintain_order="left")["id"].to_list()
        counts = np.bincount(frame["item"].to_numpy(), minlength=len(values))
        self.offsets: list[int] = np.concatenate([[0], np.cumsum(counts)]).tolist()
        self.words = [frozenset(map(stem, words_of(value))) for value in self.values]

    def of(self, item: int) -> list[int]:
        return self.ids[self.offsets[item] : self.offsets[item + 1]]


class Faults:
    """Finds what most of a list of items are and one item is not, in a catalogue's categories, years and prices."""

    def __init__(self, dataset: PreparedDataset, roles: Mapping[str, Role] | None = None) -> None:
        known = roles_of(dataset.info.columns, roles)
        kinds = dataset.info.columns
        self._columns = [
            _Column(dataset.items[name], name, role)
            for name, role in known.items()
            if kinds[name] in ("category", "multi-category") and role != "other"
        ]
        self._years = _numbers(dataset, [name for name, role in known.items() if role == "year"])
        self._prices = _numbers(dataset, [name for name, role in known.items() if role == "price"])

    def of(self, shown: Sequence[int], target: int, noun: Noun, dice: Dice) -> list[Complaint]:
        """All complaints about `shown` that are true with `target` in mind, the most widespread fault first."""
        found: list[tuple[float, Complaint]] = []
        least = max(2, int(np.ceil(_MOST * len(shown)))) if len(shown) > 1 else 1
        for column in self._columns:
            wanted = column.of(target)
            if not wanted:
                continue
            counts = Counter(value for item in shown for value in column.of(item))
            words = frozenset().union(*(column.words[value] for value in wanted))
            for value, count in counts.items():
                if count >= least and not column.words[value] & words:
                    values = [column.values[v].lower() for v in wanted]
                    if complaint := _about(column, value, values, noun, dice):
                        found.append((count, complaint))
        found += [(least, c) for c in self._about_numbers(shown, target, least, dice)]
        return [complaint for _, complaint in sorted(found, key=lambda pair: -pair[0])]

    def _about_numbers(self, shown: Sequence[int], target: int, least: int, dice: Dice) -> list[Complaint]:
        faults = persona_book()["faults"]
        found = []
        if self._years is not None and self._years[1][target] > 0:
            name, years = self._years
            wanted, of_shown = years[target], years[list(shown)]
            if np.count_nonzero((of_shown > 0) & (of_shown <= wanted - _YEARS_APART)) >= least:
                fault = Condition(name, "year", "below", high=wanted - _YEARS_APART + 1)
                found.append(Complaint(fault, dice.pick(faults["older"]), ""))
            if np.count_nonzero(of_shown >= wanted + _YEARS_APART) >= least:
                fault = Condition(name, "year", "above", low=wanted + _YEARS_APART - 1)
                found.append(Complaint(fault, dice.pick(faults["newer"]), ""))
        if self._prices is not None and self._prices[1][target] > 0:
            name, prices = self._prices
            bound = float(prices[target]) * _DEARER
            if np.count_nonzero(prices[list(shown)] > bound) >= least:
                fault = Condition(name, "price", "above", low=bound)
                found.append(Complaint(fault, dice.pick(faults["dearer"]), ""))
        return found


def _numbers(dataset: PreparedDataset, columns: list[str]) -> tuple[str, NDArray[np.float64]] | None:
    """A number column, 0 where it is empty."""
    if not columns:
        return None
    return columns[0], dataset.items[columns[0]].cast(pl.Float64).fill_null(0).to_numpy()


def _about(column: _Column, value: int, wanted: list[str], noun: Noun, dice: Dice) -> Complaint | None:
    """The complaint about one value of `column`; `wanted` are the target's values there, in lower case."""
    name = column.values[value]
    fault = Condition(column.name, column.role, "has", name, shown=name.strip())
    if column.role == "kind":
        kind = NOUNS.get(name.strip().lower())
        return Complaint(fault, "", plural_of(kind.words[0])) if kind and kind.words else None
    if any(kin in other for kin in persona_book()["kin"].get(name.lower(), ()) for other in wanted):
        return None
    too = ""
    feel = persona_book()["too"].get(name.lower()) if column.role == "genre" else None
    if feel and not any(unless in other for unless in feel["unless"] for other in wanted):
        too = dice.pick(feel["too"])
    return Complaint(fault, too, noun_phrase([fault], noun, dice, plural=True) if noun.words else "")
