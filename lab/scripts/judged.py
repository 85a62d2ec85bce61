"""What a language model that judges brings, and what it costs: the tables of docs/explanation/language-models.md.

    LATENTCRS_COMPLETIONS=1 python lab/scripts/judged.py BUNDLE [--n 200] [--judged 10] [--simulated]
    LATENTCRS_COMPLETIONS=1 python lab/scripts/judged.py BUNDLE --n 10 --with zero-shot,chat-rec,interec

B, F and V over the same requests: people's in ReDial's validation dialogues (below $LATENTCRS_DATA) for items that
they had not named, or the simulated user's of the test split. V is asked only where it can change the figure: where
the item is among F's first ones. `--with`: other systems that ask the model, in V's place, on some of the
same requests. A killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import polars as pl
import torch

from latentcrs.converse import judge
from latentcrs.data import Histories
from latentcrs.data.ranking import ndcg_at, ranks_in_parts, recall_at
from latentcrs.evaluate.human_requests import gather_requests
from latentcrs.evaluate.intervals import means_of, paired_p_value
from latentcrs.evaluate.judged import judged_ranks
from latentcrs.evaluate.one_turn import RequestSet
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.evaluate.people import SourceRequests, Systems
from latentcrs.llm import open_chat_model
from latentcrs.systems.open import reports_of
from latentcrs_lab.cost_meter import CostMeter

METRICS: dict[str, tuple[Any, int]] = {
    "recall@1": (recall_at, 1), "recall@5": (recall_at, 5), "recall@10": (recall_at, 10), "ndcg@10": (ndcg_at, 10)
}  # fmt: skip


def of_people(opened: EvaluationBundle, n: int) -> tuple[Any, ...]:
    requests = [one for one in gather_requests(opened.dataset, ["redial"])["redial"] if one.is_new]
    chosen = np.random.default_rng(0).permutation(len(requests))[:n]
    put = SourceRequests(Systems(opened.dataset, opened), [requests[row] for row in chosen])
    out = Histories.from_lists([items.tolist() for items in put.left_out("latentcrs-f")])
    liked = [[item for item in one.history if item < put.n] for one in put.requests]
    scores = {name: put.scores(name) for name in ("latentcrs-b", "latentcrs-f")}
    return scores, put.asked, out, liked


def simulated(opened: EvaluationBundle, n: int) -> tuple[Any, ...]:
    requests = opened.dataset.requests.filter(pl.col("split") == "test")
    asked = RequestSet(opened, requests[np.random.default_rng(0).permutation(len(requests))[:n]])
    scores = {name: asked.scores()[name]() for name in ("latentcrs-b", "latentcrs-f")}
    return scores, asked, asked.histories, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--judged", type=int, default=judge.JUDGED)
    parser.add_argument("--llm", default="local")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--with", dest="others", default="")
    given = parser.parse_args()
    opened = EvaluationBundle(given.bundle, None, "cpu")
    scores, asked, out, liked = (simulated if given.simulated else of_people)(opened, given.n)
    model, n, targets = CostMeter(open_chat_model(given.llm, timeout=600)), len(opened.bundle.items), asked.targets
    others, counts = [name for name in given.others.split(",") if name], {"n": len(targets)}
    with torch.inference_mode():
        ranks = {name: ranks_in_parts(each, n, targets, out) for name, each in scores.items()}
        for name in others:
            ranks[name] = ranks_in_parts(asked.scores_of(name, model), n, targets, out)
        if not others:
            ranks["latentcrs-v"], counts["judged"], counts["failed"] = judged_ranks(
                asked.rules.recommender, model, asked.rules, scores["latentcrs-f"], ranks["latentcrs-f"], asked.texts,
                targets, out, np.arange(len(targets)), judged=given.judged, liked=liked,
            )  # fmt: skip
    rows = {name: np.stack([of(each, k) for of, k in METRICS.values()], 1) for name, each in ranks.items()}
    systems = {
        name: dict(zip(("means", "ci95"), means_of(METRICS, each), strict=True)) for name, each in rows.items()
    }
    tests = {
        f"{name} - {other}": {
            metric: {
                "difference": float((rows[name] - rows[other])[:, column].mean()),
                "p": paired_p_value(rows[name][:, column], rows[other][:, column]),
            }
            for column, metric in enumerate(METRICS)
        }
        for name in list(rows)[2:]
        for other in ("latentcrs-b", "latentcrs-f")
    }
    counts |= {"reports": reports_of(asked.asking)}
    print(json.dumps({**vars(given), **counts, "systems": systems, "tests": tests, "cost": model.cost()}, indent=1))


if __name__ == "__main__":
    main()
