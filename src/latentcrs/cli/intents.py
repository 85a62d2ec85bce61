"""`latentcrs intents`: what each intent of a bundle is about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from latentcrs.base.errors import UserError
from latentcrs.cli.options import MOST, Device

if TYPE_CHECKING:
    from latentcrs.evaluate.intents import IntentsReport

SHOWN = 20


def intents(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    everything: Annotated[bool, Option("--all", help=f"All intents, not the {SHOWN} largest.")] = False,
    intent: Annotated[int | None, Option(min=0, max=MOST, help="One intent in detail, by its number.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print all intents as JSON.")] = False,
    split: Annotated[str, Option(help="Whose requests to count: train, valid or test.")] = "train",
    by: Annotated[str | None, Option(help="The category column to tell intents apart by.")] = None,
    dataset: Annotated[Path | None, Option(help="Where the data set lies, if it was moved.")] = None,
    device: Device = "auto",
) -> None:
    """What each intent is about: its items, the words people used while it was active, its size.

    Example: latentcrs intents models/ml-1m --intent 3
    """

    from latentcrs.evaluate.intents import describe_intents  # late: PyTorch takes seconds
    from latentcrs.recommend import load_bundle

    report = describe_intents(load_bundle(bundle, device), dataset, split, by)
    if intent is not None and not 0 <= intent < len(report.intents):
        raise UserError(f"--intent {intent}: this bundle has the intents 0 to {len(report.intents) - 1}.")
    if as_json:
        found = report.as_json()
        if intent is not None:
            found["intents"] = [one for one in found["intents"] if one["number"] == intent]
        print(json.dumps(found))
    elif intent is not None:
        _print_one(report, intent)
    else:
        _print_table(report, len(report.intents) if everything else SHOWN)


def _print_table(report: IntentsReport, most: int) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from latentcrs.base.progress import console, show
    from latentcrs.evaluate.intent_categories import shortened

    shown = report.by_size[:most]
    table = Table(
        title=escape(f"{len(shown)} of {len(report.intents)} intents of {report.dataset}"),
        title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False,
    )  # fmt: skip
    for heading in ("intent", "users", "requests"):
        table.add_column(heading, justify="right")
    for heading, ratio in (("about", 2), ("items", 3), ("words used", 2)):
        table.add_column(heading, ratio=ratio)
    for intent in shown:
        items, words = "; ".join(shortened(title, 40) for title in intent.items[:4]), ", ".join(intent.words[:6])
        shares = _percent(intent.users), _percent(intent.requests)
        table.add_row(str(intent.number), *shares, *map(escape, (intent.name, items, words)))
    console.print(table)
    for line in _footnotes(report):
        show(line)


def _print_one(report: IntentsReport, number: int) -> None:
    from latentcrs.base.progress import show

    intent = report.intents[number]

    show(f"Intent {number}: {intent.name}", "bold")
    if intent.users is not None:
        said = "" if intent.requests is None else f", {_percent(intent.requests)} of {report.split} requests"
        show(f"{_percent(intent.users)} of users{said}")
    for heading, texts in (
        ("Items", intent.items),
        ("Words used", [", ".join(intent.words)] if intent.words else []),
        ("Requests it is most active in", intent.examples),
        ("Nearest intents", [f"{other}: {report.intents[other].name}" for other in intent.nearest]),
    ):
        if texts:
            show(f"\n{heading}", "bold")
            for text in texts:
                show(f"  {text}")
    for note in report.notes:
        show(f"\n{note}")


def _footnotes(report: IntentsReport) -> list[str]:
    lines = list(report.notes)
    if report.agreement is not None:
        lines.append(
            f"Of an intent's top items, {report.agreement.share:.0%} share their most common value of "
            f"{report.column}; {report.agreement.shuffled:.0%} do when items are dealt to intents at random."
        )
    if report.users is not None:
        requests = "" if report.requests is None else f" and {report.requests:,} {report.split} requests"
        lines.append(f"Shares are mean probabilities over {report.users:,} users{requests}.")
    return lines


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
