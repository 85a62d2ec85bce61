"""Which of the catalogue's categories an intent's items share, and how much more than chance makes them share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.data import ColumnKind
from latentcrs.recommend.explain import lifted, picked, values_of

CATEGORIES = ("category", "multi-category")
FEW, MANY = 2, 60
"""How many values a column may have to sort intents by: names of people are no categories."""
SHUFFLES = 20

CERTIFICATES = frozenset({"G", "PG", "PG-13", "R", "NC-17", "EC", "E", "K-A", "E10+", "T", "M", "AO"})


@dataclass(frozen=True)
class Agreement:
    """Mean share of an intent's top items with their commonest value, and the same with the items dealt at random."""

    share: float
    shuffled: float


def map_column(
    items: pl.DataFrame, columns: Mapping[str, ColumnKind], top: NDArray[np.int64], wanted: str | None = None
) -> str | None:
    """The column that intents agree on most above chance, None where the catalogue has no such column.

    Candidates are category columns of `FEW` to `MANY` values on at least half of the items, or else, so that a
    column with a long tail still serves, those whose `MANY` commonest values lie on as many.

    Raises:
        UserError: `wanted` is no category column.
    """
    names = [name for name, kind in columns.items() if kind in CATEGORIES]
    if wanted is not None:
        if wanted not in names:
            raise UserError(
                f"--by {wanted}: choose a category column of this catalogue ({', '.join(names) or 'it has none'})."
            )
        return wanted
    found = {name: agreement(items, name, top) for name in names if _sorts(items, name)}
    return max(found, key=lambda name: found[name].share - found[name].shuffled) if found else None


def agreement(items: pl.DataFrame, column: str, top: NDArray[np.int64]) -> Agreement:
    """How much the items of an intent, top (K, t), share a value of `column`, beside chance (seed 0)."""
    values = _values(items, [column]).with_columns(pl.col("value").cast(pl.Categorical).to_physical())
    rng = np.random.default_rng(0)
    flat = top.ravel()
    shuffled = [_common_share(rng.permutation(flat).reshape(top.shape), values) for _ in range(SHUFFLES)]
    return Agreement(_common_share(top, values), float(np.mean(shuffled)))


def category_of(items: pl.DataFrame, column: str, top: NDArray[np.int64]) -> list[str | None]:
    """The value of `column` that sets each intent's items apart, (K,); None where none does."""
    found: list[str | None] = [None] * len(top)
    for intent, value in _lifted(items, [column], top).group_by("intent", maintain_order=True).first().iter_rows():
        found[intent] = value
    return found


def names_of(
    items: pl.DataFrame, columns: Mapping[str, ColumnKind], top: NDArray[np.int64], words: Sequence[Sequence[str]]
) -> list[str]:
    """A name for each intent: the two values that set its items apart, then two telling words, or its first item."""
    used = [name for name, kind in columns.items() if kind in CATEGORIES and not _certificates(items, name)]
    labels: list[list[str]] = [[] for _ in top]
    if used:
        leading = _lifted(items, used, top).group_by("intent", maintain_order=True).agg(pl.col("value").head(2))
        for intent, values in leading.iter_rows():
            labels[intent] = list(values)
    names = []
    for label, said, best in zip(labels, words, top[:, 0].tolist(), strict=True):
        known = _letters(" ".join(label))
        besides = ", ".join([word for word in said if _letters(word) not in known][:2])
        example = f"like {shortened(str(items['title'][best]), 32)}"
        names.append(" · ".join([" & ".join(label) or example, besides or example][: 2 if label or besides else 1]))
    return names


def category_values(items: pl.DataFrame, columns: Mapping[str, ColumnKind]) -> list[str]:
    """Every value of every category column, once."""
    names = [name for name, kind in columns.items() if kind in CATEGORIES]
    return _values(items, names)["value"].unique().sort().to_list() if names else []


def shortened(text: str, most: int) -> str:
    """A text of at most `most` characters, cut at a word where one ends near, with an ellipsis."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    head = cut.rsplit(" ", 1)[0]
    return f"{(head if len(head) >= most // 2 else cut).rstrip(' ,.:;-–(')}…"


def _letters(text: str) -> str:
    """A text by which "sci-fi" and "scifi" are the same."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _certificates(items: pl.DataFrame, column: str) -> bool:
    """Whether a column says for what age things are: true of many, telling of few, and no name for a taste."""
    counts = _values(items, [column]).group_by("value").len()
    known = CERTIFICATES & {*counts["value"]}
    rated = counts.filter(pl.col("value").is_in(known))["len"].sum()
    return 2 * rated > counts["len"].sum()


def _sorts(items: pl.DataFrame, column: str) -> bool:
    if _certificates(items, column):
        return False
    values = _values(items, [column])
    common = values.group_by("value").len().sort("len", "value", descending=[True, False]).head(MANY)
    covered = values.filter(pl.col("value").is_in(common["value"].implode()))["item"].n_unique()
    return len(common) >= FEW and 2 * covered >= len(items)


def _values(items: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """`values_of` some category columns."""
    lists = [pl.col(name) if items.schema[name] == pl.List(pl.String) else pl.concat_list(name) for name in columns]
    return values_of(items, lists)


def _common_share(top: NDArray[np.int64], values: pl.DataFrame) -> float:
    counts = picked(top).join(values, on="item").group_by("intent", "value").len()
    return float(counts.group_by("intent").agg(pl.col("len").max())["len"].sum() / top.size)


def _lifted(items: pl.DataFrame, columns: Sequence[str], top: NDArray[np.int64]) -> pl.DataFrame:
    """`lifted`, beside all intents' items together."""
    values = _values(items, columns)
    everywhere = picked(top).join(values, on="item").group_by("value").agg((pl.len() / top.size).alias("share"))
    return lifted(top, values, everywhere)
