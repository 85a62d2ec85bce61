"""What the items of a catalogue are called, guessed from its name, its columns and their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from latentcrs.data import ColumnKind
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.roles import roles_of


@dataclass(frozen=True)
class Noun:
    """What an item is called: singular words for it, and what one does with it."""

    words: tuple[str, ...]
    verb: str


NOUNS: dict[str, Noun] = {
    "movie": Noun(("movie", "movie", "film", "film", "flick"), "watch"),
    "series": Noun(("series", "show"), "watch"),
    "game": Noun(("game", "game", "game", "video game"), "play"),
    "album": Noun(("album", "album", "record", "CD"), "listen to"),
    "song": Noun(("song", "track"), "listen to"),
    "book": Noun(("book",), "read"),
    "accessory": Noun(("accessory",), "buy"),
    "console": Noun(("console",), "buy"),
    "": Noun((), "get"),  # not known: "something"
}
_SORTS: dict[str, frozenset[str]] = {
    "album": frozenset({"rock", "pop", "jazz", "classical", "country", "blues", "metal", "folk", "r&b", "hip-hop"}),
    "game": frozenset({"shooter", "racing", "role-playing", "strategy", "puzzle", "platform", "simulation", "rpg"}),
    "movie": frozenset(
        {"drama", "documentary", "thriller", "western", "animation", "film-noir", "musical", "sci-fi"}
    ),
}
_DOMAINS: tuple[tuple[str, str], ...] = (
    (r"movie|film|\bml[-_]|movielens|imdb|netflix|redial|cinema", "movie"),
    (r"game|steam", "game"),
    (r"\bcds?\b|vinyl|music|album|last\.?fm", "album"),
    (r"book|goodreads", "book"),
    (r"song|track|spotify", "song"),
)


def guess_noun(dataset: PreparedDataset) -> str:
    """The key in `NOUNS` for the items of a data set; see `noun_of`."""
    return noun_of(dataset.info.name, dataset.info.columns, dataset.items)


def noun_of(name: str, kinds: Mapping[str, ColumnKind], items: pl.DataFrame) -> str:
    """The key in `NOUNS` for the items of a catalogue, by its name, else by its columns; "" when nothing fits."""
    name = re.sub(r"[_\s]", "-", name.lower())
    for pattern, noun in _DOMAINS:
        if re.search(pattern, name):
            return noun
    columns = {column.lower() for column in kinds}
    if columns & {"director", "directors", "actors", "cast"}:
        return "movie"
    if columns & {"platform", "esrb"}:
        return "game"
    if columns & {"artist", "artists", "band"}:
        return "album"
    if columns & {"author", "authors", "isbn"}:
        return "book"
    return _noun_by_values(kinds, items)


def _noun_by_values(kinds: Mapping[str, ColumnKind], items: pl.DataFrame) -> str:
    """The noun whose sorts are among the commonest values of the genre columns: Rock and Jazz are said of albums."""
    for column, role in roles_of(kinds).items():
        if role != "genre" or kinds[column] not in ("category", "multi-category"):
            continue
        values = items[column].drop_nulls()
        values = values.explode() if isinstance(values.dtype, pl.List) else values
        common = set(values.str.to_lowercase().value_counts(sort=True)[column][:30].to_list())
        for noun, sorts in _SORTS.items():
            if len(common & sorts) >= 3:
                return noun
    return ""


def noun_of_kind(value: str | None, domain: str) -> str:
    """The noun for an item whose kind column says `value`: the domain's own ("game"), another known one, or ""."""
    key = (value or "").strip().lower()
    if key in NOUNS:
        return key
    return domain if key == "film" and domain == "movie" else ""
