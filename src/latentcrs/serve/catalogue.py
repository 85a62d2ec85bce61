"""Looks into the catalogue: an item, items by words, items like one."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.base.waiting import still_wanted
from latentcrs.data.nouns import noun_of
from latentcrs.data.rules import Rule
from latentcrs.recommend import Reason, Recommendation, Recommender
from latentcrs.recommend.catalogue_text import CatalogueText
from latentcrs.recommend.new_items import HIDDEN
from latentcrs.serve.errors import NotFound

SHARED = 4
"""Attribute values that two items have in common and that are named."""


class CatalogueView:
    """Reads one state of a recommender's catalogue."""

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender

    @cached_property
    def display(self) -> CatalogueText:
        """How its items are written for people."""
        return CatalogueText(self.recommender.bundle)

    @cached_property
    def kind(self) -> str:
        """What sort of things its items are: "movie", "game", ...; "" where nothing says so."""
        bundle = self.recommender.bundle
        return noun_of(bundle.info.dataset.name, bundle.columns, bundle.items)

    def number(self, item_id: str) -> int:
        """The dense index of an item.

        Raises:
            NotFound: there is none with this id.
        """
        try:
            return int(self.recommender.item_numbers([item_id])[0])
        except UserError as error:
            raise NotFound(str(error)) from None

    def row(self, item_id: str) -> dict[str, Any]:
        """All that the catalogue says of an item: column -> value, and `hidden` where it is.

        Raises:
            NotFound: there is none with this id.
        """
        number = self.number(item_id)
        hidden = {HIDDEN: True} if number in self.recommender.hidden else {}
        return self.recommender.bundle.items.row(number, named=True) | hidden

    def year(self, item_id: str) -> int | None:
        """An item's year; None where there is none, or no such item any more."""
        try:
            return None if self.display.year is None else self.display.facts(item_id)[self.display.year]
        except KeyError:
            return None

    def search(self, words: str, where: Sequence[Rule] = (), k: int = 10) -> list[dict[str, Any]]:
        """Items that have all the words in title or text: exact titles, then titles that begin with them, then
        titles, then texts; of equals the most chosen first. Without words the most chosen items.

        Raises:
            UserError: a rule that does not fit the catalogue.
        """
        bundle, wanted = self.recommender.bundle, " ".join(words.lower().split())
        title, text = pl.col("title").str.to_lowercase(), pl.col("text").fill_null("").str.to_lowercase()
        found = bundle.items.select(
            pl.int_range(pl.len()).alias("number"),
            title.alias("title"),
            (title + " " + text).alias("all"),
            pl.Series("popularity", bundle.generative.log_popularity.cpu().numpy()),
        )
        found = found.filter(pl.Series(self.recommender.offering(list(where))))
        distinct = sorted(set(wanted.split()), key=len, reverse=True)
        for word in distinct:  # one after the other: few items have all of many words
            still_wanted()
            found = found.filter(pl.col("all").str.contains(word, literal=True)).filter(_says("all", word))
        titled = pl.all_horizontal([_says("title", word) for word in distinct] or [pl.lit(True)])
        # Each holds where the one before does, so the more hold, the earlier it comes.
        rank = pl.sum_horizontal(titled, pl.col("title").str.starts_with(wanted), pl.col("title") == wanted)
        found = found.with_columns(rank.alias("rank")).sort("rank", "popularity", descending=True).head(k)
        return [bundle.items.row(number, named=True) for number in found["number"].to_list()]

    def similar(self, item_id: str, k: int = 5, where: Sequence[Rule] = ()) -> list[Recommendation]:
        """The items most like one, by who chose them and by their content in equal parts (the mean of both cosines).

        Raises:
            NotFound: there is none with this id.
        """
        number, (V, T) = self.number(item_id), self._directions
        scores = (V @ V[number] + T @ T[number]) / 2
        scores[number], scores[~self.recommender.offering(list(where))] = -np.inf, -np.inf
        best = np.argsort(-scores, kind="stable")[: min(k, int(np.isfinite(scores).sum()))]
        items, columns = self.recommender.bundle.items, self.recommender.bundle.columns
        this, answers = items.row(number, named=True), []
        names = [name for name, kind in columns.items() if kind in ("category", "multi-category")]
        for other in best.tolist():
            row = items.row(other, named=True)
            both = [value for name in names for value in _values(this[name]) if value in _values(row[name])]
            reason = Reason(words=list(dict.fromkeys(both))[:SHARED])
            answers.append(Recommendation(str(row["item_id"]), str(row["title"]), float(scores[other]), reason))
        return answers

    @cached_property
    def _directions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Behaviour (n, d) and content (n, d_x) embeddings of the items, of length 1."""
        model = self.recommender.bundle.generative
        both = [matrix.detach().cpu().numpy() for matrix in (model.V, model.T)]
        V, T = (matrix / (np.linalg.norm(matrix, axis=1, keepdims=True) + 1e-9) for matrix in both)
        return V, T


def _says(column: str, word: str) -> pl.Expr:
    """Whether a word stands in a column, at the beginning of a word there."""
    return pl.col(column).str.contains(rf"(?:^|[^\w]){_pattern(word)}")


def _pattern(word: str) -> str:
    # Rust's regular expressions take no escaped letters beyond ASCII punctuation, and no zero byte in a pattern.
    return "".join(f"\\x{{{ord(c):x}}}" if not (c.isalnum() and c.isascii()) else re.escape(c) for c in word)


def _values(value: object) -> list[str]:
    return [] if value is None else [str(one) for one in value] if isinstance(value, list) else [str(value)]
