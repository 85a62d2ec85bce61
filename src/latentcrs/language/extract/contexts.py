"""The words around a name that say which column it belongs to."""

from __future__ import annotations

import re

from latentcrs.data.roles import Role

PEOPLE: tuple[Role, ...] = ("director", "actor", "writer", "creator")
MAKERS: tuple[Role, ...] = ("publisher", "developer")
NAMES = PEOPLE + MAKERS
_FILLER = (
    r"(?:(?:is|are|was|were|should be|has to be|must be|the|a|great|late|legendary|mr|sir|either|both|"
    r"only|just|of) )*"
)
_BEFORE: tuple[tuple[str, tuple[Role, ...]], ...] = (
    (
        r"(?:directed|helmed|filmed) (?:and \w+ )?by(?: director)?|directors?(?: called| named)?|directing",
        ("director",),
    ),
    (
        r"(?:starring|stars|star|featuring|features|feature|actors?|actress|actresses|cast|played by|acted by)",
        ("actor",),
    ),
    (
        r"(?:written|penned|scripted|screenplay|script|story|novel|book) (?:and \w+ )?by|writers?",
        ("writer", "creator"),
    ),
    (
        r"(?:sung|performed|recorded|composed|played) by|bands?|singers?|artists?|authors?",
        ("creator", "actor", "writer"),
    ),
    (r"(?:published|released|put out|distributed) by|publishers?|labels?", ("publisher",)),
    (
        r"(?:developed|made|created|designed|programmed) by|developers?|studios?|made from",
        ("developer", "creator", "director", "publisher"),
    ),
    (r"(?:see|watch) (?:\w+ )?(?:movies? |films? )?with", ("actor",)),
    # From here on the word fits several.
    (r"by", ("creator", "director", "publisher", "developer", "writer")),
    (r"with|has|have|see|had", ("actor", "creator")),
    (r"from", ("publisher", "developer", "creator", "director")),
)  # fmt: skip
_BEHIND: tuple[tuple[str, tuple[Role, ...]], ...] = (
    (r"(?:directed|directs|directing|as (?:a |the )?director)\b", ("director",)),
    (r"(?:wrote|writes|as (?:a |the )?writer)\b", ("writer", "creator")),
    (r"(?:stars?|starred|acts|acted|plays?|played|is in|are in|appears?|in (?:it|them|the cast)|should be in|"
     r"must be in|has to be in)\b", ("actor",)),
    (r"(?:made|developed|makes|develops|should have made)\b", ("developer", "creator", "publisher")),
    (r"(?:published|publishes|put out|released)\b", ("publisher",)),
)  # fmt: skip
_BEFORE_PATTERNS = tuple((re.compile(rf"(?:^| )(?:{pattern}) {_FILLER}$"), roles) for pattern, roles in _BEFORE)
_BEHIND_PATTERNS = tuple((re.compile(rf"^ {pattern}"), roles) for pattern, roles in _BEHIND)
_DOUBTFUL = 3  # of the last patterns
ITEM_NOUNS = frozenset(
    "movie film flick picture game videogame album record cd lp vinyl disc song track music tune book novel title "
    "item product show series one stuff something anything someone pic".split()
)
"""Words for the items at large, whatever the catalogue: no rules."""
NOUN_BEHIND = re.compile(rf"^ (?:(?:{'|'.join(sorted(ITEM_NOUNS))})(?:s|es)? |accessor|consoles? |controllers? )")
"""A word for the items behind what tells them apart: "horror movies"."""
NOT_TO_BE_WITH = r"(?<!start )(?<!help )(?<!go )(?<!okay )(?<!ok )(?<!fine )(?<!happy )"
"""In front of "with" in a pattern: "start with comedies" does not ask for comedies in a story."""


def roles_around(before: str, behind: str) -> tuple[tuple[Role, ...], bool]:
    """Roles that the words before and behind a name speak of, the likeliest first (none where they do not say), and
    whether these words leave no doubt.
    """
    weak: tuple[Role, ...] = ()
    for place, (pattern, roles) in enumerate(_BEFORE_PATTERNS):
        if pattern.search(before):
            if place < len(_BEFORE_PATTERNS) - _DOUBTFUL:
                return roles, True
            weak = roles
            break
    for pattern, roles in _BEHIND_PATTERNS:
        if pattern.search(behind):
            return roles, True
    return weak, False
