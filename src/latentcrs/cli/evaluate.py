"""`latentcrs evaluate`: how well a bundle does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(
    help="Measure a bundle beside what it must beat.\n\nExample: latentcrs evaluate one-turn models/ml-1m",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.add_typer(group, name="evaluate")


@group.command("one-turn")
def one_turn(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    split: Annotated[str, typer.Option(help="test or valid.")] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    dataset: Annotated[Path | None, typer.Option(help="Where the data set lies, if it was moved.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Recall and NDCG at 5 and 20 of every system on the same requests, with intervals and a paired test.

    Example: latentcrs evaluate one-turn models/ml-1m --json
    """
    from latentcrs.evaluate import evaluate_one_turn, markdown, print_table  # late: PyTorch takes seconds

    result = evaluate_one_turn(bundle, split, dataset, device)
    if as_json:
        print(json.dumps(result.as_json()))
    elif as_markdown:
        print(markdown(result))
    else:
        print_table(result)
