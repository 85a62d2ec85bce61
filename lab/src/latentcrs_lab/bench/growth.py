"""Pictures of how cost grows with users and items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcrs_lab.plots import COLOURS, FAINT, panels, save_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Results = Mapping[str, Mapping[str, Any]]
Line = list[tuple[float, float]]

HEIGHT = 330
OF_OURS = (COLOURS["blue"], COLOURS["vermilion"], COLOURS["green"])


@dataclass(frozen=True)
class Panel:
    """One picture of a cost: the points of each line, by its name; `peers` are drawn in grey."""

    title: str
    x: str
    y: str
    lines: dict[str, Line]
    peers: tuple[str, ...] = ()


def draw(results: Results, folder: Path) -> dict[str, str]:
    """Draw what there are two points of into `folder`, a picture for each section: section -> what it shows.

    Raises:
        UserError: matplotlib is missing.
    """
    drawn: dict[str, str] = {}
    found = {name: run["result"] for name, run in results.items()}
    for part, made in (("prepare", [_prepared(found)]), ("retrieve", [_searched(found), _bulk(found)])):
        told = [panel for panel in made if panel.lines and min(map(len, panel.lines.values())) > 1]
        if told:
            folder.mkdir(parents=True, exist_ok=True)
            figure, axes = panels(1, len(told), HEIGHT)
            for panel, place in zip(told, axes, strict=True):
                _panel(panel, place)
            figure.tight_layout(w_pad=2)
            save_png(figure, folder / f"{part}.png")
            drawn[part] = "; ".join(f"{panel.title}: {panel.y} by {panel.x}" for panel in told)
    return drawn


def _prepared(found: Mapping[str, Any]) -> Panel:
    """The k-core by users."""
    lines: dict[str, Line] = {}
    for name, result in found.items():
        if name.startswith("prepare-"):
            one = next(one for one in result["comparisons"] if one["ids"] == "numbers")
            lines.setdefault("latentcrs", []).append((result["users"], one["ours"]["seconds"]))
            lines.setdefault("pandas", []).append((result["users"], one["pandas"]["seconds"]))
    return Panel("k-core", "users", "seconds", lines, ("pandas",))


def _searched(found: Mapping[str, Any]) -> Panel:
    """A search of all items by their number."""
    lines: dict[str, Line] = {}
    for name, result in found.items():
        if name.startswith("retrieve-"):
            for one in result["searches"]:
                if one["share"] is None:
                    kind = "exact" if one["kind"] == "half" else one["kind"]
                    lines.setdefault(kind, []).append((result["items"], one["milliseconds"]))
                    if kind == "exact":
                        lines.setdefault("NumPy", []).append((result["items"], one["numpy_milliseconds"]))
    return Panel("Best 100 of all items", "items", "milliseconds", lines, ("NumPy",))


def _bulk(found: Mapping[str, Any]) -> Panel:
    """Bulk recommendation by items."""
    lines: dict[str, Line] = {}
    for row in found.get("bulk", {"catalogues": []})["catalogues"]:
        lines.setdefault("latentcrs", []).append((row["items"], 1e6 / row["per_second"]))
        lines.setdefault("implicit", []).append((row["items"], 1e6 / row["peer_per_second"]))
    return Panel("Bulk, best 20", "items", "microseconds a user", lines, ("implicit",))


def _panel(panel: Panel, axes: Axes) -> None:
    """The lines, and the axes from what is measured."""
    from matplotlib.ticker import LogLocator

    colours = iter(OF_OURS)
    for name, measured in panel.lines.items():
        colour = FAINT if name in panel.peers else next(colours)
        axes.plot(*zip(*sorted(measured), strict=True), color=colour, marker="o", markersize=4, label=name)
    ticks = sorted({x for points in panel.lines.values() for x, _ in points})
    axes.set(xscale="log", yscale="log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))
    axes.set_xticks(ticks, [_short(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
    axes.legend(loc="upper left")


def _short(number: float) -> str:
    """1500000 as 1.5M; as it is below 2000, where K is."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= max(size, 2000):
            return f"{number / size:.{2 if number < 10 * size else 3}g}{letter}"
    return f"{number:g}"
