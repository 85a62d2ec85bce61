"""How long SASRec takes to a fixed NDCG@20 on validation, beside replay-rec's SASRec.

python lab/scripts/sasrec_beside_replay.py DATASET --peer-python PYTHON [--epochs 60] [--seeds 3] [--json]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

import replay_sasrec
from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.behaviour import BehaviourEncoder, TrainingConfig
from latentcrs.bench.machine import hardware
from latentcrs.bench.report import Report, hardware_line, tell
from latentcrs.cli.options import MOST
from latentcrs.data import Histories, PreparedDataset
from latentcrs.fit.rows import held_out, training_sequences

OURS, PEER = "latentcrs", "replay-rec"
SHARE = 0.97
"""Of the best NDCG@20 of the side that gets less far: what both are timed to."""
TARGET_RATIO = 2.0


@dataclass(frozen=True)
class Run:
    """One training: processor seconds and NDCG@20 on validation after every epoch."""

    side: str
    seed: int
    seconds: list[float]
    ndcg: list[float]

    def seconds_to(self, quality: float) -> float:
        """Seconds until `quality` was reached for the first time; infinite where it was not."""
        reached = np.flatnonzero(np.array(self.ndcg) >= quality)
        return self.seconds[reached[0]] if len(reached) else float("inf")


@dataclass(frozen=True)
class QualityBenchmark:
    """Every run of both sides, and how long each took to the same quality."""

    dataset: str
    runs: list[Run]
    rate: float
    peer_rate: float
    first_vectors: str
    hardware: dict[str, Any]

    def best(self, side: str) -> float:
        """The median over seeds of a side's best NDCG@20."""
        return float(np.median([max(run.ndcg) for run in self.runs if run.side == side]))

    @property
    def quality(self) -> float:
        """What both are timed to."""
        return SHARE * min(self.best(OURS), self.best(PEER))

    def seconds(self, side: str) -> float:
        """The median over seeds of a side's seconds to `quality`."""
        return float(np.median([run.seconds_to(self.quality) for run in self.runs if run.side == side]))

    @property
    def ratio(self) -> float:
        """The peer's seconds over ours."""
        return self.seconds(PEER) / self.seconds(OURS)

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        sides = {side: {"best": self.best(side), "seconds": self.seconds(side)} for side in (OURS, PEER)}
        found = {"quality": self.quality, "sides": sides, "ratio": self.ratio, "target_ratio": TARGET_RATIO}
        return {**asdict(self), **found}


def bench_quality(
    dataset: str | Path,
    python: Path,
    epochs: int = 60,
    seeds: int = 3,
    rate: float = TrainingConfig().learning_rate,
    peer_rate: float = 1e-3,
    first_vectors: str = "random",
) -> QualityBenchmark:
    """Train both `seeds` times, in turns, on one thread each, for at most `epochs` epochs of the same windows.

    Width, layers, heads, length, dropout and batch are those of the default configuration on both sides, each with
    its own loss over the whole catalogue. python: one that has `replay-rec[torch]`; rate, peer_rate: learning rates;
    first_vectors: where our item table begins (`SASRecConfig`), what that costs included.
    Seconds are the processor's and without validation, so that other work on the machine changes them little.

    Raises:
        UserError: no data set there, or `python` has no replay-rec.
    """
    prepared = PreparedDataset(dataset)
    try:
        there = not subprocess.run([python, "-c", "import replay.nn"], capture_output=True, env=_alone()).returncode
    except OSError:
        there = False
    if not there:
        raise UserError(
            f"{python} has no replay-rec; make one that has: python -m venv peer && "
            "peer/bin/pip install 'replay-rec[torch]==0.22.*'."
        )
    runs: list[Run] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with step("runs", 2 * seeds) as bar:
            for seed in range(seeds):
                runs.append(ours(prepared, epochs, seed, rate, first_vectors))
                bar.advance()
                runs.append(peer(prepared, epochs, seed, python, peer_rate))
                bar.advance()
        return QualityBenchmark(prepared.info.name, runs, rate, peer_rate, first_vectors, hardware("cpu"))
    finally:
        torch.set_num_threads(threads)


def ours(prepared: PreparedDataset, epochs: int, seed: int, rate: float, first_vectors: str = "random") -> Run:
    """The default SASRec, with the default training but for its length and learning rate."""
    encoder = _Timed("sasrec", prepared.info.items, {"first_vectors": first_vectors}, "cpu")
    config = TrainingConfig(
        epochs=epochs, min_steps=0, max_steps=10**9, patience=epochs, learning_rate=rate, seed=seed
    )
    encoder.began = time.process_time()
    report = encoder.fit(training_sequences(prepared), held_out(prepared, "valid"), config)
    return Run(OURS, seed, encoder.seconds, report["curve"])


