"""How a language model hears people, beside the heads and with them: a table of docs/explanation/language-models.md.

    LATENTCRS_COMPLETIONS=1 python lab/scripts/heard_by_model.py DATASET --heard FOLDER --work FOLDER [--llm local]
        [--rules lexical,llm,both] [--sample N] [--dialogues]

DATASET is MovieLens-1M, `--heard` has labelled messages (see `latentcrs evaluate heard`). The heads of the package
were trained on these messages, so each message is heard by heads that were trained without its fifth of them, kept in
`--work`. A killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from latentcrs.data import PreparedDataset
from latentcrs.evaluate.heard import ExtractorHearer, Tally, evaluate_heard, read_labels
from latentcrs.hear.assembly import HARD_NOT, ValueMention
from latentcrs.hear.heads import Head, load_heads
from latentcrs.hear.hearer import Hearer
from latentcrs.hear.llm import ModelHearer
from latentcrs.hear.reading import Context, Reading
from latentcrs.llm import Call, open_chat_model
from latentcrs_lab.cost_meter import CostMeter
from latentcrs_lab.hear.examples import made
from latentcrs_lab.hear.train import DRAWS, FOLDS, LabelledExamples, Trainer, fold_of, save_heads

SHOWN = (
    "n", "opposites_per_100", "opposite_wishes_per_100", "uninvited_per_100", "precision", "recall", "f1",
    "f1_without_kind", "titles", "titles_exactly", "state", "state_without_kind",
)  # fmt: skip


class Both(ModelHearer):
    """What only one of model and heads takes for asked or refused is a wish; titles are as the heads say."""

    def taken(self, one: ValueMention, told: str) -> tuple[str, float]:
        if told == one.stance or one.stance == "dropped" or (one.stance == "mentioned" and told == "dropped"):
            return one.stance, one.p
        refused = (told if one.stance == "mentioned" else one.stance) == "refused"
        return ("refused", min(one.p, HARD_NOT - 0.01)) if refused else ("wish", one.p)

    def extract(self, utterance: str, context: Context | None = None, call: Call | None = None) -> Reading:
        return (
            super()
            .extract(utterance, context, call)
            .model_copy(update={"titles": self.hearer.read(utterance, context).titles})
        )


def heads_by_fold(hearer: Hearer, files: Sequence[Sequence[dict[str, Any]]], work: Path) -> list[Mapping[str, Head]]:
    """As `latentcrs_lab.hear.train` makes them."""
    paths = [work / f"heads-without-{fold}.safetensors" for fold in range(FOLDS)]
    if not all(path.is_file() for path in paths):
        torch.manual_seed(0)
        labelled = LabelledExamples(hearer)
        drawn = [replace(example, weight=example.weight / DRAWS) for seed in range(DRAWS) for example in made(seed)]
        examples = drawn + labelled.utterances()
        for lines in files:
            examples += labelled.examples(lines)
        trainer = Trainer(hearer.encoder, examples)
        for fold, path in enumerate(paths):
            save_heads(trainer.heads(without=fold), path, hearer.encoder.id, {})  # type: ignore[attr-defined]
    return [load_heads(path)[0] for path in paths]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--heard", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--llm", default="local")
    parser.add_argument("--rules", default="lexical,llm,both")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--dialogues", action="store_true")
    given = parser.parse_args()
    prepared = PreparedDataset(given.dataset)
    hearer = Hearer(prepared.items, prepared.info.columns)
    files = [read_labels(path) for path in sorted(given.heard.glob("*.jsonl")) if "shop" not in path.name]
    given.work.mkdir(parents=True, exist_ok=True)
    folds = heads_by_fold(hearer, files, given.work)
    lines = [line for file in files for line in file if ("turns" in line) == given.dialogues]
    lines = random.Random(0).sample(lines, len(lines))[: given.sample]  # a smaller sample is part of a larger one
    for rules in given.rules.split(","):
        model = None if rules == "lexical" else CostMeter(open_chat_model(given.llm, timeout=600))
        by = None if model is None else partial(Both if rules == "both" else ModelHearer, model)
        total, failed, began = Tally(), 0, time.perf_counter()
        for fold, heads in enumerate(folds):
            hearer.use(heads)
            listener = ExtractorHearer(by(hearer) if by else hearer)
            part = [line for line in lines if fold_of(line["id"]) == fold]
            if part:
                total = total + evaluate_heard(listener, hearer.items, hearer.columns, part)
            failed += listener.failed
        figures: dict[str, Any] = {"rules": rules, "model": model.id if model else None, "failed": failed}
        figures |= {name: total.figures[name] for name in SHOWN}
        if model is not None:
            figures |= model.cost()
        print(json.dumps({**figures, "seconds": round(time.perf_counter() - began, 1)}), flush=True)


if __name__ == "__main__":
    main()
