"""Items as people and agents name them: by id, by title, by title and year."""

from __future__ import annotations

import re

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.recommend import Recommender

TITLE_AND_YEAR = re.compile(r"^(?P<title>.*\S)\s*\((?P<year>[12]\d{3})\)$")


def find_item(recommender: Recommender, reference: str) -> str:
    """The id of the item that is meant: an item id, else a title as `Recommender.find_item` reads it, else a title
    with its year, "Heat (1995)".

    Raises:
        UserError: there is none.
    """
    wanted = " ".join(reference.split())
    items = recommender.bundle.items
    if _is_id(recommender, wanted):
        return wanted
    try:
        return recommender.find_item(wanted)
    except UserError:
        dated = TITLE_AND_YEAR.match(wanted)
        if dated is None:
            raise recommender.unknown(wanted) from None
    title, year = dated["title"], int(dated["year"])
    for name, kind in recommender.bundle.columns.items():
        if kind == "year":
            same = items.filter((pl.col("title").str.to_lowercase() == title.lower()) & (pl.col(name) == year))
            if len(same):
                return str(same["item_id"][0])
    try:
        return recommender.find_item(title)
    except UserError:
        raise recommender.unknown(title) from None


def _is_id(recommender: Recommender, text: str) -> bool:
    try:
        return len(recommender.item_numbers([text])) == 1
    except UserError:
        return False
