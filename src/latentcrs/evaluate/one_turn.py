"""One-turn evaluation: every system ranks the whole catalogue for the same requests (section 5 of LatentCRS)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.errors import UserError
from latentcrs.evaluate.hard_rules import HardRules
from latentcrs.evaluate.intervals import bootstrap_ci95, paired_p_value
from latentcrs.evaluate.judged import judged_ranks
from latentcrs.evaluate.opened import Opened
from latentcrs.evaluate.references import weighted_sum
from latentcrs.intent import GenerativeModel, Rows
from latentcrs.language.chat import ChatModel
from latentcrs.language.extract.lexical import LexicalExtractor
from latentcrs.progress import step
from latentcrs.ranking import both_ranks_of, ndcg_at, recall_at
from latentcrs.recommend import Recommender
from latentcrs.rows import request_rows

METRICS: dict[str, tuple[Callable[[NDArray[np.int64], int], NDArray[np.float64]], int]] = {
    "recall@5": (recall_at, 5),
    "ndcg@5": (ndcg_at, 5),
    "recall@20": (recall_at, 20),
    "ndcg@20": (ndcg_at, 20),
}
SYSTEMS = (
    "popularity", "behaviour", "text", "sum", "fusion",
    "latentcrs-b", "latentcrs-b-paper", "latentcrs-f", "latentcrs-f-paper",
)  # fmt: skip
Scores = Callable[[slice], Tensor]


@dataclass(frozen=True)
class SystemFigures:
    """One system's figures over the same n requests."""

    means: dict[str, float]  # metric -> mean, history left out of the ranking
    ci95: dict[str, tuple[float, float]]
    left_in: dict[str, float]  # metric -> mean, history left in, as the paper's code does
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
        return {
            "dataset": self.dataset,
            "split": self.split,
            "n": self.n,
            "systems": systems,
            "comparisons": self.comparisons,
            "variants": self.variants,
            "about": self.about,
        }


def evaluate_one_turn(
    bundle_folder: str | Path,
    split: str = "test",
    dataset: str | Path | None = None,
    device: str = "auto",
    history: int | None = None,
    sample: int | None = None,
    model: ChatModel | None = None,
) -> OneTurnResult:
    """Rank the targets of all requests of `split` by the bundle and by every reference.

    The references that need training (the fusion, the paper's preset) are trained at first use on the bundle's data
    set and kept. Variant F hears its rules with the lexical extractor. `dataset`: where the data set lies now, if it
    was moved. `history`: every system sees only so many of the newest items of each user, 0 for none; the ranking
    still leaves out all of them. `sample`: only so many requests, drawn with seed 0. `model`: judges for variant V.

    Raises:
        UserError: no bundle or data set there, another data set than the bundle's, or a split without requests.
    """
    if split not in ("valid", "test"):
        raise UserError(f"--split {split}: choose valid or test.")
    opened = Opened(bundle_folder, dataset, device)
    bundle, prepared, encoder = opened.bundle, opened.dataset, opened.encoder
    config, inputs = bundle.info.config, opened.inputs
    fusion, (paper, paper_longest), weight = opened.fusion, opened.paper, opened.weight
    columns = prepared.info.columns
    texts = prepared.requests.filter(pl.col("split") == split)["text"].to_list()
    rules = HardRules(Recommender(bundle), LexicalExtractor(prepared.items, columns), texts)

    began = time.perf_counter()

    def rows_for(longest: int | None) -> Rows:
        newest = min((most for most in (longest, history) if most is not None), default=None)
        return request_rows(prepared, split, bundle.behaviour, encoder, newest)

    rows = rows_for(None)
    ours = _model_scores(bundle.generative, rows_for(config.em.max_history))
    papers = _model_scores(paper, rows_for(paper_longest))
    popularity = torch.log(inputs.counts + 1)
    systems: dict[str, Scores] = {
        "popularity": lambda part: popularity.repeat(len(rows.targets[part]), 1),
        "behaviour": lambda part: rows.S[part] @ inputs.V.T,
        "text": lambda part: rows.X(part) @ inputs.T.T,
        "sum": lambda part: weighted_sum(rows.S[part], inputs.V, rows.X(part), inputs.T, weight),
        "fusion": _scores(fusion.query, fusion.items, rows),
        "latentcrs-b": ours,
        "latentcrs-b-paper": papers,
        "latentcrs-f": lambda part: rules.over(ours(part), part),
        "latentcrs-f-paper": lambda part: rules.over(papers(part), part),
    }
    figures, ranks = {}, {}
    chosen = np.arange(len(rows))
    if sample is not None and sample < len(rows):
        chosen = np.sort(np.random.default_rng(0).choice(len(rows), sample, replace=False))
    targets = rows.targets.cpu().numpy()
    with torch.inference_mode(), step("ranking the whole catalogue", len(systems)) as bar:
        for name, scores in systems.items():
            bar.note(name)
            ranks[name], left_in = both_ranks_of(scores, len(inputs.V), targets, rows.histories)
            figures[name] = _figures(ranks[name][chosen], left_in[chosen])
            bar.advance()
        bar.note(f"{len(chosen):,} requests, {len(inputs.V):,} items")
    seconds = time.perf_counter() - began
    about = {}
    if model is not None:
        with torch.inference_mode():
            judged = judged_ranks(
                rules.recommender, model, rules, systems["latentcrs-f"], ranks["latentcrs-f"], texts, targets,
                rows.histories, chosen,
            )  # fmt: skip
        figures["latentcrs-v"] = _figures(judged.ranks, judged.ranks)
        about = {"judge": model.id, "judgements_failed": judged.failed}
    return OneTurnResult(
        dataset=bundle.info.dataset.name,
        split=split,
        n=len(chosen),
        systems=figures,
        comparisons=_comparisons(figures),
        variants=_variants(figures),
        about={
            "preset": config.preset,
            "seed": config.em.seed,
            "behaviour_encoder": config.behaviour.encoder,
            "text_encoder": bundle.info.text_encoder.id,
            "weight_of_text_in_sum": weight,
            "history": history,
            "rules": rules.counts(),
            "sample": sample,
            **about,
            "seconds": round(seconds, 1),
        },
    )


