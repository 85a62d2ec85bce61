"""Items as people and agents name them: by id, by title, by title and year, by a part of a title."""

from __future__ import annotations

import re
from contextlib import suppress

from latentcrs.base.errors import UserError
from latentcrs.recommend import Recommender

YEAR = re.compile(r"\s*\([12]\d{3}\)$")


def find_item(recommender: Recommender, reference: str) -> str:
    """The id of the item that is meant: as `Recommender.find_items` reads it, else as `Recommender.find_item` does.

    Raises:
        UserError: there is none.
    """
    wanted = " ".join(reference.split())
    for number in recommender.find_items([wanted], unknown="leave out").tolist():
        return str(recommender.bundle.items["item_id"][number])
    for title in (wanted, YEAR.sub("", wanted)):
        with suppress(UserError):
            return recommender.find_item(title)
    raise recommender.unknown(YEAR.sub("", wanted))
