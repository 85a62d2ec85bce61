"""What one training step costs as the catalogue grows, under each softmax.

python lab/scripts/training_step.py [--sizes 3000 --sizes 300000] [--repeats 5] [--json]
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import numpy as np
import torch
import typer

from latentcrs.base.device import quick_products, resolve_device
from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.behaviour import TrainingConfig
from latentcrs.behaviour.sasrec import SASRec, SASRecConfig
from latentcrs.behaviour.softmax import Proposal
from latentcrs.behaviour.training import descend, optimizers_of
from latentcrs.bench.machine import hardware
from latentcrs.bench.report import Report, hardware_line, tell
from latentcrs.cli.options import MOST, Device
from latentcrs.data import Histories
from latentcrs.intent import EM, GenerativeModel, InferenceModel, Rows, Softmax, load_config
from latentcrs_lab.bench.memory import PeakMemory

SIZES = (3_000, 30_000, 300_000, 3_000_000)
FULL_MOST = 50_000
"""Items up to which the full softmax is timed, the default's limit: ten times as many take minutes a step."""
FULL, DENSE, SAMPLED, STAGES = "full softmax", "sampled, dense gradients", "sampled", "EM, an M and an E step"
"""What is timed. The second is the peer: the same loss with the gradients and the Adam of PyTorch's defaults."""
TEXT_WIDTH = 384


@dataclass(frozen=True)
class Curve:
    """One way of training: the median milliseconds of a step at every number of items, all taken in turns."""

    name: str
    milliseconds: dict[int, float]
    peak_mib: float

    @property
    def growth(self) -> float:
        """A step on the largest catalogue over one on the smallest."""
        return self.milliseconds[max(self.milliseconds)] / self.milliseconds[min(self.milliseconds)]


@dataclass
class StepBenchmark:
    """A curve for every way of training."""

    sizes: tuple[int, ...]
    repeats: int
    hardware: dict[str, Any]
    curves: list[Curve] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        curves = [{**asdict(curve), "growth": curve.growth} for curve in self.curves]
        return {"sizes": self.sizes, "repeats": self.repeats, "hardware": self.hardware, "curves": curves}


def bench_step(sizes: Sequence[int] = SIZES, repeats: int = 5, device: str = "auto") -> StepBenchmark:
    """Time steps of the default SASRec (128 windows of 50 items) and of the default EM stages (480 requests).

    Item numbers are synthetic, chosen as often as Zipf's law says: no catalogue of every size is at hand, and what a
    step computes does not depend on what they stand for. The sizes take turns within each way of training.

    Raises:
        UserError: a size that is too small to sample from, no such device, or psutil is missing.
    """
    if min(sizes) < 1000:
        raise UserError(f"--sizes: {min(sizes)} items are fewer than 1,000, and the sampled softmax draws 2,048.")
    place = resolve_device(device)
    found = StepBenchmark(tuple(sizes), repeats, hardware(device))
    ways: list[tuple[str, Callable[[int], Callable[[], None]]]] = [
        (FULL, lambda items: encoder_step(items, "full", place)),
        (DENSE, lambda items: encoder_step(items, "sampled", place, dense=True)),
        (SAMPLED, lambda items: encoder_step(items, "sampled", place)),
        (STAGES, lambda items: em_step(items, place)),
    ]
    with step("training steps", sum(len(_sizes(name, sizes)) for name, _ in ways) * (repeats + 1)) as bar:
        for name, make in ways:
            chosen = _sizes(name, sizes)
            if not chosen:
                continue
            with PeakMemory() as memory, quick_products():
                steps = {items: make(items) for items in chosen}
                taken: dict[int, list[float]] = {items: [] for items in chosen}
                for _ in range(repeats + 1):  # the first makes the optimiser's moments
                    for items, one in steps.items():
                        taken[items].append(_timed(one, place))
                        bar.advance()
            medians = {items: float(np.median(times[1:])) for items, times in taken.items()}
            found.curves.append(Curve(name, medians, memory.mib))
            del steps, one
            gc.collect()
    return found


