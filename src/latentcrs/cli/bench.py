"""`latentcrs bench`: what people wait for, measured on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from latentcrs.base.errors import UserError
from latentcrs.bench.report import Report, hardware_line, span, tell
from latentcrs.cli.options import MOST, Device, a_model

if TYPE_CHECKING:
    from latentcrs.bench.retrieve import RetrieveBenchmark
    from latentcrs.bench.serve import ServeBenchmark

NAMED = {"half": "exact", "lists": "lists"}
group = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Benchmarks: how long things take here, beside named peers. Those of training, preparing and bulk work "
    "come with latentcrs-lab.\n\nExample: latentcrs bench turn models/ml-1m",
)


@group.command()
def turn(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    turns: Annotated[int, Option(min=10, max=MOST, help="How many turns to measure.")] = 300,
    device: Device = "auto",
    as_json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Milliseconds of every step of a turn without a language model, beside the sentence encoder alone.

    Example: `latentcrs bench turn models/ml-1m`
    """
    from latentcrs.bench.turn import PEER, TARGETS, bench_turn  # late: PyTorch takes seconds

    found = bench_turn(bundle, turns, device)
    ratio = found.steps["total"][0] / found.steps[PEER][0]
    most = {name: "{:.0f} / {:.0f} ms".format(*target) for name, target in TARGETS.items()}
    report = Report(
        f"One turn on {found.dataset}, {found.turns} people",
        ("step", "p50", "p95", "to stay under"),
        [(name, f"{p50:.1f} ms", f"{p95:.1f} ms", most.get(name, "")) for name, (p50, p95) in found.steps.items()],
        [f"A turn takes {ratio:.2f} times {PEER} on the same words."],
        hardware_line(found.hardware),
        [
            number
            for number, (name, spent) in enumerate(found.steps.items())
            if any(taken > most for taken, most in zip(spent, TARGETS.get(name, spent), strict=True))
        ],
    )
    tell(found, report, as_json)


@group.command()
def retrieve(
    items: Annotated[int, Option(min=1, max=MOST, help="How many items.")] = 1_000_000,
    width: Annotated[int, Option(min=1, max=MOST, help="Width of made-up vectors.")] = 64,
    bundle: Annotated[
        Path | None, Option(help="Repeat the vectors of this bundle, and ask as its people would.")
    ] = None,
    words: Annotated[
        bool, Option("--words", help="Of the bundle: the vectors that requests are compared with.")
    ] = False,
    as_json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Milliseconds for the best 100 of many items on one thread, with rules and without, as ratios to plain NumPy.

    Builds an exact index and one with lists in a temporary folder; needs some 500 bytes of memory for each item.

    Example: `latentcrs bench retrieve --items 1000000`
    """
    from latentcrs.bench.retrieve import bench_retrieve  # late: PyTorch takes seconds

    if words and bundle is None:
        raise UserError("--words says which vectors of a bundle are meant; name one with --bundle.")
    found = bench_retrieve(items, width, bundle, words)
    tell(found, retrieve_report(found), as_json)


def retrieve_report(found: RetrieveBenchmark) -> Report:
    """The searches, and what the indexes cost."""
    from latentcrs.bench.retrieve import REPEATS, K

    return Report(
        f"The best {K} of {found.items:,} items of width {found.width}, {found.vectors}",
        ("index", "pass", "time", "CPU", "NumPy", "ratio", "recall"),
        [
            (
                NAMED[search.kind] + (" + BM25" if search.lexical else ""),
                "all" if search.share is None else f"{search.share:.1%}",
                f"{search.milliseconds:.2f} ms",
                f"{search.processor_milliseconds:.2f} ms",
                f"{search.numpy_milliseconds:.2f} ms",
                f"{search.ratio:.3f}",
                f"{search.recall:.3f}",
            )
            for search in found.searches
        ],
        [
            f"{NAMED[kind]}: {size:,.0f} MiB, {size / found.vectors_mib:.2f} times NumPy's; built in "
            f"{span(found.built[kind])}."
            for kind, size in found.sizes.items()
        ],
        f"Medians of {REPEATS} searches on one thread, by turns with NumPy (matrix product, mask, argpartition). "
        f"{hardware_line(found.hardware, found.busy)}",
    )


@group.command()
def serve(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    conversations: Annotated[int, Option(min=1, max=MOST, help="How many are held at once.")] = 200,
    turns: Annotated[int, Option(min=2, max=MOST, help="Turns of each.")] = 20,
    llm: Annotated[
        str | None,
        Option(callback=a_model, help="Use a language model: 'local', or the address of an OpenAI endpoint."),
    ] = None,
    kill: Annotated[bool, Option("--kill", help="Kill the server in the middle, and start it again.")] = False,
    pause: Annotated[
        float, Option(min=0.0, max=MOST, help="Seconds that a person takes between an answer and the next utterance.")
    ] = 0.0,
    device: Device = "auto",
    as_json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Many conversations at once with the real server: throughput, waiting, memory; nothing lost, nothing twice.

    Starts `latentcrs serve` with one worker on a store of its own. Simulated people of the test split talk with it,
    and every turn is read back at the end. Exit code 1 where anything went wrong.

    Example: `latentcrs bench serve models/ml-1m --kill`
    """
    from latentcrs.bench.serve import bench_serve  # late: PyTorch takes seconds

    found = bench_serve(bundle, conversations, turns, llm, kill, pause, device)
    tell(found, load_report(found), as_json)
    if found.faults:
        raise typer.Exit(1)


def load_report(found: ServeBenchmark) -> Report:
    """A load in a table and sentences."""
    from latentcrs.bench.serve import PEER

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
    if found.without_model is not None:
        steps = ", ".join(f"{what} {count:,}" for what, count in found.without_model.steps.items()) or "none"
        lines.append(
            f"{found.without_model.turns:,} of {found.acknowledged:,} turns went on without the language model "
            f"somewhere ({steps})."
        )
    if found.killed is not None:
        killed = found.killed
        lines.append(
            f"Killed after {killed.acknowledged:,} acknowledged turns; {killed.kept:,} were in the store. Ready "
            f"again after {span(killed.ready_seconds)}; {killed.broken_off:,} turns were asked again."
        )
    same = "" if found.otherwise is None else f", and every answer has the items that {PEER} gave"
    whole = f"No error; every acknowledged turn is in the store, once{same}; /metrics counts them all."
    lines.append(f"{'; '.join(found.faults)}." if found.faults else whole)
    took = {"as clients wait": found.waited, "in the engine": found.worked, PEER: found.peer}
    return Report(
        f"{found.conversations} conversations at once on {found.dataset}, {found.turns} turns each, one worker",
        ("a turn", "p50", "p95", "p99"),
        [
            (name, *(f"{milliseconds:,.0f} ms" for milliseconds in (spread.p50, spread.p95, spread.p99)))
            for name, spread in took.items()
        ],
        lines,
        hardware_line(found.hardware, found.busy),
    )
