"""Certificates in the order of age, so that "PG at most" is G and PG."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FROM_YOUNG_TO_OLD = (
    ("G", "PG", "PG-13", "R", "NC-17"),
    ("EC", "E", "K-A", "E10+", "T", "M", "AO"),
)
_AT_MOST_BEFORE = re.compile(
    r" (?:up to|at most|max|maximum|no more than|(?:no|nothing|not)(?: rated| anything)? "
    r"(?:above|over|higher than|beyond|past|stronger than|harder than|worse than|older than))"
    r"(?: (?:a|an|the|rated|rating|of))* $"
)
_AT_MOST_BEHIND = re.compile(
    r"^ (?:(?:rated|rating) )?(?:at (?:the )?(?:very )?most|at (?:the )?(?:very )?max|max|maximum|tops|"
    r"(?:or|and) (?:lower|below|under|less|younger|tamer|milder|softer))(?= )"
)
_RATED = re.compile(
    r" (?:rated|rating|ratings|certificate|certified|esrb|mpaa)(?: (?:of|is|be|should|the|or|and|a|an|to|has|"
    r"as|at|most|up|max|nothing|above|over|\w{1,4}))* $"
)
_RATED_BEHIND = re.compile(r"^ (?:rated|rating|rate|certificate|esrb)\b")
_BESIDE_BEFORE = re.compile(r" (?:pg|pg 13|nc 17|pg13|e10 \+up|[rgtme]) (?:or|and|/) $")
_BESIDE_BEHIND = re.compile(r"^ (?:or|and|/) (?:rated )?(?:pg|nc 17|pg13|e10|[rgtme]) ")
_SEEN_BEFORE = re.compile(r" (?:see|watch|go to|take (?:him|her|them) to|nothing|no|not) an? $")
_SEEN_BEHIND = re.compile(r"^ (?:[.,/]|$|or |movie|film|game)")
_LISTED = re.compile(r" (?:rated|rating)(?= ).* (?:no|not|or|and|an?|nor|nothing|,) $")


def speaks_of_rating(before: str, behind: str, letter: bool) -> bool:
    """Whether the words around make a word a certificate: "rated R", "R-rated"; for a single capital `letter` also
    "rated T, no M".
    """
    return bool(_RATED.search(before) or _RATED_BEHIND.search(behind) or (letter and _among_others(before, behind)))


def _among_others(before: str, behind: str) -> bool:
    if _SEEN_BEFORE.search(before) and _SEEN_BEHIND.match(behind):  # "I can't go to an R"
        return True
    return bool(_LISTED.search(before) or _BESIDE_BEFORE.search(before) or _BESIDE_BEHIND.match(behind))


def is_upper_bound(before: str, behind: str) -> bool:
    """Whether the words around a certificate allow those for younger people too: "PG at most"."""
    return bool(_AT_MOST_BEFORE.search(before) or _AT_MOST_BEHIND.search(behind))


def up_to(certificate: str, known: Iterable[str]) -> tuple[str, ...]:
    """Those of `known` that are for no older people than `certificate`; only itself where the order is not known."""
    for order in _FROM_YOUNG_TO_OLD:
        if certificate in order:
            have = set(known)
            return tuple(value for value in order[: order.index(certificate) + 1] if value in have)
    return (certificate,)
