"""`latentcrs tokens`: what the language models were asked for, and what it took."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentcrs.base.progress import console, show

if TYPE_CHECKING:
    from latentcrs.llm.ledger import TokenSums


def tokens(
    ledger: Annotated[
        Path | None, typer.Option(help="The ledger; without it, LATENTCRS_LEDGER, else the one in the cache folder.")
    ] = None,
    conversation: Annotated[str | None, typer.Option(help="Only the calls of this conversation.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the sums as JSON.")] = False,
) -> None:
    """Sum the calls of the language models, by what they were for and by model.

    Example: latentcrs tokens --conversation 4f1c
    """
    from latentcrs.base.errors import UserError
    from latentcrs.llm.ledger import Ledger

    book = Ledger(ledger)
    if ledger is not None and not ledger.exists():
        raise UserError(f"There is no ledger {ledger}.")
    spent = book.spent(conversation)
    if as_json:
        print(json.dumps({"ledger": str(book.path), "spent": [asdict(each) for each in spent]}))
    elif spent:
        _print(spent)
    else:
        whose = f" for the conversation {conversation}" if conversation is not None else ""
        show(f"No calls of a language model are recorded{whose} in {book.path}.")


def _print(spent: list[TokenSums]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=len(spent) > 1)
    whole = [
        sum(each.calls for each in spent),
        sum(each.cached for each in spent),
        sum(each.input_tokens for each in spent),
        sum(each.output_tokens for each in spent),
    ]
    failures = sum(each.failures for each in spent)
    table.add_column("for", "all")
    table.add_column("model", overflow="fold")
    for heading, total in zip(("calls", "cached", "input", "output"), whole, strict=True):
        table.add_column(heading, f"{total:,}", justify="right", no_wrap=True)
    table.add_column("ms each", justify="right", no_wrap=True)
    table.add_column("failed", f"{failures:,}", justify="right", no_wrap=True)
    for each in spent:
        table.add_row(
            escape(each.purpose),
            escape(each.model),
            f"{each.calls:,}",
            f"{each.cached:,}",
            f"{each.input_tokens:,}",
            f"{each.output_tokens:,}",
            f"{each.milliseconds:,.0f}" if each.calls > each.cached else "–",
            f"{each.failures:,}",
        )
    console.print(table)
