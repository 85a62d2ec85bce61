"""`latentcrs models`: which text models are at hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from latentcrs.progress import console

group = typer.Typer(
    help="Text models: which are at hand.\n\nExample: `latentcrs models list`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.add_typer(group, name="models")


@group.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the text encoders that need no network, as `--encoder` takes them.

    A model folder of yours works as well: give its path.

    Example: `latentcrs models list`
    """
    from latentcrs.language.at_hand import encoders_at_hand

    encoders = encoders_at_hand()
    if as_json:
        typer.echo(json.dumps([asdict(encoder) for encoder in encoders], indent=2))
        return
    table = Table("encoder", "width", "terms", "where", box=None)
    for encoder in encoders:
        table.add_row(encoder.spec, str(encoder.width or "?"), encoder.terms, encoder.where)
    console.print(table)
