"""The `latentcrs-lab` command: what the paper did, again and beside others, and how long things take."""

from __future__ import annotations

import typer

from latentcrs.cli.main import run
from latentcrs_lab.cli import bench, paper, report

app = typer.Typer(
    name="latentcrs-lab",
    help="The laboratory of LatentCRS: every table and figure, and benchmarks beside named peers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for group in (report, paper, bench):
    group.register(app)


def main() -> None:
    """Run the command line."""
    run(app)
