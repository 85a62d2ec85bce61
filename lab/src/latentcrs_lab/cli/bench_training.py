"""Commands of the group 'bench' about training: what a step costs, EM beside a plain loop, SASRec beside a peer."""

from __future__ import annotations

import statistics
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from latentcrs.bench.report import Report
from latentcrs.cli.measured import hardware_line, tell
from latentcrs.cli.options import MOST, Device
from latentcrs_lab.cli.numbers import numbers


class FirstVectors(StrEnum):
    """Where an item table begins (`behaviour.network.first_vectors`)."""

    random = "random"
    svd = "svd"


def step(
    sizes: Annotated[str, typer.Option(help="Numbers of items, with commas between.")] = "3000,30000,300000,3000000",
    repeats: Annotated[int, typer.Option(min=1, max=MOST, help="Steps of each, after one to warm up.")] = 5,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """What one training step costs as the catalogue grows: full softmax, sampled softmax, EM stages.

    Item numbers are synthetic. The largest default size takes about 7 GB.

    Example: `latentcrs-lab bench step --sizes 3000,300000`
    """
    from latentcrs_lab.bench.step_cost import bench_step  # late: PyTorch takes seconds

    items = sorted(set(numbers("--sizes", sizes)))
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


def em(
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

    Example: `latentcrs-lab bench em models/ml-1m`
    """
    from latentcrs_lab.bench.em import OURS, PEER, STEPS, TARGET_RATIO, bench_em  # late: PyTorch takes seconds

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


def quality(
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

    Example: `latentcrs-lab bench quality data/ml-100k --peer-python peer/bin/python`
    """
    from latentcrs_lab.bench.quality import (  # late: PyTorch takes seconds
        OURS,
        PEER,
        SHARE,
        TARGET_RATIO,
        bench_quality,
    )

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
