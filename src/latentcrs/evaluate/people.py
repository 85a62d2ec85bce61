"""How well every system answers requests that people made: the catalogue is ranked, less what they have named."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.base.device import resolve_device
from latentcrs.base.errors import UserError
from latentcrs.base.progress import say, step
from latentcrs.behaviour.comentions import CoMentions
from latentcrs.data import Histories, PreparedDataset
from latentcrs.data.dataset import REQUESTS_SCHEMA
from latentcrs.data.ranking import both_ranks_of, ndcg_at, recall_at
from latentcrs.evaluate.human_requests import Context, HumanRequest, gather_requests
from latentcrs.evaluate.intervals import means_of, paired_p_value
from latentcrs.evaluate.one_turn import RequestSet, Scores
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.fit.rows import words_of_items
from latentcrs.recommend import Query, Recommender
from latentcrs.recommend.bundle import MANIFEST
from latentcrs.systems.ease import EASE, MOST_THINGS
from latentcrs.systems.open import check_system
from latentcrs.text import embed
from latentcrs.text.lexical import Lexical

METRICS: dict[str, tuple[Callable[[NDArray[np.int64], int], NDArray[np.float64]], int]] = {
    **{f"recall@{k}": (recall_at, k) for k in (1, 5, 10, 20)},
    **{f"ndcg@{k}": (ndcg_at, k) for k in (5, 20)},
}
TESTED = ("recall@5", "recall@20", "ndcg@20")
"""Metrics with a paired test against LatentCRS_B."""
OURS = "latentcrs-b"
SAY_BACK = "say-back"
TALKED = ("suggestions", "co-mention", "ease-talk")
"""Systems that learn from recorded conversations."""
ALONE = ("popularity", "suggestions", "co-mention", "ease", "ease-talk", "bm25")
"""Systems that need no bundle."""
OF_BUNDLE = ("text", "behaviour", "bm25-sum", "fusion", OURS, "latentcrs-f", "latentcrs-b-paper")
TITLES = {"titles 0": (0, 1), "titles 1": (1, 2), "titles 2": (2, 3), "titles 3+": (3, 1 << 30)}
LENGTHS = {"words <15": (0, 15), "words 15-39": (15, 40), "words 40+": (40, 1 << 30)}
"""Groups of requests: how many titles they name, and how long they are; from and below."""


@dataclass(frozen=True)
class Figures:
    """One system over n requests. groups: means of the requests that named so many titles, or are so long."""

    means: dict[str, float]
    ci95: dict[str, tuple[float, float]]
    p: dict[str, float]  # metric -> of the difference to LatentCRS_B; empty for itself, and without a bundle
    groups: dict[str, dict[str, float]]  # group -> recall@5 and recall@20


@dataclass(frozen=True)
class SourceResult:
    """A source of requests. new: targets not named before, what was named left out; all: every target, or empty."""

    n: int
    n_all: int
    group_sizes: dict[str, int]  # of the new ones
    new: dict[str, Figures]
    all: dict[str, Figures]

    def as_json(self) -> dict[str, Any]:
        figures = {"new": self.new, "all": self.all}
        return {
            "n": {"new": self.n, "all": self.n_all},
            "groups": self.group_sizes,
            **{name: {system: vars(f) for system, f in found.items()} for name, found in figures.items()},
        }


@dataclass(frozen=True)
class PeopleResult:
    """Every source of requests on one data set."""

    dataset: str
    sources: dict[str, SourceResult]
    about: dict[str, Any]  # preset, context, seconds

    def as_json(self) -> dict[str, Any]:
        sources = {name: source.as_json() for name, source in self.sources.items()}
        return {"dataset": self.dataset, "sources": sources, **self.about}


def evaluate_people(
    where: str | Path,
    on: Sequence[str] = (),
    context: Context = "seeker",
    baselines: Sequence[str] = (),
    dataset: str | Path | None = None,
    device: str = "auto",
    only: Sequence[str] = (),
) -> PeopleResult:
    """Rank the whole catalogue for requests of people, by every system that `where`, a bundle or a data set, allows.

    on: see `human_requests.gather_requests`. baselines: other systems (`systems.open`) that
    ask no model; they need a bundle. dataset: where the data
    set of the bundle lies, if it was moved. only: these systems, and none that would have to be trained for others.

    Raises:
        UserError: neither a bundle nor a data set there, an unknown system or source, or no requests.
    """
    began = time.perf_counter()
    resolve_device(device)
    opened = EvaluationBundle(where, dataset, device) if (Path(where) / MANIFEST).is_file() else None
    prepared = opened.dataset if opened else PreparedDataset(where)
    for name in baselines:
        check_system(name, None)
    if baselines and opened is None:
        raise UserError(f"{baselines[0]} needs a bundle in place of a data set.")
    systems = Systems(prepared, opened)
    names, found = [*systems.names(), *baselines], {}
    if unknown := [name for name in only if name not in names]:
        raise UserError(f"There is no system {unknown[0]!r} here; choose of {', '.join(names)}.")
    names = [name for name in names if not only or name in only]
    for source, requests in gather_requests(prepared, list(on), context).items():
        found[source] = measured(systems, requests, names, source)
    about: dict[str, Any] = {"context": context, "seconds": round(time.perf_counter() - began, 1)}
    if opened is not None:
        about["preset"] = opened.bundle.info.config.preset
    return PeopleResult(prepared.info.name, found, about)


class Systems:
    """What is compared, each made at first use and kept for every source of requests."""

    def __init__(self, dataset: PreparedDataset, opened: EvaluationBundle | None) -> None:
        self.dataset, self.opened = dataset, opened

    def names(self) -> list[str]:
        """The systems that this data set and this bundle allow."""
        n = self.dataset.info.items + len(self.dataset.outside)
        names = [*ALONE, *(OF_BUNDLE if self.opened else ())]
        if self.dataset.mentions.is_empty():
            names = [name for name in names if name not in TALKED]
        if n > MOST_THINGS:
            say(f"note: EASE is left out, for it wants {n:,} x {n:,} numbers")
            names = [name for name in names if not name.startswith("ease")]
        return names

    @cached_property
    def co_mention(self) -> CoMentions:
        return CoMentions.build(self.dataset.mentions, self.dataset.info.items, len(self.dataset.outside))

    @cached_property
    def ease(self) -> EASE:
        return EASE(self.dataset)

    @cached_property
    def ease_talk(self) -> EASE:
        return EASE(self.dataset, with_talks=True)

    @cached_property
    def bm25(self) -> Lexical:
        return self.opened.bm25 if self.opened else Lexical.build(words_of_items(self.dataset.items))

    @cached_property
    def recommender(self) -> Recommender:
        assert self.opened is not None
        return Recommender(self.opened.bundle, self.opened.encoder)


class SourceRequests:
    """The requests of one source, put to all systems."""

    def __init__(self, systems: Systems, requests: Sequence[HumanRequest]) -> None:
        self.systems, self.requests = systems, requests
        self.n = systems.dataset.info.items
        self.texts = [request.text for request in requests]
        self.histories = [request.history for request in requests]
        self.targets = np.array([request.target for request in requests], np.int64)
        self.named = [np.array(request.named, np.int64) for request in requests]

    @cached_property
    def asked(self) -> RequestSet:
        """The same as requests of visitors, for what one-turn evaluation ranks with."""
        assert self.systems.opened is not None
        pasts = ([item for item in request.history if item < self.n] for request in self.requests)
        rows = [
            (None, None, past, request.target, "test", request.text, "")
            for past, request in zip(pasts, self.requests, strict=True)
        ]
        return RequestSet(self.systems.opened, pl.DataFrame(rows, REQUESTS_SCHEMA, orient="row"))

    @cached_property
    def _asked_scores(self) -> dict[str, Callable[[], Scores]]:
        return self.asked.scores()

    @cached_property
    def queries(self) -> list[Query]:
        """The requests as LatentCRS reads them."""
        recommender = self.systems.recommender
        X = embed(self.texts, recommender.text_encoder, name="requests")
        return recommender.read_many([np.array(past, np.int64) for past in self.histories], self.texts, X)

    def scores(self, name: str) -> Scores:
        """How one system scores all items, (b, n), for a slice of the requests."""
        systems = self.systems

        def each(model: EASE) -> Scores:
            return lambda part: torch.from_numpy(model.scores(self.histories[part]))

        def together(part: slice) -> Tensor:
            talk = systems.co_mention
            return torch.from_numpy(talk.bonus(self.histories[part]).toarray() + talk.log_suggested)

        def same(counts: NDArray[np.number]) -> Scores:
            scores = torch.from_numpy(counts.astype(np.float32))
            return lambda part: scores.repeat(len(self.texts[part]), 1)

        def ours(part: slice) -> Tensor:
            return torch.from_numpy(np.stack([query.scores() for query in self.queries[part]]))

        def said_back(part: slice) -> Tensor:
            found = np.zeros((len(self.named[part]), self.n), np.float32)
            for row, named in zip(found, self.named[part], strict=True):
                row[named] = np.arange(1, len(named) + 1)
            return torch.from_numpy(found)

        made: dict[str, Callable[[], Scores]] = {
            "popularity": lambda: same(systems.dataset.training_counts),
            "suggestions": lambda: same(systems.co_mention.suggested),
            "co-mention": lambda: together,
            "ease": lambda: each(systems.ease),
            "ease-talk": lambda: each(systems.ease_talk),
            "bm25": lambda: lambda part: torch.from_numpy(systems.bm25.scores(self.texts[part])),
            SAY_BACK: lambda: said_back,
            OURS: lambda: ours,
            "latentcrs-f": lambda: lambda part: self.asked.rules.over(ours(part), part),
        }
        if name in made:
            return made[name]()
        return self._asked_scores[name]() if name in self._asked_scores else self.asked.scores_of(name)

    def left_out(self, name: str) -> list[NDArray[np.int64]]:
        """What leaves each ranking: what was named, and what LatentCRS takes for named."""
        if name not in (OURS, "latentcrs-f"):
            return self.named
        return [np.union1d(named, query.left_out) for named, query in zip(self.named, self.queries, strict=True)]

    def ranks(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The targets' ranks, with what was named left out, and left in."""
        named = Histories.from_lists([items.tolist() for items in self.left_out(name)])
        with torch.inference_mode():
            return both_ranks_of(self.scores(name), self.n, self.targets, named)


