"""The demo: fetch a sample, train on it, talk to it, measure it when asked. What is done is not done again."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from latentcrs import train
from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file, sha256_of
from latentcrs.base.progress import say
from latentcrs.data import PreparedDataset
from latentcrs.data.fetch import fetch
from latentcrs.data.known import SAMPLE
from latentcrs.intent import load_config
from latentcrs.recommend.bundle import MANIFEST as BUNDLE_MANIFEST
from latentcrs.recommend.bundle import BundleInfo, read_manifest
from latentcrs.text import embed, missing_texts, open_encoder
from latentcrs.text.cache import cache_path

if TYPE_CHECKING:
    from latentcrs.evaluate import OneTurnResult

SETTINGS = (
    *("behaviour.training.epochs=3", "behaviour.training.min_steps=0", "behaviour.training.batch=32"),
    *("em.epochs=6", "em.min_steps=0", "em.average=0.95", "em.learning_rate=4e-3", "em.patience=2"),
)
"""Laid over the default preset, made for larger logs: a fifth of its time here, as good (lab/notes/results.md)."""
SCRIPT = (
    "something funny from the nineties",
    "when did the second one come out?",
    "animated, for the kids, and no musicals please",
    "/why 1",
    "forget the animation",
    "/like 1",
    "something else",
    "/rules",
)
"""What is said where nobody sits at the terminal: rules, a question, one rule too many, which is taken back."""


@dataclass
class Demo:
    """The demo in one folder: raw files, the data set, the bundle; the one-turn figures where they were asked for."""

    folder: Path
    device: str = "auto"
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def raw(self) -> Path:
        return self.folder / "raw"

    @property
    def dataset(self) -> Path:
        return self.folder / SAMPLE.name

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def figures(self) -> Path:
        return self.folder / "one-turn.json"

    @contextmanager
    def _timed(self, number: int | None, name: str, words: str) -> Iterator[None]:
        say(f"\n{f'{number}/5 ' if number else ''}{name}: {words}")
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began
        say(f"    {self.seconds[name]:.1f} s")

    def fetch(self) -> None:
        """The raw files, from their official address or its mirror."""
        with self._timed(1, "fetch", SAMPLE.about):
            fetched = fetch(SAMPLE, self.raw)
            if fetched.already_there:
                skipped(self.raw)
            else:
                wrote(self.raw, f"{len(fetched.files)} files from {', '.join(fetched.origin)}")

    def prepare(self) -> PreparedDataset:
        """The prepared data set."""
        from latentcrs.data.prepare import prepare
        from latentcrs.data.sources import SOURCES

        with self._timed(2, "prepare", "keep ratings of 4 and more, order every history, split"):
            try:
                dataset = PreparedDataset(self.dataset)
                skipped(self.dataset)
            except UserError:
                with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace:
                    raw = SOURCES[SAMPLE.source].read(self.raw, Path(workspace))
                    dataset = prepare(raw, self.dataset, command="latentcrs demo").dataset
                info = dataset.info
                wrote(self.dataset, f"{info.users:,} users, {info.items:,} items, {info.interactions:,} interactions")
        return dataset

    def simulate(self, dataset: PreparedDataset) -> None:
        """Requests: what people could have said before each choice."""
        from latentcrs.users import fill_requests

        with self._timed(3, "simulate", "what people could have said before they chose"):
            filled = fill_requests(dataset)
            if filled is None:
                skipped(self.dataset / "requests.parquet")
            else:
                text = filled.written["text"][-1]
                wrote(self.dataset / "requests.parquet", f'{len(filled.written):,} requests, such as "{text}"')

    def embed(self, dataset: PreparedDataset) -> None:
        """Vectors of the texts that are trained on, into the cache."""
        with self._timed(4, "embed", "turn item texts and requests into vectors"):
            encoder = open_encoder("minilm", self.device)
            said = dataset.requests.filter(pl.col("split") != "test")["text"]
            texts = [*dataset.items["text"].fill_null("").to_list(), *said.to_list()]
            missing = missing_texts(texts, encoder)
            if missing:
                embed(texts, encoder, name="texts")
                wrote(cache_path(encoder.id), f"{len(missing):,} vectors of {encoder.width} numbers")
            else:
                skipped(cache_path(encoder.id))

    def train(self, dataset: PreparedDataset) -> BundleInfo:
        """The bundle."""
        with self._timed(5, "train", "behaviour encoder, intents, expectation-maximisation"):
            try:
                info = read_manifest(self.model)
                wanted = (dataset.info.checksums, load_config(settings=SETTINGS))
                if (info.dataset.checksums, info.config) == wanted:
                    skipped(self.model)
                    return info
            except UserError:  # there is none yet
                pass
            info = train(self.dataset, self.model, settings=SETTINGS, device=self.device, command="latentcrs demo")
            wrote(self.model, f"a bundle with {info.report['intents']} intents")
            return info

    def evaluate(self) -> OneTurnResult:
        """The one-turn figures, on the test split."""
        from latentcrs.evaluate import evaluate_one_turn  # late: only this step needs the other systems

        with self._timed(None, "evaluate", "rank every test user's next item, by LatentCRS and by what it must beat"):
            bundle = sha256_of(self.model / BUNDLE_MANIFEST)
            if self.figures.is_file():
                stored = json.loads(self.figures.read_text("utf-8"))
                if stored.pop("bundle", None) == bundle:
                    skipped(self.figures)
                    return stored_result(stored)
            result = evaluate_one_turn(self.model, split="test", device=self.device)
            with atomic_file(self.figures) as temporary:
                temporary.write_text(json.dumps({"bundle": bundle, **result.as_json()}, indent=2), "utf-8")
            wrote(self.figures, f"{len(result.systems)} systems on {result.n:,} requests")
            return result


def wrote(path: Path, what: str) -> None:
    """Tell what a step wrote."""
    say(f"    wrote {path}: {what}")


def skipped(path: Path) -> None:
    """Tell that a step was done before."""
    say(f"    already there: {path}")


def stored_result(stored: dict) -> OneTurnResult:
    """A result read back from its JSON; the figures of single requests are not kept."""
    from latentcrs.evaluate.one_turn import OneTurnResult, SystemFigures

    systems = {}
    for name, figures in stored["systems"].items():
        ci95 = {metric: (low, high) for metric, (low, high) in figures.pop("ci95").items()}
        systems[name] = SystemFigures(
            ci95=ci95, left_in=figures.pop("history_left_in"), means=figures, rows=np.empty((0, len(ci95)))
        )
    return OneTurnResult(**{**stored, "systems": systems})


def telling_user(dataset: PreparedDataset, shortest: int = 12, longest: int = 40) -> str:
    """The user with a history of middling length whose newest five items most people know: easy to judge by eye."""
    lengths, counts = dataset.lengths, dataset.training_counts
    newest = dataset.offsets[1:, None] - np.arange(1, 6)[None, :]
    known = np.log1p(counts[dataset.sequence[np.maximum(newest, 0)]]).sum(1)
    known[(lengths < shortest) | (lengths > longest)] = -np.inf
    return str(dataset.user_ids[int(known.argmax())])
