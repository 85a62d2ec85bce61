"""What people read of one benchmark: a table and sentences, the same in a terminal and on a page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.markup import escape
from rich.table import Table

from latentcrs.base.progress import console, show


@dataclass(frozen=True)
class Report:
    """One benchmark in words.

    title: what was measured. headings: of the columns, the first of names, the others of numbers. rows: cells, row by
    row. missed: the rows that miss what they were to reach. lines: sentences below. conditions: the machine, and what
    else the figures hold for.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[str] = ()
    conditions: str = ""
    missed: Sequence[int] = field(default=())


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


def markdown(report: Mapping[str, Any]) -> list[str]:
    """The lines of a report, a `Report` as JSON, on a page. A row that misses its target is marked."""
    missed = set(report["missed"])
    rows = [[f"{row[0]} ⚠" if number in missed else row[0], *row[1:]] for number, row in enumerate(report["rows"])]
    lines = [f"{report['title']}.", "", _row(report["headings"]), _row(["---", *["---:"] * (len(rows[0]) - 1)])]
    lines += [*map(_row, rows), "", *(f"- {line}" for line in report["lines"])]
    if missed:
        lines.append("- ⚠ misses what it was to reach.")
    return [*lines, "", f"<sub>{report['conditions']}</sub>"]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
