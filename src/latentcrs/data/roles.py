"""What a catalogue's columns are about, guessed from their names: how people speak of a value depends on it."""

import re
from collections.abc import Mapping
from typing import Any, Literal

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


_IMAGE = re.compile(r"image|img|photo|picture|pic\b|thumb|cover|poster|logo")


def role_of(name: str, kind: str) -> Role:
    """The role of a column called `name` of the given column kind."""
    if kind == "year":
        return "year"
    if kind == "text":
        return "story"
    if kind == "link":
        return "other"
    guess = next((role for pattern, role in _NAMES if re.search(pattern, name.lower())), None)
    if kind == "number":
        return "price" if guess == "price" else "number"
    return guess if guess is not None and guess != "price" else "other"


def addresses(row: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[str, str]:
    """Where an item's picture and page are: the first column of links of such a name, the first other; else ""."""
    links = [name for name, kind in columns.items() if kind == "link"]
    image = next((name for name in links if _IMAGE.search(name.lower())), "")
    page = next((name for name in links if not _IMAGE.search(name.lower())), "")
    return str(row.get(image) or ""), str(row.get(page) or "")


def roles_of(columns: Mapping[str, str]) -> dict[str, Role]:
    """The role of every column of `columns` (name -> column kind)."""
    return {name: role_of(name, kind) for name, kind in columns.items()}
