"""What people read of one benchmark: a table and sentences, the same in a terminal and on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


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
