"""The `latentcrs` command: collects the command groups and turns a user's mistake into one line and exit code 2."""

from __future__ import annotations

import importlib
import os
import sys

import typer
from rich.markup import escape

from latentcrs.errors import UserError
from latentcrs.progress import err_console

app = typer.Typer(
    name="latentcrs",
    help="A conversational recommender that knows what people did and hears what they say.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
# OpenMP threads that wait by spinning make two training runs on one machine 20 to 40 times slower than one; sleeping
# costs a run that is alone a few percent. Must be set before PyTorch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

INTERRUPTED = 130
# One file per group; each has register(app), which adds its commands.
GROUPS = (
    *("data", "simulate", "embed", "train", "evaluate", "intents", "chat", "bench", "demo", "models", "tokens"),
    *("serve", "mcp", "recommend_all"),
)
for group in GROUPS:
    importlib.import_module(f"latentcrs.cli.{group}").register(app)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except UserError as error:
        err_console.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, markup=True, soft_wrap=True)
        sys.exit(2)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # Typer has turned Ctrl-C into it
            err_console.print("\nstopped; what was finished is kept, and the same command goes on from there.")
        raise
