"""The turn benchmark: how long each step of one turn takes, without a language model, beside the sentence encoder."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from latentcrs.base.device import resolve_device
from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.bench.machine import hardware
from latentcrs.converse.conversation import Conversation
from latentcrs.hear.open import hearer_of
from latentcrs.recommend import load
from latentcrs.recommend.users import trained_dataset
from latentcrs.store.session import Session

WARM_UP = 20
TARGETS = {"total": (60.0, 120.0)}
"""Milliseconds (p50, p95) that a turn at MovieLens-1M size should stay under on two cores."""
PEER = "SentenceTransformer.encode"


@dataclass(frozen=True)
class TurnBenchmark:
    """Milliseconds of every step over `turns` first turns, each of another person: step -> (p50, p95)."""

    dataset: str
    turns: int
    steps: dict[str, tuple[float, float]]
    hardware: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        return {
            "dataset": self.dataset,
            "turns": self.turns,
            "milliseconds": {name: {"p50": p50, "p95": p95} for name, (p50, p95) in self.steps.items()},
            "peer": PEER,
            "ratio_to_peer": self.steps["total"][0] / self.steps[PEER][0],
            "hardware": self.hardware,
        }


def bench_turn(bundle: str | Path, turns: int = 300, device: str = "auto") -> TurnBenchmark:
    """Hold `turns` conversations of one turn with people and requests of the test split, in variant F.

    The peer is the bundle's own sentence encoder called on the same words, the least that any turn can cost.

    Raises:
        UserError: no bundle there, or its data set is gone.
    """
    recommender = load(bundle, resolve_device(device).type)
    dataset = trained_dataset(recommender.bundle.info)
    requests = dataset.requests.filter(pl.col("split") == "test")
    if requests.is_empty():
        raise UserError(f"{dataset.path} has no test requests; write some with 'latentcrs simulate {dataset.path}'.")
    requests = requests.gather_every(max(1, len(requests) // (turns + WARM_UP))).head(turns + WARM_UP)
    histories, ids = dataset.request_histories(requests), dataset.items["item_id"].to_numpy()
    extractor = hearer_of(recommender)
    taken: dict[str, list[float]] = {}
    with step("turns", len(requests)) as bar:
        for row, text in enumerate(requests["text"].to_list()):
            first = histories.offsets[row]
            history = ids[histories.items[first : first + histories.lengths[row]]].tolist()
            turn = Conversation(recommender, extractor, Session(history=history)).reply(text)
            began = time.perf_counter()
            recommender.text_encoder.encode([f"{text} "])  # the same words; the turn's own it may remember
            peer = (time.perf_counter() - began) * 1000
            if row >= WARM_UP:
                for name, spent in {**turn.milliseconds, PEER: peer}.items():
                    taken.setdefault(name, []).append(spent)
            bar.advance()
    steps = {name: (float(np.median(spent)), float(np.quantile(spent, 0.95))) for name, spent in taken.items()}
    return TurnBenchmark(dataset.info.name, len(taken["total"]), steps, hardware(device))
