"""The EM stages beside a plain loop: a batch of the M and of the E step that computes nothing before.

python lab/scripts/em_beside_plain_loop.py BUNDLE [--preset paper] [--set KEY=VALUE] [--batches 8] [--json]
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import torch
import typer
from torch import Tensor

from latentcrs.base.device import quick_products, resolve_device
from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.base.uninterrupted import uninterrupted
from latentcrs.bench.machine import hardware
from latentcrs.bench.report import Report, hardware_line, tell
from latentcrs.cli.options import MOST, Device
from latentcrs.data import Histories
from latentcrs.fit.rows import rows_of, training_counts
from latentcrs.intent import EM, Config, GenerativeModel, InferenceModel, Rows, Softmax, load_config
from latentcrs.intent.config import EMSection
from latentcrs.recommend import load_bundle
from latentcrs.recommend.bundle import Bundle
from latentcrs.recommend.users import trained_dataset
from latentcrs.text import open_encoder
from latentcrs_lab.bench.memory import PeakMemory
from plain_em import PlainEM

OURS, PEER = "latentcrs", "plain loop"
STEPS = ("M step", "E step")
TARGET_RATIO = 10.0


@dataclass(frozen=True)
class EMBenchmark:
    """Milliseconds of one batch of each step, medians over batches that took turns, and the peak memory of each."""

    dataset: str
    preset: str
    batch: int
    batches: int
    intents: int
    negatives: int | str
    epochs: int
    milliseconds: dict[str, dict[str, float]]  # OURS or PEER -> step -> median
    encode_milliseconds: float
    """Ours alone: encoding the histories of one batch, once for all stages."""
    peak_mib: dict[str, float]
    hardware: dict[str, Any]

    @property
    def ratio(self) -> float:
        """An M and an E step of the plain loop over ours."""
        return sum(self.milliseconds[PEER].values()) / sum(self.milliseconds[OURS].values())

    @property
    def ratio_with_encoding(self) -> float:
        """The same over `epochs` of both steps, the encoding of the histories counted to ours."""
        ours = sum(self.milliseconds[OURS].values()) + self.encode_milliseconds / self.epochs
        return sum(self.milliseconds[PEER].values()) / ours

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        ratios = {"ratio": self.ratio, "ratio_with_encoding": self.ratio_with_encoding, "target_ratio": TARGET_RATIO}
        return {**asdict(self), **ratios}


def bench_em(
    bundle: str | Path, batches: int = 8, preset: str = "paper", settings: Sequence[str] = (), device: str = "auto"
) -> EMBenchmark:
    """Train `batches` batches of the EM stages of `preset` on the bundle's data, in both ways, in turns.

    Both have the same models, rows and batches; the weights are thrown away. Memory is measured in a process of its
    own for each.

    Raises:
        UserError: no bundle there, its data set is gone or without training requests, or another
            form or scheme than is compared.
    """
    config = load_config(preset, list(settings))
    if config.model.form == "full" or config.em.scheme != "variational":
        raise UserError("Compared is Algorithm 1 with model.form=factorised and em.scheme=variational.")
    opened = load_bundle(bundle, resolve_device(device).type)
    rows, seen, encoded = training_rows(opened, config, batches)
    sides = {OURS: _steps(new_em(opened, rows, config), rows, config.em)}
    plain = PlainEM(new_em(opened, rows, config), opened.behaviour, seen)
    sides[PEER] = _steps(plain.em, rows, config.em, plain)
    taken: dict[str, dict[str, list[float]]] = {side: {name: [] for name in STEPS} for side in sides}
    with step("EM steps", batches) as bar, quick_products():
        for batch in torch.arange(len(rows)).split(config.em.batch):
            for name in STEPS:
                for side, steps in sides.items():
                    began = time.perf_counter()
                    steps[name](batch)
                    if rows.S.device.type == "cuda":
                        torch.cuda.synchronize()
                    taken[side][name].append((time.perf_counter() - began) * 1000)
            bar.advance()
    return EMBenchmark(
        dataset=opened.info.dataset.name,
        preset=preset,
        batch=config.em.batch,
        batches=batches,
        intents=config.model.intents,
        negatives=config.em.negatives,
        epochs=config.em.epochs,
        # The first batch makes the optimisers' moments.
        milliseconds={
            side: {name: float(np.median(times[1:])) for name, times in of.items()} for side, of in taken.items()
        },
        encode_milliseconds=encoded / (batches + 1),
        peak_mib={side: _in_a_process(side, bundle, config, device) for side in sides},
        hardware=hardware(device),
    )


def training_rows(opened: Bundle, config: Config, batches: int) -> tuple[Rows, Histories, float]:
    """(`batches` batches of training requests and one to warm up, what S was made of, milliseconds of encoding)."""
    dataset = trained_dataset(opened.info)
    requests = dataset.requests.filter(pl.col("split") == "train")
    wanted = (batches + 1) * config.em.batch
    if len(requests) < wanted:
        raise UserError(f"{dataset.path} has {len(requests):,} training requests; {wanted:,} are wanted.")
    requests = requests.sample(wanted, shuffle=True, seed=0)
    rows = rows_of(dataset, requests, opened.behaviour, open_encoder(config.text_encoder), config.em.max_history)
    longest = opened.behaviour.config.length
    seen = rows.histories.newest(min(config.em.max_history or longest, longest))
    began = time.perf_counter()
    opened.behaviour.encode_tensor(seen)
    return rows, seen, (time.perf_counter() - began) * 1000


def new_em(opened: Bundle, rows: Rows, config: Config) -> EM:
    """New models on the bundle's V and T; as many of the S as there are intents stand for K-means' centroids."""
    torch.manual_seed(0)
    old, M = opened.generative, rows.S[: config.model.intents].clone()
    V, device = old.V.detach().clone(), rows.S.device
    inference = InferenceModel(M, V).to(device)
    generative = GenerativeModel(M, V, old.T.detach().clone(), old.log_popularity, config.model).to(device)
    counts = training_counts(trained_dataset(opened.info), device)
    return EM(inference, generative, Softmax(counts, config.em), config.em)


def _steps(
    em: EM, rows: Rows, config: EMSection, plain: PlainEM | None = None
) -> dict[str, Callable[[Tensor], None]]:
    """The two steps, each a batch with its optimiser."""
    losses = (plain or em).m_loss, (plain or em).e_loss

    def of(model: torch.nn.Module, loss: Callable[[Rows, Tensor], Tensor]) -> Callable[[Tensor], None]:
        adam = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)

        def one(batch: Tensor) -> None:
            adam.zero_grad(set_to_none=True)
            loss(rows, batch).backward()
            adam.step()

        return one

    return {
        name: of(model, loss) for name, model, loss in zip(STEPS, (em.generative, em.inference), losses, strict=True)
    }


def _in_a_process(side: str, bundle: str | Path, config: Config, device: str) -> float:
    """Peak MiB of two batches of one side, in a fresh process.

    Raises:
        UserError: it was killed, as the system does where memory ends.
    """
    new = multiprocessing.get_context("spawn")
    answer, told = new.Pipe(duplex=False)
    process = new.Process(target=_tell_peak, args=(told, side, bundle, config, device))
    with uninterrupted():  # nor is that process, ever, which is ended here and has nothing to say of it
        process.start()
    told.close()
    try:
        return float(answer.recv())
    except EOFError:
        raise UserError(f"The process of {side} was killed.") from None
    finally:
        process.kill()
        process.join()


def _tell_peak(told: Connection, side: str, bundle: str | Path, config: Config, device: str) -> None:
    told.send(_peak(side, bundle, config, device))


def _peak(side: str, bundle: str | Path, config: Config, device: str) -> float:
    opened = load_bundle(bundle, resolve_device(device).type)
    rows, seen, _ = training_rows(opened, config, 1)
    em = new_em(opened, rows, config)
    plain = PlainEM(em, opened.behaviour, seen) if side == PEER else None
    steps = _steps(em, rows, config.em, plain)
    with PeakMemory() as memory, quick_products():
        for batch in torch.arange(len(rows)).split(config.em.batch):
            for name in STEPS:
                steps[name](batch)
    return memory.mib


def main(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    batches: Annotated[int, typer.Option(min=1, max=MOST, help="How many batches are trained in each way.")] = 8,
    preset: Annotated[
        str, typer.Option(help="paper (sampled negatives) or default (the whole catalogue).")
    ] = "paper",
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting over the preset.")] = None,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """The EM stages beside a plain loop that encodes histories in every batch and holds B x K x negatives.

    Example: `python lab/scripts/em_beside_plain_loop.py models/ml-1m`
    """
    found = bench_em(bundle, batches, preset, set_ or [], device)
    report = Report(
        f"{found.dataset}, preset {found.preset}: batch {found.batch}, K {found.intents}, negatives "
        f"{found.negatives}, median of {found.batches}",
        ("", *STEPS, "peak MiB"),
        [
            (side, *(f"{found.milliseconds[side][name]:,.1f} ms" for name in STEPS), f"{found.peak_mib[side]:,.0f}")
            for side in (OURS, PEER)
        ],
        [
            f"Both steps: {found.ratio:.1f} times as fast (to reach: {TARGET_RATIO:.0f}).",
            f"With the {found.encode_milliseconds:,.1f} ms that encoding a batch's histories once takes, spread over "
            f"{found.epochs} epochs of both steps: {found.ratio_with_encoding:.1f} times.",
        ],
        hardware_line(found.hardware),
        [0] if found.ratio < TARGET_RATIO else [],
    )
    tell(found, report, as_json)


if __name__ == "__main__":
    typer.run(main)
