"""What the `plot` user never says: category values, years, the names of people and makers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.roles import Role
from latentcrs.users.leak import stem, words_of
from latentcrs.users.plot_words import TOKEN, plot_words, words

_MAKERS: frozenset[Role] = frozenset({"director", "actor", "writer", "creator", "publisher", "developer"})
_DIGITS = re.compile(
    r"(?<!\d)(?:1\d|20)\d\d|\d0['’]?s\b|\b\d+(?:st|nd|rd|th)\b|\bnineteen-\w+|\b\d{3,}\b", re.IGNORECASE
)


class Unsayable:
    """The values of a catalogue that are never said: its categories in any case, its people and makers by name."""

    def __init__(self, dataset: PreparedDataset, roles: dict[str, Role]) -> None:
        self._makers: list[list[Any]] = []
        self._values: set[str] = set()
        self._names: set[str] = set()
        for column, role in roles.items():
            if dataset.info.columns[column] not in ("category", "multi-category"):
                continue
            if role in _MAKERS:
                self._makers.append(dataset.items[column].to_list())
            values = dataset.items[column].drop_nulls()
            values = values.explode() if isinstance(values.dtype, pl.List) else values
            for value in values.drop_nulls().unique():
                words = words_of(value)
                if not words or (len(words) == 1 and len(words[0]) < 3):
                    continue
                if role in _MAKERS:
                    self._names.add(" ".join(value.split()) if len(words) == 1 else " ".join(words))
                else:
                    self._values.add(" ".join(stem(word) for word in words))
        self._longest = max((value.count(" ") + 1 for value in self._values | self._names), default=0)
        self._longest = min(self._longest, 6)

    def makers_of(self, item: int) -> frozenset[str]:
        """Every part of the names of those who made `item`."""
        found = [column[item] or [] for column in self._makers]
        names = [name for value in found for name in ([value] if isinstance(value, str) else value)]
        return frozenset(
            part for name in names for part in TOKEN.findall(name) if len(part) > 2 and part[0].isupper()
        )

    def otherwise(self, tokens: Sequence[str]) -> list[str]:
        """`tokens` with another word for those that are a category value, where there is one."""
        instead: dict[str, str] = plot_words()["instead"]
        return [instead.get(token, token) if stem(token) in self._values else token for token in tokens]

    def in_(self, text: str) -> bool:
        """Whether a category value, a year, or a person of the catalogue is in it."""
        dated = bool(_DIGITS.search(text)) or not words("clauses", "decades").isdisjoint(words_of(text))
        return dated or self._says(text)

    def _says(self, text: str) -> bool:
        """Whether a category value or the name of a person or maker stands in `text`."""
        words = words_of(text)
        stems = [stem(word) for word in words]
        for length in range(1, self._longest + 1):
            for start in range(len(words) - length + 1):
                if " ".join(stems[start : start + length]) in self._values:
                    return True
                if length > 1 and " ".join(words[start : start + length]) in self._names:
                    return True
        return any(token in self._names for token in TOKEN.findall(text) if token[:1].isupper())
