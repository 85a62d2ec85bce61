"""`latentcrs-lab bench`: how long things take, beside named peers; `latentcrs-lab report` runs all of them."""

from __future__ import annotations

import typer

from latentcrs_lab.cli import bench_bulk, bench_stages

group = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="How long things take here, beside named peers.\n\nExample: `latentcrs-lab bench bulk models/ml-1m`",
)
COMMANDS = (bench_stages.prepare, bench_stages.train, bench_bulk.embed, bench_bulk.bulk)


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    for command in COMMANDS:
        group.command(command.__name__)(command)
    app.add_typer(group, name="bench")
