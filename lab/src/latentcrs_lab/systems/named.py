"""Items by the titles that a language model writes: "Matrix, The (1999)", "The Matrix", "The Matricks"."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from rapidfuzz import fuzz, process

from latentcrs.data.titles import split_title
from latentcrs.recommend.title_index import TitleIndex, words_of_title

SAME = 90.0
"""Of 100: how alike the letters of two titles are from which on they are taken for one (a slip or two in a title)."""
LEAST = 8
"""Letters from which on a title may be misspelt: "Alien" is not "Aliens"."""
YEARS_APART = 1
"""How far the year that a misspelt title comes with may be from the catalogue's."""
_BRACKETS = re.compile(r"\s*[(\[][^()\[\]]*[)\]]")
_PARTS = re.compile(r":\s+|\s+[-–—]\s+")
_AFTER_YEAR = re.compile(r"(\(\d{4}\)).*$", re.DOTALL)
_LISTED = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")


@dataclass(frozen=True)
class TitleMatch:
    """A title that was written, and the item that it names, if the catalogue has it. near: in other letters."""

    title: str
    item: int | None = None
    near: bool = False


class NamedTitles:
    """The titles of a catalogue. Where several items are called alike, the year decides, then how often an item was
    chosen.
    """

    def __init__(self, items: pl.DataFrame, counts: Sequence[int], year: str | None = None) -> None:
        """items: the catalogue, with `title`. counts: how often each item was chosen. year: the column of years."""
        titles = items["title"].fill_null("")
        years = items[year] if year else titles.to_frame().select(split_title("title"))["year"]
        self._index = TitleIndex(titles.to_list(), years.to_list(), np.asarray(counts, np.float64))
        # "M" and "Seven", which in a sentence would be no title.
        keys = [_key(_BRACKETS.sub(" ", title)) for title in titles]
        self._short: dict[str, list[int]] = defaultdict(list)
        for item in np.argsort(-np.asarray(counts), kind="stable").tolist():
            if len(keys[item]) == 1:
                self._short[keys[item]].append(item)
        self._keys = [key for key, name in self._index.names.items() if name.sort == "whole" and len(key) >= LEAST]

    def find(self, written: Sequence[str]) -> list[TitleMatch]:
        """The items that titles mean, in their order; a title of nothing but marks names none."""
        clean = [
            _AFTER_YEAR.sub(r"\1", _LISTED.sub("", " ".join(title.split()))).strip("\"'“”* ") for title in written
        ]
        split = pl.DataFrame({"title": clean}, schema={"title": pl.String}).select(split_title("title"))
        return [
            self._one(title, _BRACKETS.sub(" ", name).strip() or name, year)
            for title, (name, year) in zip(written, split.iter_rows(), strict=True)
        ]

    def _one(self, title: str, name: str, year: int | None) -> TitleMatch:
        called, parts = self._called(name), _PARTS.split(name)
        if not called and len(parts) > 1:  # what stands between is left out: "Star Wars: A New Hope"
            called = [item for item in self._called(parts[0]) if item in self._called(parts[-1])]
        if called:
            return TitleMatch(title, self._nearest(called, year))
        near = self._misspelt(_key(name), year)
        return TitleMatch(title, near, near=near is not None)

    def _called(self, name: str) -> Sequence[int]:
        """The items that are called so, the most chosen one first. What stands behind a dash names an item only where
        no other has it ("- PlayStation 3").
        """
        found = self._index.names.get(key := _key(name))
        if found is None:
            return self._short.get(key, ())
        if found.sort == "series" or (found.sort == "part" and len(found.numbers) > 1):
            return ()
        return found.numbers

    def _nearest(self, items: Sequence[int], year: int | None) -> int:
        return min(items, key=lambda item: self._apart(item, year))

    def _apart(self, item: int, year: int | None) -> int:
        its = self._index.years[item]
        return abs(its - year) if its is not None and year is not None else 0

    def _misspelt(self, key: str, year: int | None) -> int | None:
        """The item whose title is written most alike, with the same numbers: "Rocky II" is not "Rocky III"."""
        if len(key) < LEAST:
            return None
        for name, *_ in process.extract(key, self._keys, scorer=fuzz.ratio, score_cutoff=SAME, limit=5):
            if re.findall(r"\d+", name) == re.findall(r"\d+", key):
                item = self._nearest(self._index.names[name].numbers, year)
                if self._apart(item, year) <= YEARS_APART:
                    return item
        return None


def _key(title: str) -> str:
    return "".join(words_of_title(title))
