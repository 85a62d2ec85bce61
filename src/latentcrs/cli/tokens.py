"""`latentcrs tokens`: what the language models were asked for, and what it took."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from latentcrs.base.progress import console, show

if TYPE_CHECKING:
    from latentcrs.llm.ledger import TokenSums


def tokens(
    ledger: Annotated[
        Path | None, Option(help="The ledger; without it, LATENTCRS_LEDGER, else the one in the cache folder.")
    ] = None,
    conversation: Annotated[str | None, Option(help="Only the calls of this conversation.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the sums as JSON.")] = False,
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
    table.add_column("for", "all")
    table.add_column("model", overflow="fold")
    counts = {"calls": "calls", "cached": "cached", "input": "input_tokens", "output": "output_tokens"}
    for heading, name in (counts | {"ms each": "", "failed": "failures"}).items():
        total = f"{sum(getattr(each, name) for each in spent):,}" if name else ""
        table.add_column(heading, total, justify="right", no_wrap=True)
    for each in spent:
        took = f"{each.milliseconds:,.0f}" if each.calls > each.cached else "–"
        cells = [*(f"{getattr(each, name):,}" for name in counts.values()), took, f"{each.failures:,}"]
        table.add_row(escape(each.purpose), escape(each.model), *cells)
    console.print(table)