class _Timed(BehaviourEncoder):
    """Notes the processor time of training whenever it is asked to encode, which is once an epoch, to validate."""

    began = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seconds: list[float] = []

    def encode_tensor(self, histories: Histories, batch: int = 512) -> Tensor:
        trained = time.process_time() - self.began
        self.seconds.append(trained + (self.seconds[-1] if self.seconds else 0.0))
        encoded = super().encode_tensor(histories, batch)
        self.began = time.process_time()
        return encoded


def peer(prepared: PreparedDataset, epochs: int, seed: int, python: Path, rate: float) -> Run:
    """replay-rec's SASRec of the same shape, by `replay_sasrec.py`."""
    training = TrainingConfig()
    shape = BehaviourEncoder("sasrec", prepared.info.items, device="cpu").config
    settings = shape.model_dump(include={"width", "layers", "heads", "length", "dropout"})
    settings |= {"batch": training.batch, "learning_rate": rate, "epochs": epochs, "seed": seed, "threads": 1}
    sequences, (seen, targets) = training_sequences(prepared), held_out(prepared, "valid")
    rows, pairs = seen.pairs()
    with tempfile.TemporaryDirectory(prefix="latentcrs-bench-") as folder:
        data = Path(folder) / "sequences.npz"
        np.savez(
            data, items=sequences.items, offsets=sequences.offsets, lengths=sequences.lengths, targets=targets,
            seen_items=seen.items, seen_offsets=seen.offsets, seen_lengths=seen.lengths, seen_rows=rows,
            seen_pairs=pairs, count=prepared.info.items,
        )  # fmt: skip
        script = str(Path(replay_sasrec.__file__))
        ran = subprocess.run(
            [python, script, str(data), json.dumps(settings)], capture_output=True, text=True, env=_alone()
        )
    if ran.returncode:
        raise UserError(f"replay-rec's SASRec failed: {_last(ran.stderr.splitlines())}.")
    found = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    return Run(PEER, seed, [line["seconds"] for line in found], [line["ndcg"] for line in found])


def _alone() -> dict[str, str]:
    """The environment of the peer: one thread, and none of our modules."""
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, "OMP_NUM_THREADS": "1"}


def _last(lines: Sequence[str]) -> str:
    return lines[-1] if lines else "it said nothing"


class FirstVectors(StrEnum):
    """Where an item table begins (`behaviour.network.first_vectors`)."""

    random = "random"
    svd = "svd"


def main(
    dataset: Annotated[Path, typer.Argument(help="A prepared data set, a small one.")],
    peer: Annotated[Path, typer.Option("--peer-python", help="A Python that has replay-rec[torch] 0.22.")],
    epochs: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many, of both.")] = 60,
    seeds: Annotated[int, typer.Option(min=1, max=MOST, help="How often both are trained.")] = 3,
    rate: Annotated[float, typer.Option(min=0.0, max=MOST, help="Our learning rate, the default one's.")] = 2e-3,
    peer_rate: Annotated[float, typer.Option(min=0.0, max=MOST, help="The peer's learning rate.")] = 1e-3,
    first_vectors: Annotated[FirstVectors, typer.Option(help="Where our item table begins.")] = FirstVectors.random,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Time to a fixed NDCG@20 on validation: the behaviour encoder beside replay-rec's SASRec of the same shape.

    replay-rec wants older packages than LatentCRS, so it runs in an environment of its own.

    Example: `python lab/scripts/sasrec_beside_replay.py data/ml-100k --peer-python peer/bin/python`
    """
    found = bench_quality(dataset, peer, epochs, seeds, rate, peer_rate, first_vectors.value)
    spent = {
        side: statistics.median(run.seconds[-1] / len(run.seconds) for run in found.runs if run.side == side)
        for side in (OURS, PEER)
    }
    report = Report(
        f"SASRec on {found.dataset}, {epochs} epochs at most, median of {seeds} seeds, one thread; item table begins "
        f"{'at random' if first_vectors is FirstVectors.random else 'at singular vectors'}",
        ("", "best NDCG@20", f"to {found.quality:.4f}", "an epoch"),
        [
            (side, f"{found.best(side):.4f}", f"{found.seconds(side):.1f} s", f"{an_epoch:.2f} s")
            for side, an_epoch in spent.items()
        ],
        [
            f"{found.ratio:.1f} times as fast (to reach: {TARGET_RATIO:.0f}) to {SHARE:.0%} of the lesser one's "
            "best. Processor seconds, without validation."
        ],
        hardware_line(found.hardware),
        [0] if found.ratio < TARGET_RATIO else [],
    )
    tell(found, report, as_json)


if __name__ == "__main__":
    typer.run(main)
