"""What the page says of a catalogue: what its items are called, their facts in a line, the values rules may have."""

import re
from collections.abc import Sequence

import polars as pl

from latentcrs.data.nouns import NOUNS
from latentcrs.data.rules import ALLOWED, ALWAYS_THERE, Rule
from latentcrs.recommend import Recommender
from latentcrs.recommend.catalogue_text import CatalogueText
from latentcrs.serve.service import Service

MOST_VALUES = 500
"""So many values of a column are offered where a rule is edited, the commonest; others can be typed."""
_SYMBOLS = {
    "movie": "movie",
    "series": "live_tv",
    "game": "sports_esports",
    "album": "album",
    "song": "music_note",
    "book": "menu_book",
}
_KNOWN = {"watch": "I've seen it", "play": "I've played it", "read": "I've read it", "listen to": "I've heard it"}
_SQUARE = frozenset({"album", "song"})
_ACRONYMS = frozenset({"bpm", "esrb", "id", "imdb", "isbn", "mpaa", "pegi", "tv", "url", "usk"})
OPERATORS = {
    "is": "is",
    "has any": "is one of",
    "has all": "has all of",
    "not": "is not",
    "contains": "mentions",
    "<": "below",
    "<=": "at most",
    ">": "above",
    ">=": "at least",
    "between": "between",
}
"""How the operators of rules are called on the page."""


class Labels:
    """The catalogue of a service, as the page shows it; all pages share it."""

    def __init__(self, service: Service, image_hosts: frozenset[str] = frozenset()) -> None:
        self._service, self.image_hosts = service, image_hosts

    @property
    def _recommender(self) -> Recommender:
        return self._service.recommender  # another one when items join, or another bundle is served

    @property
    def display(self) -> CatalogueText:
        """Titles and facts, of items that joined the catalogue later too."""
        return self._service.catalogue.display

    @property
    def kind(self) -> str:
        """What sort of things these are: "movie", "game", ...; "" where nothing says so."""
        return self._service.catalogue.kind

    @property
    def noun(self) -> str:
        """What one item is called."""
        return NOUNS[self.kind].words[0] if self.kind else "title"

    @property
    def a_noun(self) -> str:
        """One of them: "a movie", "an album"."""
        return f"a{'n' * (self.noun[0] in 'aeiou')} {self.noun}"

    @property
    def nouns(self) -> str:
        """What several are called."""
        return self.noun if self.noun == "series" else f"{self.noun}s"

    @property
    def symbol(self) -> str:
        """The name of the icon that stands for an item."""
        return _SYMBOLS.get(self.kind, "interests")

    @property
    def shape(self) -> str:
        """The class of what stands for an item's cover."""
        return "square" if self.kind in _SQUARE else "upright"

    @property
    def known(self) -> str:
        """What one says of an item one had before."""
        return _KNOWN.get(NOUNS[self.kind].verb, "I know it")

    @property
    def size(self) -> int:
        """How many items there are."""
        return len(self._recommender.bundle.items)

    def title(self, item_id: str) -> str:
        """The title of an item, its id where the catalogue has lost it."""
        try:
            return str(self.display.facts(item_id)["title"])
        except KeyError:
            return item_id

    def facts(self, item_id: str) -> str:
        """Year and main categories of an item in a line."""
        try:
            display = self.display
            year = display.facts(item_id).get(display.year) if display.year else None
            return " · ".join(part for part in (str(year or ""), display.values(item_id)) if part)
        except KeyError:
            return ""

    def column(self, name: str) -> str:
        """What a column is called: "release date", "ESRB"."""
        words = name.replace("_", " ").split()
        return " ".join(word.upper() if word.lower() in _ACRONYMS else word for word in words) or name

    def rule(self, words: str) -> str:
        """A rule in words, with its column called so: "year ≥ 1990"."""
        name = self._column_of(words)
        if name is None:
            return words
        rest = words[len(name) :]
        for written, shown in ((" >= ", " ≥ "), (" <= ", " ≤ ")):
            rest = shown + rest.removeprefix(written) if rest.startswith(written) else rest
        return self.column(name) + rest

    def failing(self, item_id: str, fails: Sequence[str]) -> str:
        """Which rules an item does not pass, and where that is because nothing is known of it."""
        told, unknown = [], []
        for words in fails:
            name = self._column_of(words)
            if name is not None and self._is_empty(item_id, name):
                unknown.append(self.column(name))
            else:
                told.append(self.rule(words))
        parts = [f"Does not fit: {'; '.join(told)}" if told else ""]
        parts.append(f"Not known: {', '.join(dict.fromkeys(unknown))}" if unknown else "")
        return " · ".join(filter(None, parts))

    def _column_of(self, words: str) -> str | None:
        """The column that a rule in words begins with."""
        named = [name for name in self.rule_columns() if re.match(rf"{re.escape(name.replace('_', ' '))}\W", words)]
        return max(named, key=len, default=None)

    def _is_empty(self, item_id: str, column: str) -> bool:
        try:
            return self.display.facts(item_id).get(column) in (None, "", [])
        except KeyError:
            return True

    def any_passes(self, rule: Rule) -> bool:
        """Whether a rule leaves anything.

        Raises:
            UserError: it does not fit the catalogue.
        """
        return bool(self._recommender.mask(rule).any())

    def rule_columns(self) -> dict[str, str]:
        """The columns that rules can be about, and their kinds."""
        columns: dict[str, str] = dict(self._recommender.bundle.columns)
        return {**columns, **{name: "text" for name in ALWAYS_THERE}}

    def operators(self, column: str) -> dict[str, str]:
        """The operators that a column has, and how they are called."""
        allowed = ALLOWED[self.rule_columns()[column]]
        return {operator: words for operator, words in OPERATORS.items() if operator in allowed}

    def values(self, column: str) -> list[str]:
        """The commonest values of a column of categories; none for numbers and texts."""
        if self.rule_columns()[column] not in ("category", "multi-category"):
            return []
        values = self._recommender.bundle.items[column]
        if isinstance(values.dtype, pl.List):
            values = values.explode()
        counted = values.drop_nulls().value_counts(sort=True)
        return [str(value) for value in counted[values.name].head(MOST_VALUES).to_list()]

    def years(self, column: str) -> tuple[float, float]:
        """The least and the greatest value of a column of numbers or years; (0, 0) where it is empty."""
        found = self._recommender.bundle.items[column].drop_nulls().cast(pl.Float64)
        if found.is_empty():
            return 0.0, 0.0
        return float(found.to_numpy().min()), float(found.to_numpy().max())
