"""What a catalogue's columns are about, guessed from their names: how people speak of a value depends on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl

from latentcrs.data.dataset import PreparedDataset
from latentcrs.errors import UserError

Role = Literal[
    "genre",  # what sort of item it is
    "year",
    "director",
    "actor",
    "writer",
    "creator",  # author, artist, band, composer, designer
    "platform",
    "kind",  # game or accessory, film or series: it decides the noun
    "publisher",
    "developer",
    "certificate",  # for which age
    "country",
    "language",
    "price",
    "number",
    "story",  # free text: plot, description
    "other",
]
ROLES: tuple[Role, ...] = get_args(Role)

# Tried in order on the column's name; the first that fits wins.
_NAMES: tuple[tuple[str, Role], ...] = (
    (r"genre|categor|tag|style|subject|topic|theme|mood", "genre"),
    (r"director|directed", "director"),
    (r"actor|actress|cast|starring|stars", "actor"),
    (r"writer|screenplay|written", "writer"),
    (r"author|artist|singer|band|musician|composer|performer|designer|creator", "creator"),
    (r"platform|console|system", "platform"),
    (r"kind|type|format", "kind"),
    (r"developer|studio", "developer"),
    (r"publisher|brand|label|manufacturer|maker|store|company|vendor", "publisher"),
    (r"certificate|esrb|mpaa|rated|age_?rating|content_?rating|rating_?class", "certificate"),
    (r"country|nation|origin", "country"),
    (r"language", "language"),
    (r"price|cost", "price"),
)


def role_of(name: str, kind: str) -> Role:
    """The role of a column called `name` of the given column kind."""
    if kind == "year":
        return "year"
    if kind == "text":
        return "story"
    guess = next((role for pattern, role in _NAMES if re.search(pattern, name.lower())), None)
    if kind == "number":
        return "price" if guess == "price" else "number"
    return guess if guess is not None and guess != "price" else "other"


def roles_of(columns: Mapping[str, str], override: Mapping[str, Role] | None = None) -> dict[str, Role]:
    """The role of every column of `columns` (name -> column kind); `override` settles what the guess gets wrong.

    Raises:
        UserError: `override` names a column that is not there or a role that does not exist.
    """
    override = override or {}
    for name, role in override.items():
        if name not in columns:
            raise UserError(f"There is no column {name!r} to give a role to; columns are {', '.join(columns)}.")
        if role not in ROLES:
            raise UserError(f"{role!r} is not a role; roles are {', '.join(ROLES)}.")
    return {name: override.get(name) or role_of(name, kind) for name, kind in columns.items()}


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
    """The key in `NOUNS` for the items of a data set, by its name, else by its columns; "" when nothing fits."""
    name = re.sub(r"[_\s]", "-", dataset.info.name.lower())
    for pattern, noun in _DOMAINS:
        if re.search(pattern, name):
            return noun
    columns = {column.lower() for column in dataset.info.columns}
    if columns & {"director", "directors", "actors", "cast"}:
        return "movie"
    if columns & {"platform", "esrb"}:
        return "game"
    if columns & {"artist", "artists", "band"}:
        return "album"
    if columns & {"author", "authors", "isbn"}:
        return "book"
    return _noun_by_values(dataset)


def _noun_by_values(dataset: PreparedDataset) -> str:
    """The noun whose sorts are among the commonest values of the genre columns: Rock and Jazz are said of albums."""
    for column, role in roles_of(dataset.info.columns).items():
        if role != "genre" or dataset.info.columns[column] not in ("category", "multi-category"):
            continue
        values = dataset.items[column].drop_nulls()
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
