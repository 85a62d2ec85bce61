"""Items by the titles that a language model writes: "Matrix, The (1999)", "The Matrix", "The Matricks"."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from rapidfuzz import fuzz, process

from latentcrs.data.titles import split_title

SAME = 90.0
"""Of 100: how alike the letters of two titles are from which on they are taken for one (a slip or two in a title)."""
LEAST = 8
"""Characters from which on a title may be misspelt: "Alien" is not "Aliens"."""
YEARS_APART = 1
"""How far the year that a misspelt title comes with may be from the catalogue's."""
_BRACKETS = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]")
_ALSO = re.compile(r"^a\.?k\.?a\.?\s+", re.IGNORECASE)
_PARTS = re.compile(r"\s+or:\s+|:\s+|\s+[-–—/|]\s+")
_AFTER_YEAR = re.compile(r"(\(\d{4}\)).*$", re.DOTALL)
_LISTED = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_ARTICLES = frozenset({"the", "a", "an"})
_ROMAN = {
    "i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9", "x": "10",
}  # fmt: skip


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
        titles = items.with_columns(pl.col("title").fill_null("")).select(split_title("title"))
        self._years: list[int | None] = (items[year] if year else titles["year"]).to_list()
        self._counts = counts
        whole: dict[str, list[int]] = defaultdict(list)
        first: dict[str, list[int]] = defaultdict(list)
        other: dict[str, list[int]] = defaultdict(list)
        for item, title in enumerate(titles["title"].to_list()):
            whole[key_of(title)].append(item)
            bare = _BRACKETS.sub(" ", title)
            parts = _PARTS.split(bare)
            first[key_of(bare)].append(item)
            first[key_of(parts[0])].append(item)
            if len(parts) > 2:
                first[key_of(f"{parts[0]} {parts[-1]}")].append(item)
            for also in [*_BRACKETS.findall(title), *parts[1:]]:
                other[key_of(_ALSO.sub("", also))].append(item)
        self._whole, self._first = dict(whole), dict(first)
        # What stands behind a dash or in brackets names an item only where no other has it ("- PlayStation 3").
        self._other = {key: found for key, found in other.items() if len(set(found)) == 1}
        self._keys = [key for key in self._whole if len(key) >= LEAST]

    def find(self, written: Sequence[str]) -> list[TitleMatch]:
        """The items that titles mean, in their order; a title of nothing but marks names none."""
        if not written:
            return []
        clean = [
            _AFTER_YEAR.sub(r"\1", _LISTED.sub("", " ".join(title.split()))).strip("\"'“”* ") for title in written
        ]
        split = pl.DataFrame({"title": clean}, schema={"title": pl.String}).select(split_title("title"))
        return [
            self._one(title, key_of(name), year)
            for title, (name, year) in zip(written, split.iter_rows(), strict=True)
        ]

    def _one(self, title: str, key: str, year: int | None) -> TitleMatch:
        if not key:
            return TitleMatch(title)
        for names in (self._whole, self._first, self._other):
            if key in names:
                return TitleMatch(title, self._of(names[key], year))
        near = self._near(key, year)
        return TitleMatch(title, near, near=near is not None)

    def _of(self, items: Sequence[int], year: int | None) -> int:
        """Which of the items that are called alike."""

        def closeness(item: int) -> tuple[int, int]:
            its = self._years[item]
            apart = abs(its - year) if its is not None and year is not None else 0
            return -apart, self._counts[item]

        return max(items, key=closeness)

    def _near(self, key: str, year: int | None) -> int | None:
        """The item whose title is written most alike, with the same numbers: "Rocky II" is not "Rocky III"."""
        if len(key) < LEAST:
            return None
        for name, *_ in process.extract(key, self._keys, scorer=fuzz.ratio, score_cutoff=SAME, limit=5):
            if _numbers(name) == _numbers(key):
                item = self._of(self._whole[name], year)
                its = self._years[item]
                if year is None or its is None or abs(its - year) <= YEARS_APART:
                    return item
        return None


def key_of(title: str) -> str:
    """A title in small letters without accents, marks and its article, its Roman numbers as digits."""
    plain = unicodedata.normalize("NFKD", title.replace("&", " and ").replace("'", "").replace("’", ""))
    words = re.findall(r"\w+", "".join(c for c in plain if not unicodedata.combining(c)).casefold())
    if len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(words[:1] + [_ROMAN.get(word, word) for word in words[1:]])


def _numbers(key: str) -> list[str]:
    return [word for word in key.split() if word.isdigit()]
