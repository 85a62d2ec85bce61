"""What the items of a catalogue are called, guessed from its name, its columns and their values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from latentcrs.data import ColumnKind
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.roles import roles_of


@dataclass(frozen=True)
class Noun:
    """What an item is called: singular words for it, what one does with it, and has done."""

    words: tuple[str, ...]
    verb: str
    done: str


NOUNS: dict[str, Noun] = {
    "movie": Noun(("movie", "movie", "film", "film", "flick"), "watch", "seen"),
    "series": Noun(("series", "show"), "watch", "seen"),
    "game": Noun(("game", "game", "game", "video game"), "play", "played"),
    "album": Noun(("album", "album", "record", "CD"), "listen to", "heard"),
    "song": Noun(("song", "track"), "listen to", "heard"),
    "book": Noun(("book",), "read", "read"),
    "accessory": Noun(("accessory",), "buy", "bought"),
    "console": Noun(("console",), "buy", "bought"),
    "": Noun((), "get", "had"),  # not known: "something"
}
_SORTS: dict[str, frozenset[str]] = {
    "album": frozenset("rock pop jazz classical country blues metal folk r&b hip-hop".split()),
    "game": frozenset("shooter racing role-playing strategy puzzle platform simulation rpg".split()),
    "movie": frozenset("drama documentary thriller western animation film-noir musical sci-fi".split()),
}
_DOMAINS: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("movie", r"movie|film|\bml[-_]|imdb|netflix|redial|cinema", frozenset({"director", "actors", "cast"})),
    ("game", r"game|steam", frozenset({"platform", "esrb"})),
    ("album", r"\bcds?\b|vinyl|music|album|last\.?fm", frozenset({"artist", "artists", "band"})),
    ("book", r"book|goodreads", frozenset({"author", "authors", "isbn"})),
    ("song", r"song|track|spotify", frozenset()),
)  # fmt: skip
"""Of each noun: the names of data sets, and the columns, that tell it."""


def guess_noun(dataset: PreparedDataset) -> str:
    """The key in `NOUNS` for the items of a data set; see `noun_of`."""
    return noun_of(dataset.info.name, dataset.info.columns, dataset.items)


def noun_of(name: str, kinds: Mapping[str, ColumnKind], items: pl.DataFrame) -> str:
    """The key in `NOUNS` for a catalogue by its name, its columns, or its commonest genres; "" when nothing fits."""
    name, columns = re.sub(r"[_\s]", "-", name.lower()), {column.lower() for column in kinds}
    told = [noun for noun, pattern, _ in _DOMAINS if re.search(pattern, name)]
    told += [noun for noun, _, of_noun in _DOMAINS if columns & of_noun]
    for column, role in roles_of(kinds).items():
        if not told and role == "genre" and kinds[column] in ("category", "multi-category"):
            values = items[column].drop_nulls()
            values = values.explode() if isinstance(values.dtype, pl.List) else values
            common = set(values.str.to_lowercase().value_counts(sort=True)[column][:30].to_list())
            told = [noun for noun, sorts in _SORTS.items() if len(common & sorts) >= 3]
    return told[0] if told else ""


def nouns_of(dataset: PreparedDataset, domain: str) -> list[Noun]:
    """What each item is called: `domain`, but where a column tells games from accessories, it decides."""
    usual = NOUNS.get(domain) or Noun((domain,), "get", "had")
    column = next((c for c, role in roles_of(dataset.info.columns).items() if role == "kind"), None)
    if column is None or isinstance(dataset.items.schema[column], pl.List):
        return [usual] * len(dataset.items)
    kinds = [(value or "").strip().lower() for value in dataset.items[column].to_list()]
    if not {*kinds} & {domain, "accessory", "console", "series", "film"}:
        return [usual] * len(dataset.items)
    return [usual if kind in (domain, "film") else NOUNS.get(kind, NOUNS[""]) for kind in kinds]
