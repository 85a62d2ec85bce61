"""Recommend from a bundle: one query vector, a filter, the top k, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.waiting import still_wanted
from latentcrs.behaviour.comentions import FEW
from latentcrs.data import Histories
from latentcrs.data.rules import Rule, rules_expression
from latentcrs.recommend.bundle import Bundle, load_bundle
from latentcrs.recommend.explain import Reason, matching_words, nearest_past
from latentcrs.recommend.index import ItemIndex
from latentcrs.recommend.new_items import new_rows, with_items
from latentcrs.recommend.titles import TitleFinder
from latentcrs.text import TextEncoder, open_encoder

EMBEDDED_AT_ONCE = 8
"""Texts of new items that are embedded before those who wait for the encoder with what they say have their turn."""
SEEN, TOLD = 20, 0.15
"""Items whose intents are what somebody is believed to be after, and the least share of one that a reason names."""
NAMED = 0.8
"""How certain a title has to be."""
NOTHING = np.zeros(0, np.int64)
MASK_BYTES = 1 << 26
"""Memory that remembered masks of rules may take."""


@dataclass(frozen=True)
class Recommendation:
    """One recommended item; a higher score is better, and comparable within one answer only."""

    item_id: str
    title: str
    score: float
    reason: Reason


@dataclass(frozen=True)
class Query:
    """One request of one person, read: what every ranking of it shares."""

    request: str
    past: NDArray[np.int64]  # item numbers, oldest first
    f: NDArray[np.float32]  # (K,) the intents believed in: f, or q without words
    vector: NDArray[np.float32]  # (w,) whose inner products with the vectors of `index` are the scores
    index: ItemIndex
    bonus: NDArray[np.float32] | None = None  # (n,) beside the inner product: words as they are, what is named
    left_out: NDArray[np.int64] = field(
        default_factory=lambda: NOTHING
    )  # item numbers that the request names and does not want back

    def scores(self) -> NDArray[np.float32]:
        """Every item's score, (n,)."""
        found = self.index.scores(self.vector)
        return found if self.bonus is None else found + self.bonus

    def top(
        self, k: int, passing: NDArray[np.bool_] | None = None, bonus: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """As `ItemIndex.top`, by these scores; `bonus` (n,) is added to them."""
        if self.bonus is not None:
            bonus = self.bonus if bonus is None else self.bonus + bonus
        return self.index.top(self.vector, k, passing, bonus)


class Recommender:
    """A trained LatentCRS (variant B, with rules where they are given), for any user: the history is an argument.

    refused_in: tells of a request which items it names without liking them (`hear.open.load` sets it); without it
    `recommend` takes whatever a request names for liked.
    """

    refused_in: Callable[[str], Sequence[int]] | None = None

    def __init__(self, bundle: Bundle, text_encoder: TextEncoder | None = None) -> None:
        """`text_encoder`: the one to use in place of opening the bundle's own.

        Raises:
            UserError: it is not the encoder that the bundle was trained with.
        """
        self.bundle = bundle
        self._masks: dict[str, NDArray[np.bool_]] = {}
        self._masks_lock = Lock()
        if text_encoder is not None:
            self.text_encoder = text_encoder
            self._check_encoder()

    def _check_encoder(self) -> None:
        trained = self.bundle.info.text_encoder
        if self.text_encoder.id != trained.id:
            raise UserError(
                f"This bundle was trained with the text encoder {trained.id}, not {self.text_encoder.id}; "
                "use that one, or train again with this one."
            )

    @cached_property
    def text_encoder(self) -> TextEncoder:
        """The encoder that reads requests, opened at first use."""
        encoder = open_encoder(self.bundle.info.text_encoder.spec, device=self.bundle.behaviour.device.type)
        if encoder.id != self.bundle.info.text_encoder.id:
            raise UserError(
                f"This bundle was trained with the text encoder {self.bundle.info.text_encoder.id}, but "
                f"{self.bundle.info.text_encoder.spec!r} is {encoder.id} here; install that one, or train again."
            )
        return encoder

    @cached_property
    def _item_number(self) -> dict[str, int]:
        return {item_id: number for number, item_id in enumerate(self.bundle.items["item_id"].to_list())}

    @cached_property
    def _behaviour_index(self) -> ItemIndex:
        return self.bundle.behaviour_index or ItemIndex.build(self.bundle.generative.V.cpu().numpy())

    @cached_property
    def _likelihood(self) -> NDArray[np.float32]:
        """log p(v | m_j) of the factorised form, g_j(v) normalised over the catalogue, (n, K)."""
        with torch.inference_mode():
            model = self.bundle.generative
            return torch.log_softmax(model.item_vectors() @ model.intent_vectors().T, 0).cpu().numpy()

    def posterior(self, query: Query, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """p(m | v, S, x) of Eq. 13 for these items, (len(numbers), K): which intents each answers."""
        found = np.log(query.f + 1e-12) + self._likelihood[numbers]
        found = np.exp(found - found.max(1, keepdims=True, initial=-np.inf))
        return np.asarray(found / found.sum(1, keepdims=True), np.float32)

    def believed(self, query: Query, numbers: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """What the person seems to be after, (K,): the mean posterior over what is recommended, `numbers`, or else
        over the `SEEN` best items.
        """
        if numbers is None or not len(numbers):
            passing = np.ones(len(self.bundle.items), bool)
            passing[self.not_again(query.past)], passing[query.left_out] = False, False
            numbers = query.top(SEEN, passing)[0]
        return self.posterior(query, numbers).mean(0) if len(numbers) else query.f

    def not_again(self, past: NDArray[np.int64]) -> NDArray[np.int64]:
        """What of a history is not recommended: all, but nothing where items come again (groceries)."""
        return NOTHING if self.bundle.info.dataset.repeats else past

    @cached_property
    def _labels(self) -> list[str]:
        return self.bundle.intents["label"].to_list()

    @cached_property
    def titles(self) -> TitleFinder | None:
        """Finds in a request the items that it names, and behind their numbers outside items; None where the model
        was not made for it.
        """
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
        if self.titles is None or not request.strip():
            return []
        found = [mention.numbers[0] for mention in self.titles.find(request) if mention.certainty >= NAMED]
        return list(dict.fromkeys(found))

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

    def find_item(self, title: str) -> str:
        """The id of the item with this title: exactly, else the most chosen one that contains it.

        Raises:
            UserError: no title contains it.
        """
        lowered = pl.col("title").str.to_lowercase()
        items = self.bundle.items.select("item_id", "title").with_columns(
            popularity=pl.Series(self.bundle.generative.log_popularity.cpu().numpy())
        )
        found = items.filter(lowered.str.contains(title.strip().lower(), literal=True)).sort(
            lowered == title.strip().lower(), "popularity", descending=True
        )
        if found.is_empty() or not title.strip():
            raise UserError(f"No title in the catalogue contains {title!r}.")
        return str(found["item_id"][0])

    def passing(self, where: pl.Expr | Rule | Sequence[Rule] | None) -> NDArray[np.bool_] | None:
        """The items that pass `where`, (n,), or None for all.

        Raises:
            UserError: a rule or an expression that does not fit the catalogue.
        """
        expression = rules_expression(where, self.bundle.columns)
        if expression is None:
            return None
        try:
            mask = self.bundle.items.select(expression.fill_null(False)).to_series()
        except pl.exceptions.PolarsError as error:
            raise UserError(f"where does not fit the catalogue: {first_line(error)}.") from None
        if mask.dtype != pl.Boolean or len(mask) != len(self.bundle.items):
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

        rows: item_id, title, and any of the catalogue's columns, values as they come. They are kept in memory only.

        Raises:
            UserError: a column that the catalogue does not have, a missing or known item_id.
            NobodyWaits: whoever asked for it has gone; none was put in.
        """
        typed = new_rows(self.bundle, rows)
        texts, vectors = typed["text"].fill_null("").to_list(), []
        for place in range(0, len(texts), EMBEDDED_AT_ONCE):
            still_wanted()
            vectors.append(self.text_encoder.encode(texts[place : place + EMBEDDED_AT_ONCE]))
        self.bundle = with_items(self.bundle, typed, np.concatenate(vectors))
        self._masks.clear()
        for name in ("_item_number", "_behaviour_index", "_likelihood", "titles"):
            self.__dict__.pop(name, None)
        return len(typed)

    def recommend(
        self,
        history: Sequence[object] = (),
        request: str = "",
        k: int = 5,
        where: pl.Expr | Rule | Sequence[Rule] | None = None,
        exclude: Sequence[object] = (),
    ) -> list[Recommendation]:
        """The best k items for someone with this history (item ids, oldest first) who said this, best first.

        `where` keeps only items that pass the rules, or a Polars expression over the catalogue. Items of the history
        (but of data whose items come again) and of `exclude` are left out, and so is what the request names, which
        joins the history where it is liked. Without words the behaviour encoder ranks alone. Fewer than k come back
        when fewer are left.

        Raises:
            UserError: k below 1, an unknown item id, or a `where` that does not fit the catalogue.
        """
        if k < 1:
            raise UserError(f"k must be at least 1, not {k}.")
        past = self.item_numbers(history)
        passing = self.passing(where)
        passing = np.ones(len(self.bundle.items), bool) if passing is None else passing.copy()
        passing[self.not_again(past)] = False
        passing[self.item_numbers(exclude)] = False
        if not passing.any():
            return []
        refused = NOTHING
        if self.refused_in is not None and self.named_in(request):
            refused = np.array(self.refused_in(request), np.int64)
        query = self.read(past, request, self.embed(request), refused)
        passing[query.left_out], passing[refused] = False, False
        return self.explain(query, *query.top(k, passing)) if passing.any() else []

    def similar_items(
        self, item: object, k: int = 5, where: pl.Expr | Rule | Sequence[Rule] | None = None
    ) -> list[tuple[str, str, float]]:
        """The k items most like `item` (its id) by what people did: (item_id, title, cosine of the behaviour
        embeddings), best first. `where` as for `recommend`.

        Raises:
            UserError: k below 1, an unknown item id, or a `where` that does not fit the catalogue.
        """
        if k < 1:
            raise UserError(f"k must be at least 1, not {k}.")
        this = self.item_numbers([item])
        V = self._behaviour_index.rows(np.arange(len(self.bundle.items)))
        lengths = np.linalg.norm(V, axis=1)
        cosines = V @ V[this[0]] / np.maximum(lengths * lengths[this[0]], 1e-12)
        passing = self.passing(where)
        cosines[this if passing is None else np.union1d(this, np.flatnonzero(~passing))] = -np.inf
        best = np.argsort(-cosines, kind="stable")[:k]
        items = self.bundle.items
        return [
            (str(items["item_id"][n]), str(items["title"][n]), float(cosines[n]))
            for n in best.tolist()
            if np.isfinite(cosines[n])
        ]

    def embed(self, request: str) -> NDArray[np.float32] | None:
        """X of a request, (1, d_x); None where it has no words."""
        return self.text_encoder.encode([request]) if request.strip() else None

    def read(
        self,
        past: NDArray[np.int64],
        request: str,
        X: NDArray[np.float32] | None,
        unliked: NDArray[np.int64] = NOTHING,
    ) -> Query:
        """Behaviour and words of one person as one query; `past` (item numbers, oldest first), X as of `embed`;
        `unliked`: items that are no sign of a liking where the request names them.
        """
        return self.read_many([past], [request], X, [unliked])[0]

    @torch.inference_mode()
    def read_many(
        self,
        pasts: Sequence[NDArray[np.int64]],
        requests: Sequence[str],
        X: NDArray[np.float32] | None,
        unliked: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[Query]:
        """`read` for B people at once: X (B, d_x), or None where none of them said anything.

        What a request names joins the history, unless it is `unliked`, and is not recommended back. `pasts` may hold
        outside items too, by their numbers from n on.
        """
        n = len(self.bundle.items)
        named = [
            list(dict.fromkeys([*past[past >= n].tolist(), *self.named_in(request)]))
            for past, request in zip(pasts, requests, strict=True)
        ]
        if unliked is not None:
            named = [[thing for thing in some if thing not in no] for some, no in zip(named, unliked, strict=True)]
        pasts = [past[past < n] for past in pasts]
        left_out = [np.array([thing for thing in some if thing < n], np.int64) for some in named]
        pasts = [
            np.concatenate([past, items[~np.isin(items, past)]]) for past, items in zip(pasts, left_out, strict=True)
        ]
        # What joined the catalogue later, no encoder has seen.
        lived = [past[past < self.bundle.trained_items] for past in pasts]
        lengths = np.array([len(past) for past in lived], np.int64)
        items = np.concatenate([*lived, np.zeros(0, np.int64)]).astype(np.int32)
        history = Histories(items, np.cumsum(lengths) - lengths, lengths)
        longest = self.bundle.info.config.em.max_history
        S = self.bundle.behaviour.encode_tensor(history if longest is None else history.newest(longest))
        bonuses: list[NDArray[np.float32] | None] = [None] * len(pasts)
        if X is None:
            f, vectors, index = self.bundle.inference.log_q(S).exp(), S, self._behaviour_index
        else:
            clues = None
            if (reader := self.bundle.reader) is not None:
                short = [past.tolist() if len(past) <= FEW else [] for past in pasts]
                things = [list(dict.fromkeys([*few, *some])) for few, some in zip(short, named, strict=True)]
                clues = reader.read(requests, things, lengths)
            log_f, vectors, bonus = self.bundle.generative.ask(S, torch.from_numpy(X).to(S.device), clues)
            f, index = log_f.exp(), self.bundle.index
            if bonus is not None:
                bonuses = list(bonus.cpu().numpy())
        rows = zip(requests, pasts, f.cpu().numpy(), vectors.cpu().numpy(), bonuses, left_out, strict=True)
        return [Query(request, past, f, vector, index, bonus, out) for request, past, f, vector, bonus, out in rows]

    def explain(self, query: Query, numbers: NDArray[np.int64], scores: NDArray[np.float32]) -> list[Recommendation]:
        """Ranked item numbers and their scores as recommendations with reasons."""
        titles, near = self.bundle.items["title"], self._behaviour_index
        answers = []
        posteriors = self.posterior(query, numbers)
        for number, score, posterior in zip(numbers.tolist(), scores.tolist(), posteriors, strict=True):
            leading = [int(j) for j in np.argsort(-posterior, kind="stable")[:2] if posterior[j] >= TOLD]
            reason = Reason(
                intents=list(dict.fromkeys(self._labels[j] for j in leading)),
                because_of=[str(titles[other]) for other in nearest_past(near, number, query.past)],
                words=matching_words(query.request, self.bundle.items.row(number, named=True), self.bundle.columns),
            )
            answers.append(
                Recommendation(str(self.bundle.items["item_id"][number]), str(titles[number]), score, reason)
            )
        return answers


def load(path: str | Path, device: str = "cpu", text_encoder: TextEncoder | None = None) -> Recommender:
    """Open a bundle for recommending.

    Raises:
        UserError: no bundle there, a damaged one, or a text encoder other than the one it was trained with.
    """
    return Recommender(load_bundle(path, device), text_encoder)
