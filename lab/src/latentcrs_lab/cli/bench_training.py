"""`latentcrs-lab bench step`: what a step of training costs."""

from __future__ import annotations

from typing import Annotated

import typer

from latentcrs.bench.report import Report
from latentcrs.cli.measured import hardware_line, tell
from latentcrs.cli.options import MOST, Device
from latentcrs_lab.cli.numbers import numbers


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
