"""Items of a catalogue in words: title, year, main categories; all text of the catalogue is data, made plain."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from latentcrs.data import ColumnKind
from latentcrs.data.roles import roles_of
from latentcrs.recommend.bundle import Bundle

MOST_VALUES = 300
"""A column with more distinct values than this (people, publishers) says little in a list."""
JOINERS = "\u200c\u200d"
"""Nothing of their own, but emoji families and Persian and Indic words are written with them."""


def is_printable(text: str) -> bool:
    """Whether every character of `text` can be seen, or joins what can be."""
    return all(c.isprintable() or c in JOINERS for c in text)


def plain_text(text: object) -> str:
    """Text as it is, less every character that moves a cursor, changes colours or turns the direction."""
    # Marks of direction ("Cf") take no room; what else cannot be seen is a space.
    return "".join(c if is_printable(c) else " " * (unicodedata.category(c) != "Cf") for c in str(text))


class CatalogueText:
    """How items of one catalogue are named: with their year, where there is one, and their main categories."""

    def __init__(self, bundle: Bundle) -> None:
        columns = bundle.columns
        self.year = next((name for name, kind in columns.items() if kind == "year"), None)
        self.categories = main_categories(bundle.items, columns)
        self._items = bundle.items
        self._row = {item_id: row for row, item_id in enumerate(bundle.items["item_id"].to_list())}

    def facts(self, item_id: str) -> Mapping[str, Any]:
        """The catalogue's row of an item."""
        return self._items.row(self._row[item_id], named=True)

    def titled(self, item_id: str) -> str:
        """Title and year: "Toy Story (1995)"."""
        facts = self.facts(item_id)
        year = facts.get(self.year) if self.year else None
        return f"{facts['title']} ({year})" if year is not None else str(facts["title"])

    def values(self, item_id: str, most: int = 4) -> str:
        """An item's main categories, with commas."""
        facts, found = self.facts(item_id), []
        for column in self.categories:
            value = facts[column]
            found += value if isinstance(value, list) else [value] if value is not None else []
        return ", ".join(dict.fromkeys(found[:most]))

    def newest(self, item_ids: Sequence[str], most: int) -> str:
        """The newest items of a history, newest first, as one sentence part."""
        titles = [self.titled(item_id) for item_id in reversed(item_ids[-most:])]
        older = len(item_ids) - len(titles)
        return "; ".join(titles) + (f"; and {older:,} more" if older else "")


def main_categories(items: pl.DataFrame, columns: Mapping[str, ColumnKind], most: int = 2) -> list[str]:
    """The category columns to show, of few values: the sort of item first, what tells little last."""
    rank = {"genre": 0, "platform": 1, "kind": 3}
    found = []
    for name, role in roles_of(columns).items():
        if columns[name] in ("category", "multi-category"):
            values = items[name].explode() if columns[name] == "multi-category" else items[name]
            if values.n_unique() <= MOST_VALUES:
                found.append((rank.get(role, 2), items[name].null_count(), name))
    return [name for *_, name in sorted(found)[:most]]
