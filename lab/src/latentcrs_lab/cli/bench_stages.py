"""`latentcrs-lab bench prepare` and `latentcrs-lab bench train`: from raw files to a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentcrs.base.errors import UserError
from latentcrs.bench.report import Report, hardware_line, span, tell
from latentcrs.cli.options import MOST, Device

if TYPE_CHECKING:
    from latentcrs_lab.bench.train import Stage


def prepare(
    origin: Annotated[
        Path | None, typer.Option("--from", help="Folder of the raw data; else $LATENTCRS_DATA/NAME.")
    ] = None,
    data: Annotated[str, typer.Option(help="A source of `latentcrs data list`, or `own`.")] = "ml-1m",
    interactions: Annotated[Path | None, typer.Option(help="`own`: the log.")] = None,
    items: Annotated[Path | None, typer.Option(help="`own`: the catalogue.")] = None,
    rows: Annotated[
        int, typer.Option(min=1, max=MOST, help="About so many rows, by disjoint copies of the log.")
    ] = 5_000_000,
    core: Annotated[int, typer.Option(min=1, max=MOST, help="Fewest interactions of a user and of an item.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, max=MOST, help="How often each runs.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """The k-core of a log beside pandas' straightforward loop: time and memory, each in a process of its own.

    Example: `latentcrs-lab bench prepare --from ml-1m`
    """
    import tempfile

    from latentcrs.cli.raw import read_raw
    from latentcrs_lab.bench.prepare import TARGET, bench_prepare

    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace:
        raw = read_raw(data, origin, interactions, items, None, Path(workspace))
        found = bench_prepare(raw, rows, core, repeats)
    report = Report(
        f"{found.core}-core of {found.data}, {found.copies} disjoint copies: {found.rows:,} rows, "
        f"{found.users:,} users, {found.items:,} items",
        ("ids", "rows left", "latentcrs", "pandas", "faster", "to reach", "MiB", "pandas"),
        [
            (
                one.ids,
                f"{one.rows_left:,}",
                span(one.ours.seconds),
                span(one.pandas.seconds),
                f"{one.ratio:.1f} x",
                f"{TARGET:.0f} x",
                f"{one.ours.peak_mib:,.0f}",
                f"{one.pandas.peak_mib:,.0f}",
            )
            for one in found.comparisons
        ],
        conditions=f"Medians of {found.repeats} runs each, in turns, each in a process of its own. "
        f"{hardware_line(found.hardware, found.busy)}",
        missed=[number for number, one in enumerate(found.comparisons) if one.ratio < TARGET],
    )
    tell(found, report, as_json)


def train(
    origin: Annotated[
        Path | None, typer.Option("--from", help="Folder of the raw data; else $LATENTCRS_DATA/NAME.")
    ] = None,
    data: Annotated[str, typer.Option(help="A source of `latentcrs data list`.")] = "ml-1m",
    preset: Annotated[str, typer.Option(help="default or paper.")] = "default",
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting over the preset.")] = None,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Seconds and peak memory of every stage of training, from raw files to an answer.

    Runs in temporary folders and trains anew; only the text cache is yours, so a second run starts warm.

    Example: `latentcrs-lab bench train --from ml-1m`
    """
    from latentcrs_lab.bench.train import bench_train  # late: PyTorch takes seconds

    if origin is None:
        home = os.environ.get("LATENTCRS_DATA")
        if not home:
            raise UserError("'bench train' wants --from FOLDER, or a folder of the data's name in $LATENTCRS_DATA.")
        origin = Path(home) / data
    found = bench_train(data, origin, preset, set_ or [], device)
    report = Report(
        f"Training on {found.data}",
        ("stage", "time", "target", "peak MiB", "target", ""),
        [
            (
                stage.name,
                span(stage.seconds),
                "" if stage.target_seconds is None else f"< {span(stage.target_seconds)}",
                f"{stage.peak_mib:,.0f}",
                "" if stage.target_mib is None else f"< {stage.target_mib:,.0f}",
                stage.note,
            )
            for stage in found.stages
        ],
        conditions=f"{hardware_line(found.hardware)} Targets are for MovieLens-1M on 2 cores.",
        missed=[number for number, stage in enumerate(found.stages) if missed(stage)],
    )
    tell(found, report, as_json)


def missed(stage: Stage) -> bool:
    """Whether a stage took more than its target."""
    late = stage.target_seconds is not None and stage.seconds > stage.target_seconds
    return late or (stage.target_mib is not None and stage.peak_mib > stage.target_mib)
