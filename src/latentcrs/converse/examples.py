"""Requests that a catalogue can answer, for people who do not know yet what to say."""

import polars as pl

from latentcrs.data.roles import Role, roles_of
from latentcrs.recommend import Bundle

MOST_VALUES = 300
_SHAPES: tuple[tuple[Role, str], ...] = (
    ("genre", "{value}{year}"),
    ("platform", "something for {value}{year}"),
    ("creator", "something by {value}"),
    ("publisher", "something by {value}"),
    ("other", "something with {value}"),
)


def example_request(bundle: Bundle) -> str:
    """A request made of the catalogue's own values, in quotation marks."""
    return f"\u201c{example_requests(bundle, 1)[0]}\u201d"


def example_requests(bundle: Bundle, most: int = 3) -> list[str]:
    """Up to `most` requests, each by another common value: "comedy from the 1990s"; at least one."""
    roles = roles_of(bundle.columns)
    found: list[str] = []
    for role, shape in _SHAPES:
        for column, its_role in roles.items():
            if its_role == role and bundle.columns[column] in ("category", "multi-category"):
                for value, year in _common(bundle, column, most):
                    word = value.lower() if role == "genre" and value.istitle() else value
                    found.append(shape.format(value=word, year=year))
    return found[:most] or ["something like what I had before"]


def _common(bundle: Bundle, column: str, most: int) -> list[tuple[str, str]]:
    """The commonest values of a column, each with the decade in which it is commonest, in words."""
    year = next((name for name, kind in bundle.columns.items() if kind == "year"), None)
    decade = pl.lit(None, pl.Int64) if year is None else pl.col(year).cast(pl.Int64) // 10 * 10
    values = bundle.items.select(value=column, decade=decade)
    if isinstance(values.schema["value"], pl.List):
        values = values.explode("value")
    values = values.drop_nulls("value")
    if values["value"].n_unique() > MOST_VALUES:
        return []
    told = values.group_by("value").agg(pl.len(), pl.col("decade").drop_nulls().mode().max())
    top = told.sort("len", "value", descending=[True, False]).head(most)
    return [
        (str(value), f" from the {when}s" if when else "")
        for value, when in top.select("value", "decade").iter_rows()
    ]
