"""Why an item was recommended: the intents behind it, the past items nearest to it, the words it answers."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data import ColumnKind
from latentcrs.data.dataset import MACHINE_WRITTEN
from latentcrs.data.roles import role_of
from latentcrs.recommend.index import ItemIndex

WORD = re.compile(r"[\w']+", re.UNICODE)
STOPWORDS = frozenset(
    "a about all am an and any are as at be been but by can could do for from get give good great has have i i'd i'm "
    "if in into is it its just like looking love me movie movies film films game games album albums music book books "
    "my need not of off on one or out please recommend show some something suggest tell that the them there these "
    "thing this to too want was watch what when where which who with would you your".split()
)
OF_REQUESTS = frozenset(
    "actually after again also always anything back because before best better bit came come drop early else "
    "enjoy enjoyed even ever every everyone everything feel feeling felt first full going gone had hate hated "
    "hates help hi hello her him his her home how ideally instead interested keep kind last late least less let "
    "like liked likes little lot loved loves made make makes maybe might mind mood more most much must never new "
    "next nice nothing now old only other over perhaps play playing possibly prefer preferably probably quite "
    "rather really said say see seen should since so sort start still stuff such sure take thank thanks then "
    "think time today tonight try us very wanted watched watching way we well were while will without work yet "
    "got listen listening suggestion recommendation idea popular classic".split()
)
"""Words that people ask with: in a plot they match by chance."""
BY_MODEL = "as a language model describes it"


@dataclass(frozen=True)
class Reason:
    """Why this item: labels of the active intents it belongs to, titles of past items like it, the user's words that
    are true of it; promoted: why the operator's policy moved it up, "" where it has not.
    """

    intents: list[str] = field(default_factory=list)
    because_of: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    promoted: str = ""

    def __str__(self) -> str:
        parts = []
        if self.words:
            parts.append("matches " + ", ".join(self.words))
        if self.because_of:
            parts.append("you liked " + " and ".join(self.because_of))
        if self.intents:
            parts.append("for those into " + "; ".join(self.intents))
        if self.promoted:
            parts.append(self.promoted)
        return " · ".join(parts) or "popular with people like you"


@lru_cache(maxsize=1024)
def words_of(text: str) -> frozenset[str]:
    """The telling words of a sentence: lower case, plural s taken off, without words that every request has."""
    return frozenset(_said(text))


@lru_cache(maxsize=1024)
def _said(text: str) -> dict[str, str]:
    """The telling words of a sentence, each with how it was said."""
    found = (word.strip("'") for word in WORD.findall(text.lower()))
    return {singular(word): word for word in found if word not in STOPWORDS and (len(word) > 2 or word.isdigit())}


def singular(word: str) -> str:
    """The word without a plural s ("comedies" -> "comedy", "films" -> "film")."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def matching_words(
    request: str,
    item: Mapping[str, object],
    columns: Mapping[str, ColumnKind],
    tells: Callable[[str], bool] = bool,
    most: int = 4,
) -> list[str]:
    """What of the request is true of the item: named values, its decade, words of its text that tell (`tells`)."""
    wanted = words_of(request)
    if not wanted:
        return []
    found: dict[str, None] = {}
    for column, kind in columns.items():
        value = item.get(column)
        if value is None:
            continue
        if kind == "year":
            year = int(str(value))
            for named in (str(year), f"{year // 10 * 10}s", f"{year % 100 // 10 * 10:02}s"):
                if re.search(rf"\b{named}\b", request.lower()):  # whole words: "1990s" says neither 1990 nor 90s
                    found[named] = None
        elif kind in ("category", "multi-category"):
            for entry in value if isinstance(value, list) else [value]:
                parts = words_of(str(entry))
                if parts and parts <= wanted:
                    found[str(entry)] = None
        elif kind == "text":
            for word in sorted((wanted & words_of(str(value))) - OF_REQUESTS):
                if tells(word) and not any(word in words_of(entry) for entry in found):
                    said = _said(request)[word]
                    found[said if column != MACHINE_WRITTEN else f"{said} ({BY_MODEL})"] = None
    return list({word.lower(): word for word in reversed(found)}.values())[::-1][:most]  # "War" and "war" once


