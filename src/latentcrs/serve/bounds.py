"""How much one request may ask for, whichever door it comes by."""

import re
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import unquote

from fastapi import Path
from pydantic import BeforeValidator
from starlette.types import Scope

from latentcrs.base.errors import UserError
from latentcrs.data.rules import Rule

MOST_IDS = 1000
"""Item ids in a history, or that are left out."""
MOST_NEW_ITEMS = 200
MOST_LIKES = 50
MOST_RULES = 20
"""Rules that all must hold."""
MOST_VALUES = 100
"""Values of one rule."""
MOST_VALUES_IN_ALL = 200
LONGEST_VALUE = 200
LONGEST_VALUES = 10_000
"""Characters of all values together."""
LONGEST_SEARCH = 500


def bounded(where: Sequence[Rule]) -> list[Rule]:
    """Rules that are asked for at once, if they are not too many.

    Raises:
        UserError: they are, or their values are, or too long.
    """
    values = [value for rule in where for value in (rule.value if isinstance(rule.value, list) else [rule.value])]
    lengths = [len(value) for value in values if isinstance(value, str)]
    each = max((len(rule.value) for rule in where if isinstance(rule.value, list)), default=1)
    for found, most, what in (
        (len(where), MOST_RULES, "rules at once"),
        (each, MOST_VALUES, "values in one rule"),
        (len(values), MOST_VALUES_IN_ALL, "values in all rules together"),
        (max(lengths, default=0), LONGEST_VALUE, "characters in one value of a rule"),
        (sum(lengths), LONGEST_VALUES, "characters in all values of rules together"),
    ):
        if found > most:
            raise UserError(f"There may be {most:,} {what}, not {found:,}.")
    return list(where)


def searched(words: str) -> str:
    """Words that are looked for, if they are not too many.

    Raises:
        UserError: they are.
    """
    if len(words) > LONGEST_SEARCH:
        raise UserError(f"There may be {LONGEST_SEARCH} characters of words to look for, not {len(words):,}.")
    return words


LONGEST_ID = 200
KEPT = re.compile("%(?=25|2[Ff])")


def keep_slashes(scope: Scope) -> None:
    """Leave %2F, and %25 with it, as written in a path until `PathId` reads them: a slash would part segments."""
    raw = scope.get("raw_path", b"").decode("latin-1")
    if KEPT.search(raw) and unquote(raw) == scope["path"]:
        scope["path"] = unquote(KEPT.sub("%25", raw))


def _read(segment: object) -> object:
    if isinstance(segment, str):
        return re.sub("%2[Ff]", "/", segment).replace("%25", "%")
    return segment


PathId = Annotated[str, BeforeValidator(_read), Path(min_length=1, max_length=LONGEST_ID)]
"""An id in a path, as it was before it was percent-encoded."""
