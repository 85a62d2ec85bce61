"""One-turn evaluation: every system ranks the whole catalogue for the same requests (section 5 of LatentCRS)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.data.ranking import both_ranks_of, ndcg_at, recall_at
from latentcrs.evaluate.intervals import means_of, paired_p_value
from latentcrs.evaluate.judged import HardRules, judged_ranks
from latentcrs.evaluate.opened import WITH_BM25, EvaluationBundle
from latentcrs.fit.rows import rows_of
from latentcrs.hear import Hearer
from latentcrs.intent import Rows
from latentcrs.intent.em import model_scores
from latentcrs.llm import ChatModel
from latentcrs.recommend import Recommender
from latentcrs.systems.open import Baseline, check_system, find_system, reports_of
from latentcrs.text import embed

METRICS: dict[str, tuple[Callable[[NDArray[np.int64], int], NDArray[np.float64]], int]] = {
    "recall@5": (recall_at, 5),
    "ndcg@5": (ndcg_at, 5),
    "recall@20": (recall_at, 20),
    "ndcg@20": (ndcg_at, 20),
}
SYSTEMS = (
    "popularity", "behaviour", "text", "sum", "bm25-sum", "fusion", "bm25-fusion",
    "latentcrs-b", "latentcrs-b-paper", "latentcrs-f", "latentcrs-f-paper",
)  # fmt: skip
VARIANTS = {
    "f": ("latentcrs-f", "latentcrs-b"),
    "v": ("latentcrs-v", "latentcrs-f"),
    "intents": ("latentcrs-b", "bm25-fusion"),
    "behaviour": ("latentcrs-b", "bm25-sum"),
}
"""What is tested against what: hard rules, the judge; intents, all of LatentCRS_B against words as such."""
Scores = Callable[[slice], Tensor]


@dataclass(frozen=True)
class HistoryWindow:
    """Which items of a history systems are shown: so many of the newest, or so many at random; None: no limit."""

    newest: int | None = None
    random: int | None = None

    @classmethod
    def of(cls, written: str) -> HistoryWindow:
        """From "3", "newest 3" or "random 3".

        Raises:
            UserError: it is none of these.
        """
        which, _, count = written.strip().rpartition(" ")
        if which not in ("", "newest", "random") or not count.isdigit():
            raise UserError(f"--history {written!r}: write a number of newest items, or 'random 3'.")
        return cls(random=int(count)) if which == "random" else cls(newest=int(count))

    def __str__(self) -> str:
        return f"random {self.random}" if self.random is not None else f"newest {self.newest}"


@dataclass(frozen=True)
class SystemFigures:
    """One system's figures over the same n requests."""

    means: dict[str, float]  # metric -> mean, history left out of the ranking
    ci95: dict[str, tuple[float, float]]
    left_in: dict[str, float]  # the same with the history left in, as the paper's code does; empty: not measured
    rows: NDArray[np.float64]  # (n, metrics): per request, for paired tests


@dataclass(frozen=True)
class OneTurnResult:
    """Every system on one split of one data set."""

    dataset: str
    split: str
    n: int
    systems: dict[str, SystemFigures]
    comparisons: dict[str, dict[str, Any]]  # metric -> the best other system, the difference, its p
    variants: dict[str, dict[str, dict[str, float]]]  # f over b, v over f -> metric -> ratio, difference, p
    about: dict[str, Any]  # preset, weight of the sum, encoders, seconds

    def as_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        systems = {
            name: {**figures.means, "ci95": figures.ci95, "history_left_in": figures.left_in}
            for name, figures in self.systems.items()
        }
        return {**vars(self), "systems": systems}


def evaluate_one_turn(
    bundle_folder: str | Path,
    split: str = "test",
    dataset: str | Path | None = None,
    device: str = "auto",
    history: HistoryWindow | None = None,
    sample: int | None = None,
    model: ChatModel | None = None,
    baselines: Sequence[str] = (),
) -> OneTurnResult:
    """Rank the targets of all requests of `split` by the bundle and by every reference.

    The references that need training (the fusion, the paper's preset) are trained at first use on the bundle's data
    set and kept. Variant F hears its rules with the lexical extractor. `dataset`: where the data set lies now, if it
    was moved. `history`: every system sees only these items of each user; the ranking still leaves out all of them.
    `sample`: only so many requests, drawn with seed 0. `model`: judges for variant V. `baselines`: other systems
    (`systems.open`), trained at first use; those that ask `model` are asked for the sample alone.

    Raises:
        UserError: no bundle or data set there, another data set than the bundle's, a split without requests, or an
            unknown system.
    """
    if split not in ("valid", "test"):
        raise UserError(f"--split {split}: choose valid or test.")
    return one_turn_of(EvaluationBundle(bundle_folder, dataset, device), split, history, sample, model, baselines)