def _sizes(name: str, sizes: Sequence[int]) -> list[int]:
    return [items for items in sizes if name != FULL or items <= FULL_MOST]


def _timed(one: Callable[[], None], device: torch.device) -> float:
    """Milliseconds of one step, the device's work included."""
    began = time.perf_counter()
    one()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) * 1000


def zipf_counts(items: int) -> torch.Tensor:
    """How often each item is chosen, (items,), by Zipf's law, in no order."""
    return (items / torch.randperm(items).add(1)).long()


def encoder_step(items: int, loss: str, device: torch.device, dense: bool = False) -> Callable[[], None]:
    """A step of the default SASRec on another batch each time. dense: with a gradient as long as the catalogue."""
    torch.manual_seed(items)
    counts = zipf_counts(items)
    config = SASRecConfig.model_validate({"loss": loss})
    network = SASRec(items, config, counts)
    network.embedding.sparse = network.embedding.sparse and not dense
    network.to(device).train()
    optimizers, chosen = optimizers_of(network, 1e-3), Proposal(counts)
    shape = (TrainingConfig().batch, config.length)

    def one() -> None:
        drawn = chosen.draw(2 * shape[0] * shape[1])
        tokens, targets = drawn[torch.randperm(len(drawn))].view(2, *shape)
        descend(network, optimizers, tokens, targets)

    return one


def em_step(items: int, device: torch.device) -> Callable[[], None]:
    """An M step and an E step of the default preset on one batch of requests, the items' vectors given."""
    torch.manual_seed(items)
    config = load_config("default")
    em = config.em.model_copy(update={"full_softmax_items": 0})
    counts, width, rows = zipf_counts(items), SASRecConfig().width, 10 * em.batch
    V, T = torch.randn(items, width, device=device), torch.randn(items, TEXT_WIDTH, device=device)
    M = torch.randn(config.model.intents, width, device=device)
    inference = InferenceModel(M, V).to(device)
    generative = GenerativeModel(M, V, T, torch.log(counts + 1.0).to(device), config.model).to(device)
    both = EM(inference, generative, Softmax(counts.to(device), em), em)
    drawn = Proposal(counts).draw(rows).to(device)
    train = Rows(
        torch.randn(rows, width, device=device), torch.randn(rows, TEXT_WIDTH, device=device),
        torch.arange(rows, device=device), drawn, Histories.from_lists([[]] * rows),
    )  # fmt: skip
    optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-3) for model in (generative, inference)]

    def one() -> None:
        batch = torch.randint(rows, (em.batch,), device=device)
        for optimizer, loss in zip(optimizers, (both.m_loss, both.e_loss), strict=True):
            optimizer.zero_grad(set_to_none=True)
            loss(train, batch).backward()
            optimizer.step()

    return one


def main(
    sizes: Annotated[list[int] | None, typer.Option(min=1, help="A number of items; several.")] = None,
    repeats: Annotated[int, typer.Option(min=1, max=MOST, help="Steps of each, after one to warm up.")] = 5,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """What one training step costs as the catalogue grows: full softmax, sampled softmax, EM stages.

    Item numbers are synthetic. The largest default size takes about 7 GB.

    Example: `python lab/scripts/training_step.py --sizes 3000 --sizes 300000`
    """
    items = sorted(set(sizes or SIZES))
    found = bench_step(items, repeats, device)
    report = Report(
        f"One training step, milliseconds by number of items (median of {repeats}; synthetic item numbers)",
        ("", *(f"{size:,}" for size in items), "last / first", "peak MiB"),
        [
            (
                curve.name,
                *(f"{curve.milliseconds[size]:,.0f}" if size in curve.milliseconds else "–" for size in items),
                f"{curve.growth:.1f}",
                f"{curve.peak_mib:,.0f}",
            )
            for curve in found.curves
        ],
        conditions=hardware_line(found.hardware),
    )
    tell(found, report, as_json)


if __name__ == "__main__":
    typer.run(main)
