"""How well an item is recommended that nobody has chosen yet: the figure of lab/notes/results.md.

    python lab/scripts/new_items.py BUNDLE [--dataset DATASET]

On the validation split: every target is taken for new, one at a time, and gets the vector that
`Recommender.add_items` would give it; Recall@5 and Recall@20 of variant B beside those with its own vector.
"""

from __future__ import annotations

import argparse

import polars as pl
import torch
from torch.nn import functional as F

from latentcrs.data.ranking import ranks_of_scores, recall_at
from latentcrs.evaluate.one_turn import RequestSet
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.intent import GenerativeModel

BLOCK = 512

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--dataset")
    options = parser.parse_args()
    opened = EvaluationBundle(options.bundle, options.dataset)
    model = opened.bundle.generative
    asked = RequestSet(opened, opened.dataset.requests.filter(pl.col("split") == "valid"))
    content = F.normalize(model.T, dim=1)
    near = content @ content.T
    near.fill_diagonal_(-1)
    # As `recommend.new_items.with_items`: the behaviour of the nearest other item, and no popularity.
    as_new = GenerativeModel(
        model.M, model.V[near.argmax(1)], model.T, torch.zeros_like(model.log_popularity), model.config
    ).eval()
    as_new.load_state_dict(model.state_dict())
    found: dict[str, list[torch.Tensor]] = {"known": [], "new": []}
    with torch.inference_mode():
        vectors, scores = as_new.items(), asked.scores()["latentcrs-b"]()
        rows = asked.rows(opened.bundle.info.config.em.max_history, None)
        queries = model(rows.S, rows.X(slice(None)))[2]
        for start in range(0, len(asked.targets), BLOCK):
            part = slice(start, start + BLOCK)
            block, targets = scores(part).clone(), asked.targets[part]
            found["known"].append(torch.from_numpy(ranks_of_scores(block, targets, asked.histories[part])))
            place = torch.arange(len(block)), torch.from_numpy(targets)
            block[place] = (queries[part] * vectors[place[1]]).sum(1)
            found["new"].append(torch.from_numpy(ranks_of_scores(block, targets, asked.histories[part])))
    for name, ranks in found.items():
        each = torch.cat(ranks).numpy()
        print(f"{name:6} Recall@5 {recall_at(each, 5).mean():.4f}, Recall@20 {recall_at(each, 20).mean():.4f}")