def one_turn_of(
    opened: EvaluationBundle,
    split: str = "test",
    history: HistoryWindow | None = None,
    sample: int | None = None,
    model: ChatModel | None = None,
    baselines: Sequence[str] = (),
) -> OneTurnResult:
    """`evaluate_one_turn` of a bundle that is open already."""
    for name in baselines:
        check_system(name, model)
    if baselines and history is not None:
        raise UserError("Other systems are ranked with whole histories; leave out --history, or --with.")
    began = time.perf_counter()
    asked = RequestSet(opened, opened.dataset.requests.filter(pl.col("split") == split))
    chosen = np.arange(len(asked.targets))
    if sample is not None and sample < len(chosen):
        chosen = np.sort(np.random.default_rng(0).choice(len(chosen), sample, replace=False))
    systems: tuple[str, ...] = SYSTEMS
    trained = tuple(name for name in baselines if not find_system(name).asks)
    ranks = asked.ranks((*systems, *trained), history)
    figures = {name: _figures(left_out[chosen], left_in[chosen]) for name, (left_out, left_in) in ranks.items()}
    seconds = time.perf_counter() - began
    about: dict[str, Any] = {}
    if asking := [name for name in baselines if find_system(name).asks]:
        some = RequestSet(opened, asked.requests[chosen])
        for name, both in some.ranks(asking, None, model).items():
            figures[name] = _figures(*both)
        about |= {"language_model": model.id if model else None, "reports": reports_of(some.asking)}
    if model is not None:
        scores = asked.scores(history)["latentcrs-f"]()
        with torch.inference_mode():
            judged, judgements, failed = judged_ranks(
                asked.rules.recommender, model, asked.rules, scores,
                ranks["latentcrs-f"][0], asked.texts, asked.targets, asked.histories, chosen,
            )  # fmt: skip
        figures["latentcrs-v"] = _figures(judged, None)
        about |= {"judge": model.id, "judgements": judgements, "judgements_failed": failed}
    info = opened.bundle.info
    return OneTurnResult(
        dataset=info.dataset.name,
        split=split,
        n=len(chosen),
        systems=figures,
        comparisons=_comparisons(figures),
        variants=_variants(figures),
        about={
            "preset": info.config.preset,
            "seed": info.config.em.seed,
            "behaviour_encoder": info.config.behaviour.encoder,
            "text_encoder": info.text_encoder.id,
            "weight_of_text_in_sum": opened.weight,
            "weights_of_bm25": {name: opened.bm25_weight(WITH_BM25[name]) for name in figures if name in WITH_BM25},
            "history": None if history is None else str(history),
            "rules": asked.rules.counts(),
            "sample": sample,
            **about,
            "seconds": round(seconds, 1),
        },
    )