def measured(systems: Systems, requests: Sequence[HumanRequest], names: Sequence[str], source: str) -> SourceResult:
    """All figures of one source."""
    put, left_out, left_in = SourceRequests(systems, requests), {}, {}
    with step(f"ranking for {source}", len(names)) as bar:
        for name in names:
            bar.note(name)
            left_out[name], left_in[name] = put.ranks(name)
            bar.advance()
        bar.note(f"{len(requests):,} requests, {put.n:,} items")
    new = np.array([request.is_new for request in requests])
    groups = groups_of([request for request in requests if request.is_new])
    repeated = not new.all()
    if repeated:
        left_in[SAY_BACK] = put.ranks(SAY_BACK)[1]
    return SourceResult(
        n=int(new.sum()),
        n_all=len(requests),
        group_sizes={name: int(rows.sum()) for name, rows in groups.items()},
        new=figures_of({name: ranks[new] for name, ranks in left_out.items()}, groups) if new.any() else {},
        all=figures_of(left_in, {}) if repeated else {},
    )


def groups_of(requests: Sequence[HumanRequest]) -> dict[str, NDArray[np.bool_]]:
    """Which requests (B,) name how many titles, and how long they are; groups without any are left out."""
    titles = np.array([request.titles for request in requests], np.int64)
    words = np.array([len(request.text.split()) for request in requests], np.int64)
    found = {name: (titles >= low) & (titles < high) for name, (low, high) in TITLES.items()}
    found |= {name: (words >= low) & (words < high) for name, (low, high) in LENGTHS.items()}
    return {name: rows for name, rows in found.items() if rows.any()}


def figures_of(ranks: dict[str, NDArray[np.int64]], groups: dict[str, NDArray[np.bool_]]) -> dict[str, Figures]:
    """Means, intervals, tests and groups from the ranks (B,) of each system."""
    rows = {name: np.stack([metric(found, k) for metric, k in METRICS.values()], 1) for name, found in ranks.items()}
    columns, figures = list(METRICS), {}
    for name, values in rows.items():
        p = {}
        if OURS in rows and name != OURS:
            at = {metric: columns.index(metric) for metric in TESTED}
            p = {metric: paired_p_value(rows[OURS][:, c], values[:, c]) for metric, c in at.items()}
        shown = {metric: values[:, columns.index(metric)] for metric in ("recall@5", "recall@20")}
        by_group = {
            group: {metric: float(of[chosen].mean()) for metric, of in shown.items()}
            for group, chosen in groups.items()
        }
        figures[name] = Figures(*means_of(METRICS, values), p, by_group)
    return figures
