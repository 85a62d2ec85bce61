"""What hard rules can bring at best, and how much a wish should weigh: the figures of lab/notes/results.md.

    python lab/scripts/rules_and_wishes.py BUNDLE [--dataset DATASET]

On the test split: Recall@5 of variant F with the rules that the extractor heard, with the conditions that the
simulated user told (the ceiling of any extractor), and with those less the words of the plot. On validation: Recall@5
by what a wish adds to a score (`converse.filtering.WISH`), over the requests that have one. Only for requests of the
`attributes` user, which this script lets speak again.
"""

from __future__ import annotations

import argparse
from functools import cache

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.converse import filtering
from latentcrs.data.ranking import both_ranks_of, recall_at
from latentcrs.evaluate.judged import FAR
from latentcrs.evaluate.one_turn import RequestSet
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.users.attributes import AttributesUser
from latentcrs.users.conditions import Condition

WEIGHTS = (0, 0.5, 1, 2, 3, 5)


def recall(asked: RequestSet, scores: object) -> NDArray[np.float64]:
    with torch.inference_mode():
        ranks, _ = both_ranks_of(scores, len(asked.opened.bundle.items), asked.targets, asked.histories)
    return recall_at(ranks, 5)


def ceiling(opened: EvaluationBundle) -> None:
    requests = opened.dataset.requests.filter(pl.col("split") == "test")
    spoken = AttributesUser(opened.dataset).request(
        *(requests[name].to_numpy() for name in ("user", "cut", "target"))
    )
    if spoken.texts != requests["text"].to_list():
        raise SystemExit("These requests are not those of the attributes user with seed 0.")
    asked = RequestSet(opened, requests)
    scores, items = asked.scores(), opened.bundle.items.to_dicts()
    mask = cache(lambda condition: np.array([condition.holds(row) for row in items]))

    def under(kept: object) -> object:
        def ruled(part: slice) -> Tensor:
            block = scores["latentcrs-b"]()(part).double()
            for row, said in enumerate(spoken[part]):
                failed = [~mask(condition) for condition in said.conditions if kept(condition)]
                if failed:
                    block[row] -= torch.from_numpy(np.sum(failed, 0)) * FAR
            return block

        return ruled

    def not_story(condition: Condition) -> bool:
        return condition.role != "story"

    print(f"B                            {recall(asked, scores['latentcrs-b']()).mean():.4f}")
    print(f"F, rules heard               {recall(asked, scores['latentcrs-f']()).mean():.4f}")
    print(f"F, conditions told           {recall(asked, under(lambda condition: True)).mean():.4f}")
    print(f"F, conditions but the plot's {recall(asked, under(not_story)).mean():.4f}")


def wishes(opened: EvaluationBundle) -> None:
    asked = RequestSet(opened, opened.dataset.requests.filter(pl.col("split") == "valid"))
    scores = asked.scores()["latentcrs-f"]()
    wished = np.array([bool(heard.wishes) for heard in asked.rules.heard])
    print(f"\nvalidation, {int(wished.sum()):,} of {len(wished):,} requests with a wish: weight, Recall@5")
    for weight in WEIGHTS:
        filtering.WISH = weight
        print(f"{weight:4g}  {recall(asked, scores)[wished].mean():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--dataset")
    options = parser.parse_args()
    found = EvaluationBundle(options.bundle, options.dataset)
    ceiling(found)
    wishes(found)
