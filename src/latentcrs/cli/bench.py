"""Commands of the group 'bench': how long things take here, beside how long they should."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from latentcrs.cli import bench_bulk, bench_retrieve, bench_training
from latentcrs.cli.measured import hardware_line, span
from latentcrs.errors import UserError
from latentcrs.progress import console

if TYPE_CHECKING:
    from latentcrs.bench.serve import ServeBenchmark
    from latentcrs.bench.train import Benchmark, Stage

group = typer.Typer(
    help="Benchmarks: how long things take here.\n\nExample: `latentcrs bench train --from ml-1m`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    for command in (
        bench_retrieve.retrieve, bench_bulk.bulk, bench_bulk.embed,
        bench_training.step, bench_training.em, bench_training.quality,
    ):  # fmt: skip
        group.command(command.__name__)(command)
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


@group.command("prepare")
def prepare(
    origin: Annotated[
        Path | None, typer.Option("--from", help="Folder of the raw data; else $LATENTCRS_DATA/NAME.")
    ] = None,
    data: Annotated[str, typer.Option(help="A source of `latentcrs data list`, or `own`.")] = "ml-1m",
    interactions: Annotated[Path | None, typer.Option(help="`own`: the log.")] = None,
    items: Annotated[Path | None, typer.Option(help="`own`: the catalogue.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="About so many rows, by disjoint copies of the log.")] = 5_000_000,
    core: Annotated[int, typer.Option(min=1, help="Fewest interactions of a user and of an item.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="How often each runs.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """The k-core of a log beside pandas' straightforward loop: time and memory, each in a process of its own.

    Example: `latentcrs bench prepare --from ml-1m`
    """
    import tempfile

    from latentcrs.bench.prepare import TARGET, bench_prepare
    from latentcrs.cli.data import read_raw

    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace:
        raw = read_raw(data, origin, interactions, items, None, Path(workspace))
        found = bench_prepare(raw, rows, core, repeats)
    if as_json:
        print(json.dumps(found.as_json()))
        return
    said = f"{found.core}-core of {found.data}, {found.copies} disjoint copies: {found.rows:,} rows, {found.users:,} "
    said += f"users, {found.items:,} items"
    console.print(said, style="italic", highlight=False, markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for heading in ("ids", "rows left", "latentcrs", "pandas", "faster", "to reach", "MiB", "pandas"):
        table.add_column(heading, justify="left" if heading == "ids" else "right", no_wrap=True)
    for one in found.comparisons:
        times = (span(one.ours.seconds), span(one.pandas.seconds), f"{one.ratio:.1f} x", f"{TARGET:.0f} x")
        memory = (f"{one.ours.peak_mib:,.0f}", f"{one.pandas.peak_mib:,.0f}")
        missed = "yellow" if one.ratio < TARGET else ""
        table.add_row(one.ids, f"{one.rows_left:,}", *times, *memory, style=missed)
    console.print(table)
    line = f"Medians of {found.repeats} runs each, in turns, each in a process of its own; load average before: "
    line += f"{found.busy:.1f}. "
    console.print(line + hardware_line(found.hardware), highlight=False, markup=False, soft_wrap=True)


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


@group.command("serve")
def serve(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    conversations: Annotated[int, typer.Option(min=1, help="How many are held at once.")] = 200,
    turns: Annotated[int, typer.Option(min=2, help="Turns of each.")] = 20,
    llm_failing: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Use a language model, of whose calls this share fails."),
    ] = None,
    kill: Annotated[bool, typer.Option("--kill", help="Kill the server in the middle, and start it again.")] = False,
    pause: Annotated[
        float, typer.Option(min=0.0, help="Seconds that a person takes between an answer and the next utterance.")
    ] = 0.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Many conversations at once with the real server: throughput, waiting, memory; nothing lost, nothing twice.

    Starts `latentcrs serve` with one worker on a store of its own. Simulated people of the test split talk with it,
    and every turn is read back at the end. Exit code 1 where anything went wrong.

    Example: `latentcrs bench serve models/ml-1m --kill`
    """
    from latentcrs.bench.serve import bench_serve  # late: PyTorch takes seconds

    found = bench_serve(bundle, conversations, turns, llm_failing, kill, pause, device)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        show_load(found)
    if found.faults:
        raise typer.Exit(1)


def show_load(found: ServeBenchmark) -> None:
    """A load in a table and sentences."""
    from latentcrs.bench.serve import PEER

    said = f"{found.conversations} conversations at once on {found.dataset}, {found.turns} turns each, one worker"
    console.print(said, style="italic", highlight=False, markup=False, soft_wrap=True)
    table = Table(box=None)
    for heading in ("a turn", "p50", "p95", "p99"):
        table.add_column(heading, justify="left" if heading == "a turn" else "right", no_wrap=True)
    for name, spread in (("as clients wait", found.waited), ("in the engine", found.worked), (PEER, found.peer)):
        times = (f"{milliseconds:,.0f} ms" for milliseconds in (spread.p50, spread.p95, spread.p99))
        table.add_row(name, *times, style="bold" if spread is found.waited else "")
    console.print(table)
    lines = [
        f"{found.acknowledged:,} turns in {span(found.seconds)}: {found.per_second:.1f} a second, {found.ratio:.2f} "
        f"times {PEER}, one after the other in one process ({found.peer_per_second:.1f} a second).",
        f"Live after {span(found.live_seconds)}, ready after {span(found.ready_seconds)}; "
        f"at most {found.peak_mib:,.0f} MiB.",
    ]
    if found.processor is not None:
        lines.append(
            f"Processor time of a turn: {found.processor:.0f} ms in the server, {found.peer_processor:.0f} ms in "
            f"{PEER}."
        )
    if found.pause:
        lines.append(f"People took {found.pause:g} seconds between an answer and what they said next.")
    if found.model is not None:
        model, turns = found.model, found.acknowledged
        failed = ", ".join(f"{count:,} {how}" for how, count in model.calls.items())
        lines.append(f"Language model: {model.made:,} calls, {model.failed:,} failed ({failed}).")
        without = ", ".join(f"{what} {count:,}" for what, count in model.without.items()) or "none"
        lines.append(f"{model.turns_without:,} of {turns:,} turns went on without it somewhere ({without}).")
    if found.killed is not None:
        killed = found.killed
        lines.append(
            f"Killed after {killed.acknowledged:,} acknowledged turns; {killed.kept:,} were in the store. Ready "
            f"again after {span(killed.ready_seconds)}; {killed.broken_off:,} turns were asked again."
        )
    same = "" if found.otherwise is None else f", and every answer has the items that {PEER} gave"
    whole = f"No error; every acknowledged turn is in the store, once{same}; /metrics counts them all."
    lines.append(f"{'; '.join(found.faults)}." if found.faults else whole)
    lines.append(f"{hardware_line(found.hardware)} Load average before: {found.busy:.1f}.")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


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