def nearest_past(
    index: ItemIndex, item: int, history: NDArray[np.integer], most: int = 2, least: float = 0.25
) -> list[int]:
    """The past items most like `item` by the cosine of their behaviour embeddings (`index`), at least `least`."""
    if not len(history):
        return []
    past = np.unique(history[-200:])
    past = past[past != item]
    V, this = index.rows(past), index.rows(np.array([item]))[0]
    near = V @ this / (np.linalg.norm(V, axis=1) * np.linalg.norm(this) + 1e-9)
    order = np.argsort(-near, kind="stable")[:most]
    return [int(past[o]) for o in order if near[o] >= least]


def label_intents(
    affinity: NDArray[np.float32], items: pl.DataFrame, columns: Mapping[str, ColumnKind], top: int = 25
) -> pl.DataFrame:
    """What each intent is about, from the items it scores highest.

    affinity (K, n): g_j(v). Returns intent, label (the category values and decades that its top items have more often
    than the catalogue; for which age something is tells no intent), titles (its first three items).
    """
    K = len(affinity)
    best = np.argsort(-affinity, axis=1)[:, :top]  # (K, top)
    titles = items["title"].to_numpy()
    first = [[str(title) for title in titles[row[:3]]] for row in best]
    labels = [""] * K
    said = [_said_of(c, kind, items.schema[c]) for c, kind in columns.items() if role_of(c, kind) != "certificate"]
    each = [value for value in said if value is not None]
    if each:
        values = values_of(items, each)
        share = values.group_by("value").agg((pl.len() / len(items)).alias("share"))
        leading = lifted(best, values, share).group_by("intent", maintain_order=True).agg(pl.col("value").head(2))
        for intent, value in leading.iter_rows():
            decades_last = sorted(value, key=lambda name: (bool(re.fullmatch(r"\d+0s", name)), name))
            labels[intent] = " & ".join(decades_last)
    labels = [label or f"things like {names_[0]}" for label, names_ in zip(labels, first, strict=True)]
    return pl.DataFrame({"intent": np.arange(K), "label": labels, "titles": first})


def values_of(items: pl.DataFrame, lists: Iterable[pl.Expr]) -> pl.DataFrame:
    """(item, value), each once, of the items that have any; `lists`: of values, as expressions over the catalogue."""
    number = pl.int_range(pl.len(), dtype=pl.Int64).alias("item")
    parts = [items.select(number, values.alias("value")).explode("value") for values in lists]
    return pl.concat(parts).drop_nulls().unique()


def picked(top: NDArray[np.int64]) -> pl.DataFrame:
    """(intent, item) of the items of each intent, top (K, t)."""
    K, t = top.shape
    return pl.DataFrame({"intent": np.repeat(np.arange(K), t), "item": top.ravel().astype(np.int64)})


def lifted(top: NDArray[np.int64], values: pl.DataFrame, share: pl.DataFrame) -> pl.DataFrame:
    """(intent, value) that a fifth of an intent's items, top (K, t), have and more than `share` says, best first."""
    return (
        picked(top)
        .join(values, on="item")
        .group_by("intent", "value")
        .agg((pl.len() / top.shape[1]).alias("here"))
        .join(share, on="value")
        .filter(pl.col("here") >= 0.2)
        .with_columns((pl.col("here") * (pl.col("here") / pl.col("share")).log()).alias("gain"))
        .filter(pl.col("gain") > 0)
        .sort("intent", "gain", "value", descending=[False, True, False])
        .select("intent", "value")
    )


def _said_of(column: str, kind: ColumnKind, dtype: pl.DataType) -> pl.Expr | None:
    """What a column says of an item, as a list of names; None where it says none."""
    if kind == "year":
        return pl.concat_list(pl.format("{}s", pl.col(column) // 10 * 10))
    if kind not in ("category", "multi-category"):
        return None
    return pl.col(column) if dtype == pl.List(pl.String) else pl.concat_list(column)
