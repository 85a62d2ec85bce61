"""`latentcrs bench`: what people wait for, measured on this machine."""

from __future__ import annotations

import typer

from latentcrs.cli import bench_retrieve, bench_turns

group = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Benchmarks: how long things take here, beside named peers. Those of training, preparing and bulk work "
    "come with latentcrs-lab.\n\nExample: latentcrs bench turn models/ml-1m",
)
for command in (bench_turns.turn, bench_retrieve.retrieve, bench_turns.serve):
    group.command()(command)