def _scores(query: Callable[[Tensor, Tensor], Tensor], items: Callable[[], Tensor], rows: Rows) -> Scores:
    with torch.inference_mode():
        vectors = items().T.contiguous()
    return lambda part: query(rows.S[part], rows.X(part)) @ vectors


def _model_scores(model: GenerativeModel, rows: Rows) -> Scores:
    return _scores(lambda S, X: model(S, X)[2], model.items, rows)


def _figures(left_out: NDArray[np.int64], left_in: NDArray[np.int64]) -> SystemFigures:
    """From the ranks of the targets under both protocols."""
    per_row = np.stack([metric(left_out, k) for metric, k in METRICS.values()], 1)  # (requests, metrics)
    low, high = bootstrap_ci95(per_row)
    return SystemFigures(
        means=dict(zip(METRICS, per_row.mean(0).tolist(), strict=True)),
        ci95={name: (float(a), float(b)) for name, a, b in zip(METRICS, low, high, strict=True)},
        left_in={name: float(metric(left_in, k).mean()) for name, (metric, k) in METRICS.items()},
        rows=per_row,
    )


def _comparisons(figures: dict[str, SystemFigures]) -> dict[str, dict[str, Any]]:
    """LatentCRS_B (the bundle's preset) against the best other system, by metric."""
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
    """Variant F against B, and V against F where it was run, under the bundle's preset."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, base in (("f", "b"), ("v", "f")):
        if f"latentcrs-{name}" not in figures:
            continue
        ours, theirs = figures[f"latentcrs-{name}"], figures[f"latentcrs-{base}"]
        found[name] = {
            metric: {
                "ratio": ours.means[metric] / theirs.means[metric] if theirs.means[metric] else float("nan"),
                "difference": ours.means[metric] - theirs.means[metric],
                "p": paired_p_value(ours.rows[:, column], theirs.rows[:, column]),
            }
            for column, metric in enumerate(METRICS)
        }
    return found
