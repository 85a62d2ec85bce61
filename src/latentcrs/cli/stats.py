"""`latentcrs stats`: what came of conversations, day by day, and bundle beside bundle."""

from pathlib import Path
from typing import Annotated

from rich.markup import escape
from rich.table import Table
from typer import Argument, Option

from latentcrs.base.progress import console
from latentcrs.cli.options import a_kept_store

COUNTS = ("conversations", "asked", "nothing", "relaxed", "undecided", "shown", "accepted", "opened", "bought")


def stats(
    db: Annotated[str, Argument(callback=a_kept_store, help="The servers' store: a file, or postgresql://…")],
    days: Annotated[int, Option(min=1, max=3650, help="The last days, today among them.")] = 14,
    owner: Annotated[str | None, Option(help="Only what was asked with keys of this name.")] = None,
    words: Annotated[int, Option(min=0, max=1000, help="What could not be given, in people's words.")] = 0,
    as_json: Annotated[bool, Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Count what was asked, found nothing or was relaxed, what was shown, taken, opened and bought, by day, and the
    share of conversations that ended with an item, by bundle. No words unless --words says how many.

    Example: latentcrs stats shop.sqlite --days 30
    """
    from latentcrs.converse.statistics import statistics
    from latentcrs.store.conversations import ConversationStore

    found = statistics(ConversationStore(db), days, owner, words)
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("day")
    for name in COUNTS:
        table.add_column(name, justify="right")
    for day in found.days:
        table.add_row(str(day.day), *(f"{getattr(day, name):,}" for name in COUNTS))
    table.add_row("all", *(f"{sum(getattr(day, name) for day in found.days):,}" for name in COUNTS), style="bold")
    console.print(table)
    for one in found.shares:
        ended = f"{one.successful:,} of {one.conversations:,} conversations ended with an item"
        share = f"{one.share:.1%} ({one.low:.1%} to {one.high:.1%})"
        console.print(f"{escape(Path(one.bundle).name)}: {ended}, {share}", highlight=False)
    for two in found.differences:
        less = f"{escape(Path(two.bundle).name)} less {escape(Path(two.than).name)}: {two.difference:+.1%}"
        console.print(f"{less} ({two.low:+.1%} to {two.high:+.1%})", highlight=False)
    for said, count in found.unmet.items():
        console.print(f"{count:>6,}  {escape(said)}", highlight=False)
