"""Recommend from a bundle: one query vector, a filter, the top k, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.behaviour.comentions import FEW
from latentcrs.data import Histories
from latentcrs.data.rules import Rule
from latentcrs.recommend.bundle import load_bundle, save_bundle
from latentcrs.recommend.catalogue import LiveCatalogue, Unknown
from latentcrs.recommend.closeness import Closeness
from latentcrs.recommend.explain import Reason, matching_words, nearest_past
from latentcrs.recommend.index import ItemIndex
from latentcrs.recommend.policy import Policy, Shelf
from latentcrs.text import TextEncoder

SEEN, TOLD = 20, 0.15
"""Items whose intents are what somebody is believed to be after, and the least share of one that a reason names."""
TOGETHER = 256
"""People whose requests are read at once."""
NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Recommendation:
    """One recommended item; a higher score is better, and comparable within one answer only.

    >>> best = model.recommend(["Toy Story"], "a comedy")[0]
    >>> best.title in set(items["title"]), "Comedy" in best.reason.words
    (True, True)
    """

    item_id: str
    title: str
    score: float
    reason: Reason

    def __str__(self) -> str:
        return f"{self.title} [{self.item_id}]: {self.reason}"


def check_k(k: int) -> None:
    """Refuse a number of items below 1.
    Raises:
        UserError: it is one.
    """
    if k < 1:
        raise UserError(f"k must be at least 1, not {k}.")


def said_in(request: object) -> str:
    """A request, "" for None.

    Raises:
        UserError: it is no text.
    """
    if request is None:
        return ""
    if not isinstance(request, str):
        raise UserError(f"A request is what one person says, a text, not a {type(request).__name__}.")
    return request


@dataclass(frozen=True)
class Query:
    """One request of one person, read: what every ranking of it shares."""

    request: str
    past: NDArray[np.int64]  # item numbers, oldest first
    f: NDArray[np.float32]  # (K,) the intents believed in: f, or q without words
    vector: NDArray[np.float32]  # (w,) whose inner products with the vectors of `index` are the scores
    index: ItemIndex
    bonus: NDArray[np.float32] | None = None  # (n,) beside the inner product: words as they are, what is named
    left_out: NDArray[np.int64] = field(default_factory=lambda: NOTHING)  # what the request names, not wanted back

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


class Recommender(LiveCatalogue):
    """A trained LatentCRS (variant B, with rules where they are given), for any user: the history is an argument.

    refused_in: tells of a request which items it names without liking them (`hear.open.load` sets it); without it
    `recommend` takes whatever a request names for liked.
    """

    refused_in: Callable[[Recommender, str], Sequence[int]] | None = None

    def __repr__(self) -> str:
        trained_on, intents = self.bundle.info.dataset.name, len(self.bundle.intents)
        return f"Recommender({len(self.bundle.items):,} items, {intents} intents, trained on {trained_on})"

    @cached_property
    def _behaviour_index(self) -> ItemIndex:
        return self.bundle.behaviour_index or ItemIndex.build(self.bundle.generative.V.cpu().numpy())

    @cached_property
    def _closeness(self) -> Closeness:
        return Closeness(self.bundle.generative.V, self.bundle.generative.T)

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
        """What the person seems to be after, (K,): the mean posterior over `numbers`, else over the `SEEN` best."""
        if numbers is None or not len(numbers):
            passing = self.offered.copy()
            passing[self.not_again(query.past)], passing[query.left_out] = False, False
            numbers = query.top(SEEN, passing)[0]
        return self.posterior(query, numbers).mean(0) if len(numbers) else query.f

    def not_again(self, past: NDArray[np.int64]) -> NDArray[np.int64]:
        """What of a history is not recommended: all, but nothing where items come again (groceries)."""
        return NOTHING if self.bundle.info.dataset.repeats else past

    @cached_property
    def _labels(self) -> list[str]:
        return self.bundle.intents["label"].to_list()

    def recommend(
        self,
        history: Sequence[object] = (),
        request: str | None = "",
        k: int = 5,
        where: pl.Expr | Rule | Sequence[Rule] | None = None,
        exclude: Sequence[object] = (),
        unknown: Unknown = "refuse",
        policy: Policy | None = None,
        sort: tuple[str, bool] | None = None,
    ) -> list[Recommendation]:
        """The best k items for someone with this history (ids or titles, oldest first) who said this, best first.

        `where` keeps only items that pass the rules, or a Polars expression over the catalogue. Items of the history
        (but of data whose items come again) and of `exclude` are left out, and so is what the request names, which
        joins the history where it is liked. Without words the behaviour encoder ranks alone. Fewer than k come back
        when fewer are left. unknown: "leave out" takes from `history` what the catalogue has, and leaves the rest.
        policy: what always holds, and what goes first. sort: a column of numbers that orders in place of the scores,
        and whether its highest comes first.

        Raises:
            UserError: k below 1, an unknown item, or a `where` that does not fit the catalogue.

        >>> found = model.recommend(["Toy Story"], "a comedy from the nineties", k=3)
        >>> len(found), found[0].title in set(items["title"])
        (3, True)
        """
        check_k(k)
        request = said_in(request)
        past = self.find_items(history, unknown=unknown)
        policy = policy or Policy()
        passing = self.offering(where) & policy.offered(self)
        passing[self.not_again(past)] = False
        passing[self.find_items(exclude, "exclude")] = False
        if not passing.any():
            return []
        refused = self._refused(request)
        query = self.read(past, request, self.embed(request), refused)
        passing[query.left_out], passing[refused] = False, False
        if not passing.any():
            return []
        if sort is not None:
            numbers = np.flatnonzero(passing)
            numbers = numbers[self.ordered(*sort, numbers)[:k]]
            return self.with_reasons(query, numbers, query.scores()[numbers])
        shelf = Shelf(self, query, policy)
        return self.with_reasons(query, *shelf.top(k, passing), shelf.promoted)

    def recommend_many(
        self,
        histories: Iterable[Iterable[object]],
        requests: Iterable[str | None] | None = None,
        k: int = 5,
        where: pl.Expr | Rule | Sequence[Rule] | None = None,
        exclude: Sequence[object] = (),
        unknown: Unknown = "refuse",
    ) -> pl.DataFrame:
        """`recommend` for many people at once: rows of query (which of `histories`, from 0), rank (from 1), item_id,
        title, score. requests: what each of them said, None or "" for nothing; None: nobody said anything.

        Raises:
            UserError: as `recommend`, or there are not as many requests as histories.

        >>> model.recommend_many([["Toy Story"], []], ["a comedy", "something scary"], k=2).columns
        ['query', 'rank', 'item_id', 'title', 'score']
        """
        check_k(k)
        pasts = [self.find_items(history, "each of histories", unknown) for history in histories]
        if isinstance(requests, str):
            raise UserError("requests is a list with what each person said, not one request.")
        said = [""] * len(pasts) if requests is None else [text if isinstance(text, str) else "" for text in requests]
        if len(said) != len(pasts):
            raise UserError(f"There are {len(pasts):,} histories and {len(said):,} requests; give one for each.")
        mask = self.offering(where)
        mask[self.find_items(exclude, "exclude")] = False
        refused = [self._refused(text) for text in said]
        ranked = []
        for past, query, unliked in zip(pasts, self.read_all(pasts, said, refused), refused, strict=True):
            passing = mask.copy()
            for gone in (self.not_again(past), query.left_out, unliked):
                passing[gone] = False
            ranked.append(query.top(k, passing) if passing.any() else (NOTHING, np.zeros(0, np.float32)))
        numbers = np.concatenate([NOTHING, *(found for found, _ in ranked)])
        catalogue = self.bundle.items.select("item_id", "title")[numbers]
        return pl.DataFrame(
            {
                "query": np.repeat(np.arange(len(ranked)), [len(found) for found, _ in ranked]),
                "rank": np.concatenate([NOTHING, *(np.arange(1, len(found) + 1) for found, _ in ranked)]),
                "item_id": catalogue["item_id"],
                "title": catalogue["title"],
                "score": np.concatenate([np.zeros(0, np.float32), *(scores for _, scores in ranked)]),
            }
        )

    def _refused(self, request: str) -> NDArray[np.int64]:
        """The items that a request names without liking them."""
        if self.refused_in is None or not self.named_in(request):
            return NOTHING
        return np.array(self.refused_in(self, request), np.int64)

    def tells(self, word: str) -> bool:
        """Whether a word of a request says which items are meant (`Lexical.tells`)."""
        reader = self.bundle.reader
        return reader is None or reader.lexical.tells(word)

    def explain(self, item: object, history: Sequence[object] = (), request: str | None = "") -> Recommendation:
        """Why `item` (its id or title) would be recommended to this person, and its score; see `recommend`.

        Raises:
            UserError: an unknown item.

        >>> model.explain("Babe", ["Toy Story"], "a comedy").reason.words
        ['Comedy']
        """
        request = said_in(request)
        number, past = self.find_items([item]), self.find_items(history)
        query = self.read(past, request, self.embed(request), self._refused(request))
        (found,) = self.with_reasons(query, number, query.scores()[number])
        return found

    @cached_property
    def _lengths(self) -> NDArray[np.float32]:
        """The length of each item's behaviour embedding, (n,)."""
        rows = np.arange(len(self.bundle.items))
        parts = [np.linalg.norm(self._behaviour_index.rows(part), axis=1) for part in np.array_split(rows, 64)]
        return np.concatenate(parts)

    def similar_items(
        self, item: object, k: int = 5, where: pl.Expr | Rule | Sequence[Rule] | None = None
    ) -> list[tuple[str, str, float]]:
        """The k items most like `item` (its id or title) by what people did: (item_id, title, cosine of the behaviour
        embeddings), best first. `where` as for `recommend`.

        Raises:
            UserError: k below 1, an unknown item, or a `where` that does not fit the catalogue.

        >>> len(model.similar_items("Toy Story", k=3))
        3
        """
        check_k(k)
        this = self.find_items([item])
        index, lengths = self._behaviour_index, self._lengths
        cosines = index.scores(index.rows(this)[0]) / np.maximum(lengths * lengths[this[0]], 1e-12)
        cosines[~self.offering(where)], cosines[this] = -np.inf, -np.inf
        best = np.argsort(-cosines, kind="stable")[:k]
        items = self.bundle.items
        return [
            (str(items["item_id"][n]), str(items["title"][n]), float(cosines[n]))
            for n in best.tolist()
            if np.isfinite(cosines[n])
        ]

    def save(self, path: str | Path) -> None:
        """Write the bundle to the folder `path`, whole or not at all, for `latentcrs.load` and every command; with
        the catalogue as it is now.

        Raises:
            UserError: `path` is a file, or a folder that holds something else.

        >>> model.save(folder / "films")
        >>> again = latentcrs.load(folder / "films")
        >>> again.recommend(request="a comedy") == model.recommend(request="a comedy")
        True
        """
        save_bundle(Path(path), replace(self.bundle, hidden=self.hidden))

    def embed(self, request: str) -> NDArray[np.float32] | None:
        """X of a request, (1, d_x); None where it has no words."""
        return self.text_encoder.encode([request]) if request.strip() else None

    def read(
        self,
        past: NDArray[np.int64],
        request: str,
        X: NDArray[np.float32] | None,
        unliked: NDArray[np.int64] = NOTHING,
        liked: NDArray[np.int64] = NOTHING,
    ) -> Query:
        """Behaviour and words of one person as one query; `past` (item numbers, oldest first), X as of `embed`;
        `unliked`: items that are no sign of a liking where the request names them; `liked`: those of `past` that were
        said to be liked here, however it was said.
        """
        return self.read_many([past], [request], X, [unliked], [liked])[0]

    def read_all(
        self,
        pasts: Sequence[NDArray[np.int64]],
        requests: Sequence[str],
        unliked: Sequence[NDArray[np.int64]],
        encode: Callable[[list[str]], NDArray[np.float32]] | None = None,
        wordings: Sequence[str] | None = None,
        liked: Sequence[NDArray[np.int64]] | None = None,
    ) -> Iterator[Query]:
        """`read_many` of people of whom some may have said nothing: the behaviour encoder ranks for those alone.
        `encode`: makes X of requests, by default the text encoder. `wordings`: what is matched by words instead.
        `liked`: as of `read`.
        """
        for start in range(0, len(requests), TOGETHER):
            places = range(start, min(start + TOGETHER, len(requests)))
            found: dict[int, Query] = {}
            for silent in (False, True):
                group = [place for place in places if silent is not bool(requests[place].strip())]
                said, no = [requests[place] for place in group], [unliked[place] for place in group]
                yes = [liked[place] for place in group] if liked else None
                if group:
                    X = None if silent else (encode or self.text_encoder.encode)(said)
                    words = [wordings[place] for place in group] if wordings else said
                    read = self.read_many([pasts[place] for place in group], words, X, no, yes)
                    found |= dict(zip(group, read, strict=True))
            yield from (found[place] for place in places)

    @torch.inference_mode()
    def read_many(
        self,
        pasts: Sequence[NDArray[np.int64]],
        requests: Sequence[str],
        X: NDArray[np.float32] | None,
        unliked: Sequence[NDArray[np.int64]] | None = None,
        liked: Sequence[NDArray[np.int64]] | None = None,
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
        queries = [Query(said, past, f, vector, index, bonus, out) for said, past, f, vector, bonus, out in rows]
        weight = self.bundle.info.config.model.closeness
        if X is None or not weight:
            return queries
        told = zip(queries, unliked or [NOTHING] * len(queries), liked or [NOTHING] * len(queries), strict=True)
        return [self._nearer(query, no, yes, weight) for query, no, yes in told]

    def _nearer(self, query: Query, unliked: NDArray[np.int64], liked: NDArray[np.int64], weight: float) -> Query:
        """With `weight` on being close to what is named; of what one name may mean, to what is sold here."""
        n = len(self.bundle.items)
        meant = [next((it for it in mention.numbers if it < n), n) for mention in self.mentions(query.request)]
        named = [it for it in dict.fromkeys([*liked.tolist(), *meant]) if it < n and it not in unliked]
        near = self._closeness.to(np.array(named, np.int64))
        if near is None:
            return query
        near *= weight * query.index.scores(query.vector).std()
        return replace(query, bonus=near if query.bonus is None else query.bonus + near)

    def with_reasons(
        self,
        query: Query,
        numbers: NDArray[np.int64],
        scores: NDArray[np.float32],
        promoted: Callable[[int], str] = lambda number: "",
    ) -> list[Recommendation]:
        """Ranked item numbers and their scores as recommendations with reasons; `promoted`: why a policy moved it."""
        titles, near = self.bundle.items["title"], self._behaviour_index
        answers, asked, tells = [], query.request, cache(self.tells)
        for mention in reversed(self.mentions(asked)):  # what a title is made of says nothing of other plots
            asked = f"{asked[: mention.start]} {asked[mention.end :]}"
        posteriors = self.posterior(query, numbers)
        for number, score, posterior in zip(numbers.tolist(), scores.tolist(), posteriors, strict=True):
            leading = [int(j) for j in np.argsort(-posterior, kind="stable")[:2] if posterior[j] >= TOLD]
            reason = Reason(
                intents=list(dict.fromkeys(self._labels[j] for j in leading)),
                because_of=[str(titles[other]) for other in nearest_past(near, number, query.past)],
                words=matching_words(asked, self.bundle.items.row(number, named=True), self.bundle.columns, tells),
                promoted=promoted(number),
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
