"""Questions about items that were shown, answered from the catalogue and from nothing else."""

import re
from collections.abc import Mapping
from typing import Any

from latentcrs.data import ColumnKind
from latentcrs.data.dataset import MACHINE_WRITTEN
from latentcrs.data.roles import roles_of
from latentcrs.recommend.explain import BY_MODEL

LONGEST_STORY = 320
_SAID = {
    "director": "{title} was directed by {value}.",
    "actor": "{title} has {value}.",
    "writer": "{title} was written by {value}.",
    "creator": "{title} is by {value}.",
    "year": "{title} is from {value}.",
    "genre": "{title} is {value}.",
    "platform": "{title} is for {value}.",
    "publisher": "{title} was published by {value}.",
    "developer": "{title} was made by {value}.",
    "certificate": "{title} is rated {value}.",
    "price": "{title} costs {value}.",
    "language": "{title} is in {value}.",
    "country": "{title} is from {value}.",
}
_WORDS = {
    "director": "who directed",
    "actor": "who is in",
    "writer": "who wrote",
    "creator": "who made",
    "year": "the year of",
    "genre": "the kind of",
    "plot": "what happens in",
    "platform": "the platform of",
    "publisher": "who published",
    "developer": "who developed",
    "certificate": "the age rating of",
    "price": "the price of",
    "length": "the length of",
    "language": "the language of",
    "country": "the country of",
}
_TELLS_LENGTH = re.compile(r"length|runtime|running_?time|duration|minutes|pages", re.IGNORECASE)
_INSTEAD = {
    "developer": ("publisher",),
    "publisher": ("developer",),
    "creator": ("writer", "director", "developer"),
    "writer": ("creator",),
}


def answer(item: Mapping[str, Any], about: str, columns: Mapping[str, ColumnKind]) -> str:
    """One sentence about an item (its row of the catalogue): what `about` asks for, or that the catalogue does not
    say; with no `about`, what there is to say of it.
    """
    title = str(item["title"])
    if not about:
        return describe(item, columns)
    if about == "plot":
        story = story_of(item, columns)
        return f"{title}: {story}" if story else _not_said(title, about)
    if about == "length":
        for column in filter(_TELLS_LENGTH.search, columns):
            if value := shown(item.get(column)):
                return f"{title}: {column.replace('_', ' ')} {value}."
    roles = roles_of(columns)
    for role in (about, *_INSTEAD.get(about, ())):
        for column, its_role in roles.items():
            if its_role == role and (value := shown(item.get(column))):
                return _SAID.get(role, "{title}: {value}.").format(title=title, value=value)
    return _not_said(title, about)


def describe(item: Mapping[str, Any], columns: Mapping[str, ColumnKind]) -> str:
    """What the catalogue says of an item: its columns, then its story."""
    facts = [
        f"{column.replace('_', ' ')} {value}"
        for column, kind in columns.items()
        if kind not in ("text", "link") and (value := shown(item.get(column)))
    ]
    said = f"{item['title']}: {'; '.join(facts)}." if facts else f"{item['title']}."
    return f"{said} {story_of(item, columns)}".strip()


def story_of(item: Mapping[str, Any], columns: Mapping[str, ColumnKind]) -> str:
    """The beginning of the item's first text column that has one."""
    for column, kind in columns.items():
        story = item.get(column) if kind == "text" else None
        if story:
            text = " ".join(str(story).split())
            text = f"{BY_MODEL.capitalize()}: {text}" if column == MACHINE_WRITTEN else text
            return text if len(text) <= LONGEST_STORY else text[:LONGEST_STORY].rsplit(" ", 1)[0] + " …"
    return ""


def shown(value: Any) -> str:
    """A value of the catalogue in words: "Tom Hanks, Tim Allen and Don Rickles"."""
    if value is None or value == "" or value != value:
        return ""
    if isinstance(value, list):
        values = [str(entry) for entry in value if entry is not None and entry != ""]
        return " and ".join([", ".join(values[:-1]), values[-1]]) if len(values) > 1 else "".join(values)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _not_said(title: str, about: str) -> str:
    return f"The catalogue does not say {_WORDS.get(about, 'that of')} {title}."
