"""The catalogue of a bundle as it stands: finds items, holds rules against them, takes in what is new and changes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import Any, Literal, Self, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rapidfuzz import fuzz, process, utils

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.waiting import still_wanted
from latentcrs.data.rules import Rule, rules_expression
from latentcrs.data.titles import split_title
from latentcrs.recommend.bundle import Bundle
from latentcrs.recommend.new_items import HIDDEN, changed_rows, new_rows, typed_change, with_items, with_texts
from latentcrs.recommend.titles import TitleFinder, TitleMention
from latentcrs.text import TextEncoder

EMBEDDED_AT_ONCE = 8
"""Texts of new items that are embedded before those who wait for the encoder with what they say have their turn."""
NAMED = 0.8
"""How certain a title has to be."""
LEAST_ALIKE = 75
"""Of 100: how alike the letters of a title are that is asked about where none is called so."""
Unknown = Literal["refuse", "leave out"]
OF_WORDS = ("_item_number", "_titled", "_behaviour_index", "_closeness", "_lengths", "_likelihood", "titles")
"""What goes when words are new."""
MASK_BYTES = 1 << 26
"""Memory that remembered masks of rules may take."""
YEAR = re.compile(r"\s*\([12]\d{3}\)$")


class LiveCatalogue:
    """A bundle's catalogue, which may change. hidden: items never recommended. always: rules that always hold."""

    always: tuple[Rule, ...] = ()

    def __init__(self, bundle: Bundle, text_encoder: TextEncoder | None = None) -> None:
        """`text_encoder`: the one to use in place of opening the bundle's own.

        Raises:
            UserError: it is not the encoder that the bundle was trained with.
        """
        self.bundle, self.hidden = bundle, bundle.hidden
        self._masks: dict[str, NDArray[np.bool_]] = {}
        self._masks_lock = Lock()
        if text_encoder is not None:
            self.text_encoder = bundle.info.text_encoder.check(text_encoder)

    @cached_property
    def text_encoder(self) -> TextEncoder:
        """The encoder that reads requests, opened at first use."""
        return self.bundle.info.text_encoder.open(self.bundle.behaviour.device.type)

    @cached_property
    def _item_number(self) -> dict[str, int]:
        return {item_id: number for number, item_id in enumerate(self.bundle.items["item_id"].to_list())}

    @cached_property
    def titles(self) -> TitleFinder | None:
        """Finds in a request items and, behind their numbers, outside items; None: the model was not made for it."""
        bundle = self.bundle
        if bundle.reader is None:
            return None
        year = next((name for name, kind in bundle.columns.items() if kind == "year"), None)
        years = [None] * len(bundle.items) if year is None else bundle.items[year].to_list()
        titles = bundle.items["title"].fill_null("").to_list()
        weights = np.exp(bundle.generative.log_popularity.cpu().numpy()).tolist()
        if bundle.outside is not None:
            titles += bundle.outside["title"].to_list()
            years += bundle.outside["year"].to_list()
            weights += bundle.outside["conversations"].to_list()
        return TitleFinder(titles, years, weights)

    def named_in(self, request: str) -> list[int]:
        """The things that a request names; numbers from n on are outside items."""
        return list(dict.fromkeys(mention.numbers[0] for mention in self.mentions(request)))

    def mentions(self, request: str) -> list[TitleMention]:
        """Where a request names things, in order."""
        found = [] if self.titles is None or not request.strip() else self.titles.find(request)
        return [mention for mention in found if mention.certainty >= NAMED]

    def item_numbers(self, item_ids: Iterable[object]) -> NDArray[np.int64]:
        """Dense indices of item ids (strings, or numbers that are written like them).

        Raises:
            UserError: an id that the catalogue does not have.
        """
        numbers = []
        for item_id in item_ids:
            number = self._item_number.get(str(item_id))
            if number is None:
                raise UserError(f"The catalogue has no item with the id {str(item_id)!r}.")
            numbers.append(number)
        return np.array(numbers, np.int64)

    @cached_property
    def _titled(self) -> dict[str, int]:
        """The item of each title in small letters, with its year and without: of several the most chosen one."""
        items = self.bundle.items
        whole = pl.col("title").str.to_lowercase().str.strip_chars()
        names = [whole.alias("0"), split_title("title")[0].str.to_lowercase().alias("1")]
        years = [name for name, kind in self.bundle.columns.items() if kind == "year"]
        names += [pl.format("{} ({})", whole, name).alias(str(2 + place)) for place, name in enumerate(years)]
        popularity = self.bundle.generative.log_popularity.cpu().numpy()
        order = np.argsort(popularity, kind="stable")  # the most chosen last: it stays
        found = items.select(names)[order]
        titled: dict[str, int] = {}
        for column in reversed(found.columns):  # a whole title before any part of one
            pairs = zip(found[column].to_list(), order.tolist(), strict=True)
            titled.update((title, number) for title, number in pairs if title)
        return titled

    def find_items(
        self, items: Iterable[object], what: str = "history", unknown: Unknown = "refuse"
    ) -> NDArray[np.int64]:
        """Dense indices of items by id, or by title (in any case, with the year in brackets or without; of several
        that are called alike the most chosen one). unknown: what becomes of those that the catalogue does not have.

        Raises:
            UserError: one that the catalogue does not have, or `items` (called `what`) is no list.
        """
        if isinstance(items, str) or not isinstance(items, Iterable):
            raise UserError(f"{what} is a list of item ids or titles: [{items!r}] in place of {items!r}.")
        if unknown not in get_args(Unknown):
            raise UserError(f"unknown is {' or '.join(map(repr, get_args(Unknown)))}, not {unknown!r}.")
        numbers = []
        for item in items:
            whole = isinstance(item, float) and item.is_integer()  # as pandas has numbers beside missing ones
            number = self._item_number.get(str(int(item) if whole else item))  # type: ignore[call-overload]
            if number is None and isinstance(item, str):
                number = self._titled.get(" ".join(item.lower().split()))
            if number is None and unknown == "leave out":
                continue
            if number is None and isinstance(item, str):
                raise self.unknown(item)
            numbers.append(self.item_numbers([item])[0] if number is None else number)
        return np.array(numbers, np.int64)

    def unknown(self, item: str) -> UserError:
        """What to say where nothing is called like this: the titles that are nearest in letters."""
        titles = self.bundle.items["title"].unique(maintain_order=True).to_list()
        near = process.extract(
            item, titles, scorer=fuzz.WRatio, processor=utils.default_process, limit=3, score_cutoff=LEAST_ALIKE
        )
        hint = f"; did you mean {' or '.join(repr(title) for title, *_ in near)}?" if near else "."
        return UserError(f"The catalogue has no item with the id or title {item!r}{hint}")

    def find_item(self, title: str) -> str:
        """The id of the item with this title: exactly, else the most chosen one that contains it.

        Raises:
            UserError: no title contains it.
        """
        wanted, titles = title.strip().lower(), self.bundle.items["title"].str.to_lowercase()
        chosen = self.bundle.generative.log_popularity.cpu().numpy()
        found = titles.str.contains(wanted, literal=True).fill_null(False).arg_true().to_list() if wanted else []
        if not found:
            raise UserError(f"No title in the catalogue contains {title!r}.")
        return str(self.bundle.items["item_id"][max(found, key=lambda n: (titles[n] == wanted, chosen[n]))])

    def passing(self, where: pl.Expr | Rule | Sequence[Rule] | None) -> NDArray[np.bool_] | None:
        """The items that pass `where`, (n,), or None for all.

        Raises:
            UserError: a rule or an expression that does not fit the catalogue.
        """
        items, columns = self.bundle.facts
        expression = rules_expression(where, columns)
        if expression is None:
            return None
        try:
            mask = items.select(expression.fill_null(False)).to_series()
        except pl.exceptions.PolarsError as error:
            raise UserError(f"where does not fit the catalogue: {first_line(error)}.") from None
        if mask.dtype != pl.Boolean or len(mask) != len(items):
            raise UserError("where must be true or false for every item.")
        return mask.to_numpy()

    def mask(self, rule: Rule) -> NDArray[np.bool_]:
        """The items that pass a rule, (n,), read only; remembered, for rules live through a conversation.

        Raises:
            UserError: the rule does not fit the catalogue.
        """
        key = rule.model_dump_json()
        found = self._masks.get(key)
        if found is None:  # not under the lock: whoever has a heavy rule would hold up everybody else
            found = self.passing(rule)
            assert found is not None
        with self._masks_lock:  # conversations of several threads share them
            self._masks.pop(key, None)
            self._masks[key] = found  # the newest last
            if len(self._masks) * len(found) > MASK_BYTES and len(self._masks) > 1:
                del self._masks[next(iter(self._masks))]
        return found

    def add_items(self, rows: pl.DataFrame) -> int:
        """Put new items into the catalogue, recommendable at once by their text; returns how many.

        rows: item_id, title, and any of the catalogue's columns, values as they come. Kept in memory; `save` writes.

        Raises:
            UserError: a column that the catalogue does not have, a missing or known item_id.
            NobodyWaits: whoever asked for it has gone; none was put in.
        """
        typed = new_rows(self.bundle, rows)
        self._take(with_items(self.bundle, typed, self._embedded(typed)), words=True)
        return len(typed)

    def change_items(self, changes: Sequence[Mapping[str, object]]) -> bool:
        """Change items of the catalogue; returns whether their words did (all but numbers is words), which takes as
        long as to add them. Changes are kept in memory; `save` writes them.

        changes: each an `item_id` and what is new of it: column -> value, None for nothing any more; `hidden` for
        whether it is not to be recommended. The last one of an item counts.

        Raises:
            UserError: an unknown item, a column that the catalogue does not have, a value that its type cannot hold.
            NobodyWaits: whoever asked for it has gone; nothing was changed.
        """
        merged: dict[str, dict[str, Any]] = {}
        for change in changes:
            typed = typed_change(self.bundle.columns, change)
            merged[str(typed["item_id"])] = merged.get(str(typed["item_id"]), {}) | typed
        numbers = self.item_numbers(merged)
        rows, items = changed_rows(self.bundle, numbers, list(merged.values())), self.bundle.items
        reworded = np.flatnonzero((rows["text"] != items["text"][numbers]).fill_null(True).to_numpy())
        order = np.arange(len(items))
        order[numbers] = len(items) + np.arange(len(numbers))
        bundle = replace(self.bundle, items=pl.concat([items, rows])[order])
        if len(reworded):
            bundle = with_texts(bundle, numbers[reworded], self._embedded(rows[reworded]))
        for number, change in zip(numbers.tolist(), merged.values(), strict=True):
            if HIDDEN in change:
                self.hidden = self.hidden | {number} if change[HIDDEN] else self.hidden - {number}
        self._take(bundle, words=bool(len(reworded)))
        return bool(len(reworded))

    def _embedded(self, rows: pl.DataFrame) -> NDArray[np.float32]:
        """Content embeddings of whole rows, (m, d_x)."""
        texts, vectors = rows["text"].fill_null("").to_list(), []
        for place in range(0, len(texts), EMBEDDED_AT_ONCE):
            still_wanted()
            vectors.append(self.text_encoder.encode(texts[place : place + EMBEDDED_AT_ONCE]))
        return np.concatenate(vectors)

    def _take(self, bundle: Bundle, words: bool) -> None:
        """Go on with a changed catalogue; `words`: more than numbers changed."""
        self.bundle, self._masks = bundle, {}
        for name in ("offered", *(OF_WORDS if words else ())):
            self.__dict__.pop(name, None)

    def copy(self) -> Self:
        """Another one with the same catalogue, which changes by itself."""
        made = copy(self)
        made._masks, made._masks_lock = {}, Lock()
        return made

    def meant(self, reference: str) -> str:
        """The id of the item that people or agents mean: as `find_items`, else as `find_item` does without a year.

        Raises:
            UserError: there is none.
        """
        wanted = " ".join(reference.split())
        for number in self.find_items([wanted], unknown="leave out").tolist():
            return str(self.bundle.items["item_id"][number])
        for title in (wanted, YEAR.sub("", wanted)):
            with suppress(UserError):
                return self.find_item(title)
        raise self.unknown(YEAR.sub("", wanted))

    def offering(self, where: pl.Expr | Rule | Sequence[Rule] | None) -> NDArray[np.bool_]:
        """The items that may be recommended at all and pass `where`, (n,): a copy. Raises as `passing`."""
        passing = self.passing(where)
        return self.offered.copy() if passing is None else self.offered & passing

    @cached_property
    def offered(self) -> NDArray[np.bool_]:
        """The items that may be recommended at all, (n,), read only: not hidden, and passing what always holds."""
        passing = self.passing(self.always)
        offered = np.ones(len(self.bundle.items), bool) if passing is None else passing.copy()
        offered[list(self.hidden)] = False
        return offered

    def ordered(self, column: str, descending: bool, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places of `numbers` by a column of numbers, those without a value last.

        Raises:
            UserError: no such column.
        """
        items, columns = self.bundle.facts
        if columns.get(column) not in ("number", "year"):
            numeric = [name for name, kind in columns.items() if kind in ("number", "year")]
            raise UserError(f"Nothing is sorted by {column!r}: columns of numbers are {', '.join(numeric)}.")
        values = items[column].cast(pl.Float64).to_numpy()[numbers]
        return np.argsort(np.where(np.isnan(values), np.inf, -values if descending else values), kind="stable")
