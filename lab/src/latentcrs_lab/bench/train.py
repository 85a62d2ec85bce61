"""The training benchmark: seconds and peak memory of every stage, from raw files to an answer."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.device import resolve_device
from latentcrs.base.errors import UserError
from latentcrs.bench.machine import hardware
from latentcrs.data import PreparedDataset
from latentcrs.data.prepare import prepare
from latentcrs.data.sources import SOURCES
from latentcrs.evaluate import evaluate_one_turn
from latentcrs.fit.training import fit_behaviour, fit_intents, gather_inputs
from latentcrs.intent import load_config
from latentcrs.recommend import Recommender, load_bundle, make_bundle, save_bundle
from latentcrs.text import TextEncoder, embed, missing_texts, open_encoder
from latentcrs.users import fill_requests
from latentcrs_lab.bench.memory import PeakMemory

CALLS = 200
TARGET_SECONDS = {
    "prepare": 10.0,
    "behaviour encoder": 720.0,
    "intents and EM": 240.0,
    "one-turn ranking": 20.0,
    "recommend()": 0.005,
}
"""What MovieLens-1M should take on two cores with a warm text cache."""
TARGET_MIB = {"intents and EM": 2048.0}


@dataclass(frozen=True)
class Stage:
    """What one stage took. `seconds` of recommend() is the median of a call."""

    name: str
    seconds: float
    peak_mib: float
    note: str = ""

    @property
    def target_seconds(self) -> float | None:
        return TARGET_SECONDS.get(self.name)

    @property
    def target_mib(self) -> float | None:
        return TARGET_MIB.get(self.name)


@dataclass
class Benchmark:
    """All stages on one data set and one machine."""

    data: str
    hardware: dict[str, Any]
    stages: list[Stage] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        stages = [
            {**asdict(stage), "target_seconds": stage.target_seconds, "target_mib": stage.target_mib}
            for stage in self.stages
        ]
        return {"data": self.data, "hardware": self.hardware, "stages": stages}


class LookupEncoder:
    """A text encoder that only looks vectors up: recommend() without embedding."""

    def __init__(self, encoder: TextEncoder, texts: Sequence[str]) -> None:
        self.id, self.width = encoder.id, encoder.width
        self._vectors = dict(zip(texts, embed(texts, encoder), strict=True))

    def encode(self, texts: Sequence[str], progress: Any = None) -> NDArray[np.float32]:
        return np.stack([self._vectors[text] for text in texts])


@contextmanager
def fresh_training_cache(folder: Path) -> Iterator[None]:
    """Nothing trained before is taken, and nothing trained here is kept; the text cache stays the user's."""
    before = os.environ.get("LATENTCRS_TRAINING")
    os.environ["LATENTCRS_TRAINING"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["LATENTCRS_TRAINING"]
        else:
            os.environ["LATENTCRS_TRAINING"] = before


def bench_train(
    name: str, origin: Path, preset: str = "default", settings: Sequence[str] = (), device: str = "auto"
) -> Benchmark:
    """Run every stage once on the raw data `origin` of the source `name`, in temporary folders.

    Raises:
        UserError: no such source, data or device, or psutil is missing.
    """
    if name not in SOURCES:
        raise UserError(f"no source is called {name!r}; there are {', '.join(SOURCES)}.")
    if not origin.exists():
        raise UserError(f"there is no {origin}; name the folder of {name} with --from.")
    config = load_config(preset, list(settings))
    found = Benchmark(name, hardware(device))

    @contextmanager
    def stage(title: str, notes: list[str] | None = None) -> Iterator[None]:
        with PeakMemory() as memory:
            began = time.perf_counter()
            yield
            seconds = time.perf_counter() - began
        found.stages.append(Stage(title, seconds, memory.mib, "; ".join(notes or [])))

    with tempfile.TemporaryDirectory(prefix="latentcrs-bench-") as place:
        work = Path(place)
        with fresh_training_cache(work / "training"):
            with stage("prepare"), tempfile.TemporaryDirectory(dir=work) as workspace:
                raw = SOURCES[name].read(origin, Path(workspace))
                dataset = prepare(raw, work / "dataset", command="latentcrs-lab bench train").dataset
            with stage("simulate"):
                fill_requests(dataset)
            notes: list[str] = []
            with stage("embed", notes):
                encoder = open_encoder(config.text_encoder, device)
                notes.append(warm_texts(dataset, encoder))
            with stage("behaviour encoder", notes := []):
                behaviour = fit_behaviour(dataset, config, device)
                notes.append(outcome(behaviour.report))
            with stage("intents and EM", notes := []):
                inputs = gather_inputs(dataset, behaviour, encoder, config)
                inference, generative, report = fit_intents(inputs, config)
                notes.append(outcome(report["em"]))
            with stage("bundle"):
                report = {"behaviour": behaviour.report, **report}
                made = make_bundle(
                    dataset, behaviour, inference, generative, encoder, config, report, "latentcrs-lab bench train"
                )
                save_bundle(work / "bundle", made)
            with stage("references for the table"):
                result = evaluate_one_turn(work / "bundle", device=device)
            ranking = float(result.about["seconds"])
            references = found.stages.pop()
            found.stages.append(
                Stage(references.name, references.seconds - ranking, references.peak_mib, "fusion and paper preset")
            )
            users = f"{len(result.systems)} systems, {result.n:,} users"
            found.stages.append(Stage("one-turn ranking", ranking, references.peak_mib, users))
        found.stages.append(calls(work / "bundle", dataset, encoder, device))
    return found


def warm_texts(dataset: PreparedDataset, encoder: TextEncoder) -> str:
    """Embed every text of the data set; says whether the cache had them."""
    texts = [*dataset.items["text"].fill_null("").to_list(), *dataset.requests["text"].to_list()]
    missing = len(missing_texts(texts, encoder))
    embed(texts, encoder, name="texts")
    return f"cold: {missing:,} texts" if missing else "warm"


def outcome(report: dict[str, Any]) -> str:
    """How far a stage came, on validation."""
    return f"{report['epochs']} epochs, NDCG@20 {report['validation_ndcg@20']:.4f}"


def calls(bundle: Path, dataset: PreparedDataset, encoder: TextEncoder, device: str) -> Stage:
    """The median of `CALLS` calls of recommend(), each for another user, their words embedded before."""
    requests = dataset.requests.filter(pl.col("split") == "test")
    requests = requests.gather_every(max(1, len(requests) // CALLS)).head(CALLS)
    remembered: TextEncoder = LookupEncoder(encoder, requests["text"].to_list())
    recommender = Recommender(load_bundle(bundle, resolve_device(device).type), remembered)
    histories, ids = dataset.request_histories(requests), dataset.items["item_id"].to_numpy()
    took = []
    with PeakMemory() as memory:
        for row, text in enumerate(requests["text"].to_list()):
            past = ids[histories.items[histories.offsets[row] : histories.offsets[row] + histories.lengths[row]]]
            for _ in range(2 if row == 0 else 1):  # the first call opens what all later ones share
                began = time.perf_counter()
                recommender.recommend(past.tolist(), text, 5)
                seconds = time.perf_counter() - began
            took.append(seconds)
    note = f"median of {len(took)}; p95 {np.quantile(took, 0.95) * 1000:.1f} ms"
    return Stage("recommend()", float(np.median(took)), memory.mib, note)
