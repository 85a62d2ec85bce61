"""`latentcrs models`: which text models are at hand, and the embedded language model, fetched."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from latentcrs.base.progress import console

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
    """List the models that need no network: text encoders, as `--encoder` takes them, and the language model.

    A model folder of yours works as an encoder: give its path. Other language models are named by their address.

    Example: `latentcrs models list`
    """
    from latentcrs.llm.embedded import language_model_at_hand
    from latentcrs.text.at_hand import encoders_at_hand

    encoders, language_model = encoders_at_hand(), language_model_at_hand()
    if as_json:
        listed = [{"kind": "encoder", **asdict(encoder)} for encoder in encoders]
        typer.echo(json.dumps([*listed, {"kind": "language model", **asdict(language_model)}], indent=2))
        return
    table = Table("encoder", "width", "terms", "where", box=None)
    for encoder in encoders:
        table.add_row(encoder.spec, str(encoder.width or "?"), encoder.terms, encoder.where)
    console.print(table)
    console.print()
    table = Table("language model", "ready", "terms", "where", box=None)
    table.add_row(
        language_model.spec,
        "yes" if language_model.ready else "no",
        language_model.terms,
        language_model.where or "not fetched: latentcrs models fetch",
    )
    console.print(table)


@group.command("fetch")
def fetch_model() -> None:
    """Fetch the embedded language model (93 MB, once), so that nothing later waits for it.

    Example: `latentcrs models fetch`
    """
    from latentcrs.base.progress import step
    from latentcrs.llm.embedded import TERMS, fetch_smollm2, require_runtime

    require_runtime()
    with step("fetch"):
        path = fetch_smollm2()
    console.print(f"{path} ({TERMS})", highlight=False, markup=False, soft_wrap=True)
