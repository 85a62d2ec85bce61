"""The words of the `plot` user, and what a data set's own texts tell of words: which are names, places, verbs."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache
from importlib import resources
from typing import Any

import polars as pl

TOKEN = re.compile(r"\.{2,}|[^\W_]+(?:['’\-&][^\W_]+)*['’]?|[^\w\s]")
STOPS = frozenset(",;:")
STANDING_IN = frozenset({"someone", "else", "man", "woman"})
DETERMINERS = frozenset("a an the his her their its this that another".split())
_PLACE_SHARE, _VERB_SHARE = 0.3, 0.03


@cache
def plot_words() -> dict[str, dict[str, Any]]:
    """`plot.toml`."""
    return tomllib.loads(resources.files("latentcrs.users").joinpath("plot.toml").read_text("utf-8"))


@cache
def words(section: str, name: str) -> frozenset[str]:
    """The blank-separated words under `[section] name` of `plot.toml`."""
    return frozenset(plot_words()[section][name].split())


def bare(token: str) -> str:
    """A name without the ending of a genitive."""
    return re.sub(r"['’]s?$", "", token)


def owning_form(token: str) -> bool:
    """Whether it is a genitive: "Harris's", "the Dannreuthers'"."""
    return bool(re.search(r"['’]s?$", token))


class WordHabits:
    """How the texts of `column` use words.

    A capitalised word that they write small as often is no name, a name that often follows "in" is a place, and what
    often follows "he" is a verb.
    """

    def __init__(self, items: pl.DataFrame, column: str | None) -> None:
        self._small, self._capital, self._placed, after = _counted(items, [column] if column else [])
        behind = {word for word, count in after.items() if count >= max(2, _VERB_SHARE * self._small[word])}
        behind -= {word for word in behind if word.endswith(("ly", "ing"))} | words("clauses", "no_verbs")
        self.verbs = words("clauses", "verbs") | behind

    def is_verb(self, token: str) -> bool:
        """Whether the texts use `token` as a verb with a subject of its own."""
        return token in self.verbs or bool(
            re.search(r"n['’]t$|['’](?:re|ve|ll|d)$|^(?:he|she|it|there|that|who)['’]s$", token)
        )

    def is_name(self, word: str, first: bool) -> bool:
        """Whether a capitalised `word` names somebody or something; `first`: it begins its sentence."""
        if not word[:1].isupper() or word in words("people", "kept"):
            return False
        if word.isupper() and 1 < len(word) <= 4 and not first:
            return False
        small, capital = self._small[word.lower()], self._capital[word.lower()]
        return capital > small or not small if first else capital >= small

    def is_place(self, word: str) -> bool:
        """Whether the texts mostly use the name `word` as a place."""
        return self._placed[word.lower()] >= max(2, _PLACE_SHARE * self._capital[word.lower()])


def _counted(items: pl.DataFrame, columns: list[str]) -> tuple[Counter[str], ...]:
    """How often every word is written small, with a capital inside a sentence, so after "in", and after "he"."""
    counters: tuple[Counter[str], ...] = (Counter(), Counter(), Counter(), Counter())
    patterns = (
        r"\b[a-zà-ÿ][\wà-ÿ\-]*",
        r"[\wà-ÿ,;] [A-ZÀ-Þ][\wÀ-ÿ\-]*",
        r"\b(?:in|near|across) [A-ZÀ-Þ][\wÀ-ÿ\-]*",
        r"\b(?:[Hh]e|[Ss]he|[Tt]hey|who) [a-zà-ÿ]+",
    )
    for column in columns[:1]:  # the first is read for nearly every item
        texts = items.select(text=pl.col(column)).drop_nulls()
        for pattern, counter in zip(patterns, counters, strict=True):
            found = texts.select(word=pl.col("text").str.extract_all(pattern)).explode("word").drop_nulls()
            found = found.select(pl.col("word").str.replace(r"^.* ", "").str.to_lowercase())
            counter.update(dict(found["word"].value_counts().iter_rows()))
    return counters
