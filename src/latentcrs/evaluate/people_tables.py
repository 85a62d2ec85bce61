"""The figures of requests that people made, as tables: short ones on the terminal, full ones as Markdown."""

import tomllib
from importlib import resources
from typing import Any

from latentcrs.evaluate import tables
from latentcrs.evaluate.people import METRICS, OURS, TESTED, Figures, PeopleResult, SourceResult

NAMES = {
    **tables.NAMES,
    "popularity": "popularity (log)",
    "suggestions": "popular suggestions",
    "co-mention": "co-mention",
    "ease": "EASE (log)",
    "ease-talk": "EASE (log + talk)",
    "bm25": "BM25",
    "say-back": "say back the named",
}
SHORT = ("recall@1", "recall@5", "recall@10", "recall@20", "ndcg@20")
"""Metrics that a terminal of 80 columns has room for."""
Table = tuple[str, list[str], list[list[str]], list[str]]
"""Title, header, rows, and notes below."""


def recorded(source: str) -> dict[str, list[float]]:
    """Recall at 1, 5, 10 and 20 of language models on requests like those of `source`; empty where none is known."""
    text = resources.files("latentcrs.evaluate").joinpath("recorded.toml").read_text("utf-8")
    found: dict[str, list[float]] = tomllib.loads(text).get(source, {})
    return found


def tables_of(result: PeopleResult, full: bool) -> list[Table]:
    """Every table of a result, in order. full: all metrics with their intervals."""
    found: list[Table] = []
    for source, figures in result.sources.items():
        where = f"{source} on {result.dataset}"
        tested = "Recall@5 and Recall@20" if full else "Recall@5 (R; N: NDCG)"
        notes = [
            f"{figures.n:,} requests, targets not named before. The catalogue less what was named is ranked; ties "
            "count against the target; ± is half the 95% bootstrap interval, p of the difference to LatentCRS_B "
            f"(paired randomisation), both of {tested}."
        ]
        rows = rows_of(figures.new, result.about, full)
        if language_models := recorded(source):
            rows += [_recorded_row(name, values, len(rows[0])) for name, values in language_models.items() if rows]
            notes.append(
                "Recorded: language models on ReDial's test dialogues over a vocabulary of 6,281 films (He et al., "
                "CIKM 2023): another split and other films, so context, not a comparison."
            )
        found.append((f"Requests of people: {where}", header(full), rows, notes))
        found.append(_by_group(where, figures, result.about))
        if figures.all:
            told = [f"{figures.n_all:,} requests, targets that were named before among them; nothing is left out."]
            found.append((f"All targets: {where}", header(full), rows_of(figures.all, result.about, full), told))
    return found


def header(full: bool) -> list[str]:
    """The columns of `rows_of`."""
    if full:
        long = [metric.replace("recall", "Recall").replace("ndcg", "NDCG") for metric in METRICS]
        return ["system", *long, "p (Recall@5)", "p (Recall@20)"]
    short = [metric.replace("recall", "R").replace("ndcg", "N") for metric in SHORT]
    return ["system", *short[:2], "±", *short[2:], "p"]


def rows_of(systems: dict[str, Figures], about: dict[str, Any], full: bool) -> list[list[str]]:
    """One row a system."""
    rows = []
    for name, figures in systems.items():
        half = {metric: f"±{(high - low) / 2:.3f}".replace("±0", "±") for metric, (low, high) in figures.ci95.items()}
        mean = {metric: f"{value:.3f}" for metric, value in figures.means.items()}
        p = [f"{figures.p[metric]:.3f}" if figures.p else "" for metric in TESTED[: 2 if full else 1]]
        if full:
            cells = [mean[metric] + half[metric] for metric in METRICS]
        else:
            cells = [mean[metric] for metric in SHORT]
            cells.insert(2, half["recall@5"])
        rows.append([_label(name, about), *cells, *p])
    return rows


def _recorded_row(name: str, values: list[float], width: int) -> list[str]:
    at_1, at_5, *others = [f"{value:.3f}" for value in values]
    short = width == len(header(full=False))
    cells = [f"({name}, recorded)", at_1, at_5, *[""] * short, *others]
    return [*cells, *[""] * (width - len(cells))]


def _by_group(where: str, figures: SourceResult, about: dict[str, Any]) -> Table:
    sizes = figures.group_sizes
    shown = [group.removeprefix("titles ").replace("words ", "") for group in sizes]
    columns = [f"{name}w" if group.startswith("words") else name for name, group in zip(shown, sizes, strict=True)]
    rows = [["(requests)", *(f"{size:,}" for size in sizes.values())]]
    rows += [
        [_label(name, about), *(f"{system.groups[group]['recall@5']:.3f}" for group in sizes)]
        for name, system in figures.new.items()
    ]
    return f"Recall@5 by titles named, and by words (w): {where}", ["system", *columns], rows, []


def _label(name: str, about: dict[str, Any]) -> str:
    named = NAMES.get(name) or tables.title_of(name)
    return f"{named} ({about['preset']})" if name in (OURS, "latentcrs-f") else named


def print_people(result: PeopleResult) -> None:
    """All tables on the terminal."""
    for title, columns, rows, notes in tables_of(result, full=False):
        tables.print_rows(title, columns, rows, notes)


def people_markdown(result: PeopleResult) -> str:
    """All tables as Markdown."""
    parts = []
    for title, columns, rows, notes in tables_of(result, full=True):
        parts += [f"**{title}**", tables.as_markdown(columns, rows), *notes]
    return "\n\n".join(parts)