class RequestSet:
    """Requests for items of users' futures, and how every system ranks those items for them."""

    def __init__(self, opened: EvaluationBundle, requests: pl.DataFrame) -> None:
        """requests: columns of `REQUESTS_SCHEMA`.

        Raises:
            UserError: there are none.
        """
        if requests.is_empty():
            path = opened.dataset.path
            raise UserError(f"{path} has no such requests; write some with 'latentcrs simulate {path}'.")
        self.opened, self.requests = opened, requests
        self.texts: list[str] = requests["text"].to_list()
        self.targets: NDArray[np.int64] = requests["target"].to_numpy().astype(np.int64)
        self.histories = opened.dataset.request_histories(requests)
        self.asking: list[Baseline] = []
        """The systems opened so far that ask a model."""

    @cached_property
    def rules(self) -> HardRules:
        """The rules of all requests, heard by words alone."""
        bundle = self.opened.bundle
        hearer = Hearer(bundle.items, bundle.columns)
        return HardRules(Recommender(bundle), hearer, self.texts, self.opened.heard)

    def rows(self, longest: int | None, history: HistoryWindow | None) -> Rows:
        """The requests embedded; at most `longest` items of what is seen of a history count."""
        opened, shown = self.opened, history or HistoryWindow()
        newest = min((most for most in (longest, shown.newest) if most is not None), default=None)
        requests, behaviour, encoder = self.requests, opened.bundle.behaviour, opened.encoder
        return rows_of(opened.dataset, requests, behaviour, encoder, newest, at_random=shown.random)

    def _as_recommended(self, history: HistoryWindow | None) -> Scores:
        """The scores that the bundle recommends by, titles in the words taken up."""
        shown, recommender = history or HistoryWindow(), Recommender(self.opened.bundle, self.opened.encoder)
        seen = self.histories if shown.random is None else self.histories.sampled(shown.random)
        seen = seen if shown.newest is None else seen.newest(shown.newest)
        X = embed(self.texts, self.opened.encoder, name="requests")

        def scores(part: slice) -> Tensor:
            queries = recommender.read_many(list(seen[part]), self.texts[part], X[part])
            found = torch.from_numpy(np.stack([query.scores() for query in queries]))
            return found.to(self.opened.bundle.behaviour.device)

        return scores

    def scores(self, history: HistoryWindow | None = None) -> dict[str, Callable[[], Scores]]:
        """Each of `SYSTEMS`: opens its scores, (b, n), of a slice of the requests. history: newest items seen."""
        rows = self.rows(None, history)

        def reference(name: str) -> Scores:
            scores = self.opened.reference(name)
            return lambda part: scores(rows.S[part], rows.X(part), self.texts[part])

        @cache
        def ours() -> Scores:
            return self._as_recommended(history)

        @cache
        def papers() -> Scores:
            model, longest = self.opened.paper
            return model_scores(model, self.rows(longest, history))

        def ruled(scores: Callable[[], Scores]) -> Scores:
            opened_scores = scores()
            return lambda part: self.rules.over(opened_scores(part), part)

        return {
            **{name: partial(reference, name) for name in SYSTEMS if not name.startswith("latentcrs")},
            "latentcrs-b": ours,
            "latentcrs-b-paper": papers,
            "latentcrs-f": lambda: ruled(ours),
            "latentcrs-f-paper": lambda: ruled(papers),
        }

    def scores_of(self, name: str, model: ChatModel | None = None) -> Scores:
        """The scores of another system (`systems.open`), for slices as in `scores`. `model` answers where it asks."""
        device = self.opened.bundle.behaviour.device
        asks = find_system(name).asks
        system = self.opened.baseline(name, model if asks else None)
        if asks:
            self.asking.append(system)
        return lambda part: torch.from_numpy(system.scores(self.requests[part])).to(device)

    def ranks(
        self, names: Sequence[str], history: HistoryWindow | None = None, model: ChatModel | None = None
    ) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """The targets' ranks in the whole catalogue by each of `names`: the user's history left out, and left in."""
        scores, count, found = self.scores(history), len(self.opened.bundle.items), {}
        with step("ranking the whole catalogue", len(names)) as bar:
            for name in names:
                bar.note(name)
                opened = scores[name]() if name in scores else self.scores_of(name, model)  # which may train it first
                with torch.inference_mode():
                    found[name] = both_ranks_of(opened, count, self.targets, self.histories)
                bar.advance()
            bar.note(f"{len(self.texts):,} requests, {count:,} items")
        return found


def _figures(left_out: NDArray[np.int64], left_in: NDArray[np.int64] | None) -> SystemFigures:
    """From the ranks of the targets under both protocols; `left_in` None: not measured."""
    per_row = np.stack([metric(left_out, k) for metric, k in METRICS.values()], 1)  # (requests, metrics)
    measured = {} if left_in is None else {name: float(of(left_in, k).mean()) for name, (of, k) in METRICS.items()}
    return SystemFigures(*means_of(METRICS, per_row), left_in=measured, rows=per_row)


def _comparisons(figures: dict[str, SystemFigures]) -> dict[str, dict[str, Any]]:
    """LatentCRS_B (the bundle's preset) against the best system that is none of its variants, by metric."""
    ours, found = figures["latentcrs-b"], {}
    for column, metric in enumerate(METRICS):
        others = {name: f for name, f in figures.items() if not name.startswith("latentcrs-")}
        best = max(others, key=lambda name: others[name].means[metric])
        found[metric] = {
            "best_other": best,
            "difference": ours.means[metric] - others[best].means[metric],
            "p": paired_p_value(ours.rows[:, column], others[best].rows[:, column]),
        }
    return found


def _variants(figures: dict[str, SystemFigures]) -> dict[str, dict[str, dict[str, float]]]:
    """The paired tests of `VARIANTS`, under the bundle's preset, of those that were run."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, (one, other) in VARIANTS.items():
        if one not in figures or other not in figures:
            continue
        ours, theirs = figures[one], figures[other]
        found[name] = {
            metric: {
                "ratio": ours.means[metric] / theirs.means[metric] if theirs.means[metric] else float("nan"),
                "difference": ours.means[metric] - theirs.means[metric],
                "p": paired_p_value(ours.rows[:, column], theirs.rows[:, column]),
            }
            for column, metric in enumerate(METRICS)
        }
    return found
