"""Commands of the group 'bench': how long things take here, beside how long they should."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from latentcrs.errors import UserError
from latentcrs.progress import console

if TYPE_CHECKING:
    from latentcrs.bench.train import Benchmark, Stage

group = typer.Typer(
    help="Benchmarks: how long things take here.\n\nExample: `latentcrs bench train --from ml-1m`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.add_typer(group, name="bench")


@group.command("train")
def train(
    origin: Annotated[
        Path | None, typer.Option("--from", help="Folder of the raw data; else $LATENTCRS_DATA/NAME.")
    ] = None,
    data: Annotated[str, typer.Option(help="A source of `latentcrs data list`.")] = "ml-1m",
    preset: Annotated[str, typer.Option(help="default or paper.")] = "default",
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting over the preset.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Seconds and peak memory of every stage of training, from raw files to an answer.

    Runs in temporary folders and trains anew; only the text cache is yours, so a second run starts warm.

    Example: `latentcrs bench train --from ml-1m`
    """
    from latentcrs.bench.train import bench_train  # late: PyTorch takes seconds

    if origin is None:
        home = os.environ.get("LATENTCRS_DATA")
        if not home:
            raise UserError("'bench train' wants --from FOLDER, or a folder of the data's name in $LATENTCRS_DATA.")
        origin = Path(home) / data
    found = bench_train(data, origin, preset, set_ or [], device)
    if as_json:
        print(json.dumps(found.as_json()))
        return
    console.print(table_of(found))
    line = f"{hardware_line(found.hardware)} Targets are for MovieLens-1M on 2 cores."
    console.print(line, highlight=False, markup=False, soft_wrap=True)


@group.command("turn")
def turn(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    turns: Annotated[int, typer.Option(min=10, help="How many turns to measure.")] = 300,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Milliseconds of every step of a turn without a language model, beside the sentence encoder alone.

    Example: `latentcrs bench turn models/ml-1m`
    """
    from latentcrs.bench.turn import PEER, TARGETS, bench_turn  # late: PyTorch takes seconds

    found = bench_turn(bundle, turns, device)
    if as_json:
        print(json.dumps(found.as_json()))
        return
    table = Table(title=f"One turn on {found.dataset}, {found.turns} people", title_justify="left", box=None)
    for heading in ("step", "p50", "p95", "to stay under"):
        table.add_column(heading, justify="left" if heading == "step" else "right", no_wrap=True)
    for name, (p50, p95) in found.steps.items():
        target = TARGETS.get(name)
        under = "" if target is None else f"{target[0]:.0f} / {target[1]:.0f} ms"
        table.add_row(name, f"{p50:.1f} ms", f"{p95:.1f} ms", under, style="bold" if name == "total" else "")
    console.print(table)
    ratio = found.steps["total"][0] / found.steps[PEER][0]
    console.print(f"A turn takes {ratio:.2f} times {PEER} on the same words.", highlight=False)
    here = found.hardware
    console.print(
        f"{here['cpu']}, {here['cores']} cores, PyTorch {here['torch']}, on {here['device']}.", highlight=False
    )


def table_of(found: Benchmark) -> Table:
    """The stages, with targets where there are any."""
    table = Table(title=f"Training on {found.data}", title_justify="left", box=None, pad_edge=False)
    for heading in ("stage", "time", "target", "peak MiB", "target"):
        table.add_column(heading, justify="left" if heading == "stage" else "right", no_wrap=True)
    table.add_column("", style="dim", overflow="fold")
    for stage in found.stages:
        table.add_row(
            stage.name,
            span(stage.seconds),
            "" if stage.target_seconds is None else f"< {span(stage.target_seconds)}",
            f"{stage.peak_mib:,.0f}",
            "" if stage.target_mib is None else f"< {stage.target_mib:,.0f}",
            escape(stage.note),
            style="yellow" if missed(stage) else "",
        )
    return table


def missed(stage: Stage) -> bool:
    """Whether a stage took more than its target."""
    late = stage.target_seconds is not None and stage.seconds > stage.target_seconds
    return late or (stage.target_mib is not None and stage.peak_mib > stage.target_mib)


def span(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def hardware_line(here: Mapping[str, Any]) -> str:
    """What the figures hold for."""
    return (
        f"{here['cpu']}, {here['cores']} cores ({here['threads']} threads), PyTorch {here['torch']}, "
        f"on {here['device']}."
    )
