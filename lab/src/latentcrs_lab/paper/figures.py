"""The figures of the paper's page: lines with 95% intervals, labelled where they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentcrs.evaluate.multi_turn_tables import name_of
from latentcrs_lab.plots import COLOURS, FAINT, GREY, figure, panels, save_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR_OF = {
    "latentcrs-f": COLOURS["vermilion"],
    "latentcrs-b": COLOURS["blue"],
    "fusion": COLOURS["green"],
    "fusion-f": COLOURS["sky"],
    "sum": COLOURS["orange"],
    "bm25-sum": "#8C6D1F",  # dark gold: yellow words on white cannot be read
    "text": COLOURS["purple"],
    "behaviour": FAINT,
    "popularity": GREY,
}
_PARAMETERS = {
    "K": "K, number of intents",
    "alpha_m": r"$\alpha^M$, weight of the rec loss in the M step",
    "alpha_e": r"$\alpha^E$, weight of the rec loss in the E step",
    "kl": "λ, weight of the KL term",
}
_CURVES = {
    "conditions": "conditions told in the request",
    "history": "items of the history that are known, newest first",
    "interactions": "times the wanted item was chosen in training",
}


def draw(results: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Every figure that `results` has the figures for, as PNG in `folder`, by name."""
    drawn: dict[str, Path] = {}

    def keep(name: str, draws: Callable[[Path], None]) -> None:
        drawn[name] = folder / f"{name}.png"
        draws(drawn[name])

    folder.mkdir(parents=True, exist_ok=True)
    if talks := results.get("multi-turn"):
        keep("multi-turn", lambda path: _talks(talks["systems"], path))
    if curves := results.get("sensitivity"):
        keep("sensitivity", lambda path: _sensitivity(curves, path))
    for name, label in _CURVES.items():
        if points := results.get(name):
            keep(name, lambda path, points=points, label=label: _curve(points, label, path))  # type: ignore[misc]
    return drawn


def _talks(systems: Mapping[str, Any], path: Path) -> None:
    """S@1 to S@5 of the systems that have a colour; but for one, which would lie on others."""
    made, axes = figure(380)
    shown = {name: talks for name, talks in systems.items() if name in _COLOUR_OF}
    for name, talks in shown.items():
        axes.plot(
            range(1, 6), talks["shown_by"], color=_COLOUR_OF[name], marker="o", markersize=4, zorder=_layer(name)
        )
    _label_ends(axes, {name: talks["shown_by"][-1] for name, talks in shown.items()}, 5)
    axes.set(xlabel="turn", ylabel="share of users shown their item by then", ylim=(0, 1.02), xticks=range(1, 6))
    made.tight_layout()
    save_png(made, path)


def _sensitivity(result: Mapping[str, Any], path: Path) -> None:
    """Figure 3: test Recall@5 of variant B by each parameter; the preset's own value is the full dot."""
    made, grid = panels(2, 2, 560)
    for axes, (name, points) in zip(grid, result["curves"].items(), strict=False):
        values = [_value(point["value"]) for point in points]
        means = [point["test"]["recall@5"] for point in points]
        low, high = zip(*(point["test"]["ci95"]["recall@5"] for point in points), strict=True)
        places = range(len(values))
        axes.fill_between(places, low, high, color=COLOURS["sky"], alpha=0.35, linewidth=0)
        axes.plot(places, means, color=COLOURS["blue"], marker="o", markersize=4, markerfacecolor="white")
        centre = values.index(_value(result["centre"][name]))
        axes.plot(centre, means[centre], "o", color=COLOURS["blue"], markersize=7)
        axes.set_xticks(places, values)
        axes.set(xlabel=_PARAMETERS[name], ylabel="Recall@5", ylim=(0, max(high) * 1.1))
    made.tight_layout()
    save_png(made, path)


def _value(number: float) -> str:
    return f"{number:g}"


def _curve(points: Sequence[Mapping[str, Any]], label: str, path: Path) -> None:
    """Recall@5 of every system along one axis of what is known."""
    made, axes = figure(400)
    ticks = list(dict.fromkeys(point["at"] for point in points))
    ends = {}
    for system in dict.fromkeys(point["system"] for point in points):
        own = [point for point in points if point["system"] == system]
        places = [ticks.index(point["at"]) for point in own]
        means = [point["recall"] for point in own]
        colour = _COLOUR_OF.get(system, GREY)
        axes.fill_between(
            places, [p["low"] for p in own], [p["high"] for p in own], color=colour, alpha=0.18, linewidth=0
        )
        axes.plot(places, means, color=colour, marker="o", markersize=4, zorder=_layer(system))
        ends[system] = means[-1]
    _label_ends(axes, ends, len(ticks) - 1)
    counts = {point["at"]: point["n"] for point in points}
    same = len(set(counts.values())) == 1
    axes.set_xticks(range(len(ticks)), ticks if same else [f"{tick}\n({counts[tick]:,})" for tick in ticks])
    axes.set(xlabel=label if same else f"{label} (requests)", ylabel="Recall@5", ylim=(0, 1.02))
    made.tight_layout()
    save_png(made, path)


def _layer(system: str) -> float:
    """Ours are drawn over the others: lines that lie on one another hide the reference."""
    return 2.5 if system.startswith("latentcrs") else 2.0


def _label_ends(axes: Axes, ends: Mapping[str, float], x: float) -> None:
    """Each line's name at its right end, moved apart where two would touch."""
    gap, placed = 0.055, 2.0
    for system in sorted(ends, key=lambda name: -ends[name]):
        placed = min(ends[system], placed - gap)
        axes.annotate(
            name_of(system),
            (x, ends[system]),
            xytext=(x + 0.02 * (axes.get_xlim()[1] - axes.get_xlim()[0]), placed),
            textcoords="data",
            color=_COLOUR_OF.get(system, GREY),
            va="center",
            fontsize=9,
            annotation_clip=False,
        )
