"""Whole columns taken back by their name: "never mind the year", "any platform is fine"."""

from __future__ import annotations

import re
from collections.abc import Mapping

from latentcrs.data.roles import Role
from latentcrs.language.extract.contexts import ITEM_NOUNS

_CALLED: dict[Role, tuple[str, ...]] = {
    "genre": ("genre", "sort", "style", "kind of film", "category"),
    "year": ("year", "decade", "date", "era", "period", "time period", "release date", "release year", "age"),
    "director": ("director",),
    "actor": ("actor", "actress", "cast", "star"),
    "writer": ("writer", "author"),
    "creator": ("artist", "author", "band", "singer"),
    "platform": ("platform", "console", "system"),
    "kind": ("kind", "type"),
    "publisher": ("publisher", "brand", "label"),
    "developer": ("developer", "studio"),
    "certificate": ("rating", "certificate", "age rating"),
    "country": ("country",),
    "language": ("language",),
    "price": ("price", "budget", "cost"),
}
_LEAD = (
    r"(?:drop|forget(?: about)?|never ?mind(?: about)?|scrap|ditch|ignore|lose|remove|cancel|disregard|leave "
    r"out|skip|"
    r"(?:dont|do not)(?: really)? (?:care|mind) (?:about|which|what)|(?:doesnt|does not) matter (?:which|what)|"
    r"any|whatever|no matter (?:which|what))"
)
_TAIL = (
    r"(?:doesnt(?: really)? matter|does not(?: really)? matter|isnt important|is not important|is irrelevant|"
    r"can be anything|is up to you)"
)
_BEHIND = re.compile(rf"^ (?:{'|'.join(sorted(ITEM_NOUNS))})(?:s|es)? ")


def columns_left_open(line: str, roles: Mapping[str, Role]) -> list[str]:
    """The columns of which `line` says that anything will do: "any year, but I like the 80s"."""
    return columns_taken_back(line, roles, "(?:any|whatever)")


def columns_taken_back(line: str, roles: Mapping[str, Role], lead_words: str = _LEAD) -> list[str]:
    """The columns of `roles` that `line` takes back as such, by `lead_words` in front."""
    out = []
    for column, role in roles.items():
        names = "|".join(dict.fromkeys((re.escape(column.replace("_", " ").lower()), *_CALLED.get(role, ()))))
        said = rf"(?:{names})s?"
        lead = re.search(
            rf" {lead_words} (?:(?:the|about|that|my|what|which|whole) )*{said}(?: (?:thing|part|bit|range|limit|"
            rf"condition|filter))?(?= )",
            line,
        )
        if (lead and not _BEHIND.match(line[lead.end() : lead.end() + 30])) or re.search(rf" {said} {_TAIL} ", line):
            out.append(column)
    return out
