"""The page at /numbers: what came of the conversations of one key, for whoever runs the server."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from nicegui import ui

from latentcrs.converse.statistics import Day, Statistics, statistics
from latentcrs.serve.caller import caller
from latentcrs.web.elements import box, text
from latentcrs.web.page import Site

DAYS = 30
COLUMNS = {
    "conversations": "conversations", "asked": "said", "nothing": "found nothing", "relaxed": "relaxed",
    "undecided": "not decided", "shown": "items shown", "accepted": "taken", "opened": "opened", "bought": "bought",
}  # fmt: skip


async def show_numbers(site: Site, owner: Callable[[], str], address: str) -> None:
    """Fill the page. No words that anybody said are on it."""
    whose = None if site.owner_of is None else owner()
    found = await site.threads.run(caller(whose or "", address), partial(statistics, site.service.store, DAYS, whose))
    with box("numbers"):
        text("What came of conversations", tag="h1")
        text(f"The last {DAYS} days (UTC){f', with the key of {whose}' if whose else ''}.", "hint", "p")
        _by_day(found.days)
        if found.shares:
            _by_bundle(found)


def _by_day(days: list[Day]) -> None:
    most = max((day.asked for day in days), default=0)
    with box("wide"), box("", "table"):
        _row("th", ["day", *COLUMNS.values(), ""])
        for day in reversed(days):
            with _row("td", [day.day, *(f"{getattr(day, name):,}" for name in COLUMNS)]), box("", "td"):
                box("bar").style(f"width: {140 * day.asked / max(most, 1):.0f}px")
        _row("th", ["all", *(f"{sum(getattr(day, name) for day in days):,}" for name in COLUMNS), ""])
    if not days:
        text("Nobody has said anything yet.", "hint", "p")


def _by_bundle(found: Statistics) -> None:
    text("Conversations that ended with an item", tag="h2")
    text("Taken, or opened or bought after it was shown; with 95% intervals.", "hint", "p")
    with box("wide"), box("", "table"):
        _row("th", ["bundle", "conversations", "with an item", "share", "interval"])
        for one in found.shares:
            counts = [f"{one.conversations:,}", f"{one.successful:,}", f"{one.share:.1%}"]
            _row("td", [Path(one.bundle).name, *counts, f"{one.low:.1%} to {one.high:.1%}"])
        for two in found.differences:
            between = f"{Path(two.bundle).name} less {Path(two.than).name}"
            _row("td", [between, "", "", f"{two.difference:+.1%}", f"{two.low:+.1%} to {two.high:+.1%}"])


def _row(tag: str, cells: Sequence[object]) -> ui.element:
    with box("", "tr") as row:
        for cell in cells:
            text(cell, tag=tag)
    return row
