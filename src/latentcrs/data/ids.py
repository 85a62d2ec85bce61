"""Ids that are the same to a person and not to a computer: 17.0 and 17, 0017 and 17, SKU-17 and sku-17."""

from collections.abc import Sequence
from itertools import combinations

import polars as pl

from latentcrs.base.errors import UserError

SAME = {"number": "without .0", "zeros": "without leading zeros", "case": "without regard to case"}
"""What may be ignored in an id -> in words."""


def key(text: pl.Expr, same: Sequence[str]) -> pl.Expr:
    """An id (String, stripped) without what `same`, names of `SAME`, says to ignore."""
    if "number" in same:
        text = text.str.replace(r"^(-?\d+)\.0+$", "${1}")
    if "zeros" in same:
        text = text.str.replace(r"^0+(.)", "${1}")
    if "case" in same:
        text = text.str.to_lowercase()
    return text


def refuse_unknown(same: Sequence[str], where: str) -> None:
    """Raise `UserError` for what is no name of `SAME`."""
    for name in same:
        if name not in SAME:
            raise UserError(f"{where}: ids have no {name!r} to ignore; use {', '.join(SAME)}.")


def refuse_collisions(ids: pl.Series, same: Sequence[str], file: str) -> None:
    """Raise `UserError` where two different ids of the catalogue would become one."""
    keyed = (
        pl.DataFrame({"id": ids}).drop_nulls().unique(maintain_order=True).with_columns(key=key(pl.col("id"), same))
    )
    twice = keyed.filter(pl.col("key").is_duplicated()).sort("key")
    if len(twice):
        one, other = twice["id"][0], twice["id"][1]
        raise UserError(
            f"{file}: {one!r} and {other!r} are two items, and would be one {words(same)}; ids cannot be matched so."
        )


def words(same: Sequence[str]) -> str:
    """What is ignored, in words."""
    return " and ".join(SAME[name] for name in same)


def remedy(unknown: pl.Series, known: pl.Series) -> tuple[tuple[str, ...], float]:
    """What to ignore so that the most of the ids in `unknown` are among `known`, and the share that then is.

    The fewest of `SAME`; () and 0 where nothing helps.
    """
    best: tuple[tuple[str, ...], float] = ((), 0.0)
    for number in range(1, len(SAME) + 1):
        for same in combinations(SAME, number):
            theirs = known.to_frame("id").select(key(pl.col("id"), same)).to_series()
            ours = unknown.to_frame("id").select(key(pl.col("id"), same)).to_series()
            found = len(ours.to_frame().join(theirs.unique().to_frame(), on="id", how="semi")) / max(1, len(ours))
            if found > best[1] + 1e-9:
                best = (same, found)
    return best
