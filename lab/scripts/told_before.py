"""How much of a success with the user `plot` is memory of what training told: a table of lab/notes/results.md.

    python lab/scripts/told_before.py BUNDLE DATASET [--variants b,f,sum,text] [--dataset DATASET_OF_THE_BUNDLE]

DATASET has training requests of the plot user (`latentcrs simulate --plots 0.33`). Test openings are grouped by the
share of words (Jaccard) that they have in common with the nearest of those of the same item; S@1 and S@5 of each.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict

import numpy as np
import polars as pl

from latentcrs.data import PreparedDataset
from latentcrs.evaluate.multi_turn import talk_rows
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.evaluate.talks import multi_turn
from latentcrs.users.dialogue import dialogues_of
from latentcrs.users.plot import PlotUser

GROUPS = (("told before", 0.6, 1.01), ("partly", 0.3, 0.6), ("new", 0.0, 0.3))


def words_of(text: str) -> set[str]:
    return set(re.sub(r"[^a-z ]", "", text.lower()).split())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("told", help="a data set with training requests of the plot user")
    parser.add_argument("--variants", default="b,f")
    parser.add_argument("--dataset")
    options = parser.parse_args()
    told = PreparedDataset(options.told)
    training = told.requests.filter((pl.col("split") == "train") & (pl.col("source") == "plot"))
    of_item: dict[int, list[set[str]]] = defaultdict(list)
    for target, text in training.select("target", "text").iter_rows():
        of_item[target].append(words_of(text))
    dialogues = dialogues_of(told, talk_rows(told))
    PlotUser(told).speak(dialogues)
    alike = np.zeros(len(dialogues))
    for place, dialogue in enumerate(dialogues):
        said = words_of(dialogue.said[0])
        alike[place] = max((len(said & other) / len(said | other) for other in of_item[dialogue.target]), default=0.0)
    result = multi_turn(EvaluationBundle(options.bundle, options.dataset), options.variants.split(","), "plot")
    for name, talks in result.systems.items():
        for label, low, high in GROUPS:
            outcomes = talks.outcomes[(alike >= low) & (alike < high)]
            first, shown = (outcomes == 1).mean(), (outcomes > 0).mean()
            print(f"{name:14} {label:12} {len(outcomes):6,}  S@1 {first:.3f}  S@5 {shown:.3f}")
