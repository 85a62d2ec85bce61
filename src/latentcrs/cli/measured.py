"""How benchmarks say times and machines, and tell what they found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from latentcrs.base.progress import console, show
from latentcrs.bench.report import Report


def span(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def hardware_line(here: Mapping[str, Any], busy: float | None = None) -> str:
    """What the figures hold for."""
    before = "" if busy is None else f" Load average before: {busy:.1f}."
    return (
        f"{here['cpu']}, {here['cores']} cores ({here['threads']} threads), PyTorch {here['torch']}, "
        f"on {here['device']}.{before}"
    )


def tell(found: Any, report: Report, as_json: bool) -> None:
    """Print a benchmark: `found.as_json()` with the report in it, or the report."""
    if as_json:
        print(json.dumps({**found.as_json(), "report": asdict(report)}))
        return
    show(report.title, "italic")
    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(report.headings):
        table.add_column(heading, justify="right" if number and heading else "left", no_wrap=len(heading) > 0)
    for number, row in enumerate(report.rows):
        table.add_row(*map(escape, row), style="yellow" if number in report.missed else "")
    console.print(table)
    for line in (*report.lines, report.conditions):
        show(line)
