"""`latentcrs-lab bench`: the whole suite of benchmarks; each alone is a command of this group."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from latentcrs.base.errors import UserError
from latentcrs.base.progress import console, show
from latentcrs_lab.cli import bench_bulk, bench_stages

group = typer.Typer(rich_markup_mode="markdown")
COMMANDS = (bench_stages.prepare, bench_stages.train, bench_bulk.embed, bench_bulk.bulk)


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    for command in COMMANDS:
        group.command(command.__name__)(command)
    app.add_typer(group, name="bench")


@group.callback(invoke_without_command=True)
def suite(
    context: typer.Context,
    bundle: Annotated[Path | None, typer.Option(help="A model bundle; its data set has to be there too.")] = None,
    page: Annotated[Path, typer.Option(help="The Markdown page; JSON and pictures go beside it.")] = Path(
        "benchmarks.md"
    ),
    only: Annotated[str, typer.Option(help="Parts, with commas between; all by default.")] = "",
    again: Annotated[bool, typer.Option("--again", help="Repeat what is done already.")] = False,
) -> None:
    """Benchmarks: how long things take here, beside named peers.

    Without a command: all of them, one after the other (more than an hour on two cores), to one page with pictures.
    Stop it at any time: the same command goes on from there. The raw data is read from $LATENTCRS_DATA.

    Example: `latentcrs-lab bench --bundle models/ml-1m --page benchmarks.md`
    """
    if context.invoked_subcommand is not None:
        return
    if bundle is None:
        console.print(context.get_help(), highlight=False, markup=False)
        raise typer.Exit(2)
    from latentcrs.recommend.bundle import read_manifest  # late: PyTorch takes seconds
    from latentcrs.recommend.users import trained_dataset
    from latentcrs_lab.bench.suite import PARTS, run_suite, runs_of

    parts = [part.strip() for part in only.split(",") if part.strip()] or list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        raise UserError(f"--only: there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}.")
    dataset = trained_dataset(read_manifest(bundle))
    home = os.environ.get("LATENTCRS_DATA")
    if {"prepare", "train"} & set(parts) and not (home and (Path(home) / dataset.info.name).is_dir()):
        raise UserError(
            f"The parts prepare and train read the raw data of {dataset.info.name}: put its folder into "
            "$LATENTCRS_DATA, or choose other parts with --only."
        )
    runs = runs_of(str(bundle), os.path.relpath(dataset.path), dataset.info.name)
    failed = run_suite([run for run in runs if run.part in parts], page, again)
    show(f"Wrote {page}.")
    if failed:
        raise UserError(f"{len(failed)} of the benchmarks failed: {' '.join(failed)}")
