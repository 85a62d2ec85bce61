"""What a conversation looks like on a terminal: lists of items, reasons, histories. All text is shown as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from latentcrs.data import ColumnKind
from latentcrs.recommend import Bundle, Recommendation

WIDE = 110
"""Columns of a terminal from which on the reason gets a column of its own."""
MOST_VALUES = 300
"""A column with more distinct values than this (people, publishers) says little in a list."""


def plain(text: object, style: str = "") -> Text:
    """Text as it is: no markup, and no control characters that would move the cursor or change colours."""
    return Text("".join(c if c.isprintable() else " " for c in str(text)), style)


class ItemDisplay:
    """How items of one catalogue are shown: with their year, where there is one, and their main categories."""

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
        return ", ".join(found[:most])

    def answer(self, items: Sequence[Recommendation], width: int) -> RenderableType:
        """The numbered list of an answer, for a terminal so many columns wide."""
        if width < WIDE:
            return self._narrow(items)
        table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
        table.add_column("", justify="right", style="bold cyan")
        table.add_column("title", style="bold", max_width=44)
        if self.year:
            table.add_column("year")
        if self.categories:
            table.add_column(", ".join(self.categories), max_width=34)
        table.add_column("why", style="dim", no_wrap=True, overflow="ellipsis", ratio=1)
        for number, item in enumerate(items, 1):
            cells = [plain(number), plain(item.title)]
            if self.year:
                year = self.facts(item.item_id)[self.year]
                cells.append(plain("" if year is None else year))
            if self.categories:
                cells.append(plain(self.values(item.item_id)))
            table.add_row(*cells, plain(item.reason))
        return table

    def _narrow(self, items: Sequence[Recommendation]) -> RenderableType:
        lines = []
        for number, item in enumerate(items, 1):
            first = Text.assemble(plain(f"{number:>2}  ", "bold cyan"), plain(self.titled(item.item_id), "bold"))
            if values := self.values(item.item_id):
                first.append("  ").append_text(plain(values))
            why = plain(f"    {item.reason}", "dim")
            for line in (first, why):
                line.no_wrap, line.overflow = True, "ellipsis"
            lines += [first, why]
        return Group(*lines)

    def reason(self, item: Recommendation) -> RenderableType:
        """Everything that speaks for an item."""
        told = {
            "your words": ", ".join(item.reason.words),
            "you liked": ", ".join(item.reason.because_of),
            "what you seem after": "; ".join(item.reason.intents),
        }
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column("", style="dim", no_wrap=True)
        table.add_column("")
        for name, words in told.items():
            if words:
                table.add_row(name, plain(words))
        if not any(told.values()):
            table.add_row("", plain(item.reason))
        return Group(plain(self.titled(item.item_id), "bold"), table)

    def newest(self, item_ids: Sequence[str], most: int) -> str:
        """The newest items of a history, newest first, as one sentence part."""
        titles = [self.titled(item_id) for item_id in reversed(item_ids[-most:])]
        older = len(item_ids) - len(titles)
        return "; ".join(titles) + (f"; and {older:,} more" if older else "")


def main_categories(items: pl.DataFrame, columns: Mapping[str, ColumnKind], most: int = 2) -> list[str]:
    """The category columns to show: of those with few distinct values the best filled ones."""
    found = []
    for name, kind in columns.items():
        if kind in ("category", "multi-category"):
            values = items[name].explode() if kind == "multi-category" else items[name]
            if values.n_unique() <= MOST_VALUES:
                found.append((items[name].null_count(), name))
    return [name for _, name in sorted(found, key=lambda entry: entry[0])[:most]]
