"""The map of a bundle's intents: one circle each, alike ones near, as a picture and as a page to explore."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from latentcrs.base.files import atomic_file
from latentcrs.evaluate.intent_categories import shortened
from latentcrs.evaluate.intents import Intent, IntentsReport
from latentcrs_lab.plots import COLOURS, FAINT, GREY, WIDTH, figure, save_png

HEIGHT = 640
TOP, SIDE, BOTTOM = 66, 26, 44
"""Pixels that title and legend, the sides and the caption take."""
LARGEST, SMALLEST = 22.0, 2.5
"""Radii, in README pixels."""
FILLED = 0.12
"""The most of the map that circles may take together."""
LABELS = 25
POINTS = 7.5
"""Size of the labels; 10.4 README pixels."""
LETTER, LINE = 6.1, 14.0
"""Width and height that a letter of a label takes, in README pixels: a little generous."""
DIRECTIONS = ((0, 0), (0, -1), (0, 1), (1, 0), (-1, 0), (0.8, -0.8), (-0.8, -0.8), (0.8, 0.8), (-0.8, 0.8))
"""Where a label may stand, seen from its circle."""
OTHER = "other"


@dataclass(frozen=True)
class Label:
    """A label on the map, by its middle, in README pixels, and the line that ties it to its circle."""

    text: str
    x: float
    y: float
    line: tuple[float, float, float, float] | None  # x, y of the circle, x, y of the label's edge


@dataclass(frozen=True)
class Map:
    """Where all is drawn, in README pixels from the top left."""

    intents: list[Intent]  # the largest first
    xy: NDArray[np.float64]  # (K, 2)
    radii: NDArray[np.float64]  # (K,)
    colours: list[str]
    legend: list[tuple[str, str]]  # (category, colour)
    labels: list[Label]
    title: str
    caption: str


def map_of(report: IntentsReport) -> Map:
    """Lay the map out: areas are shares of users (of requests, where users are not known), colours categories."""
    intents = report.by_size
    sizes = np.array([intent.users or intent.requests or 0.0 for intent in intents])
    sized = bool(sizes.max(initial=0.0) > 0)
    box = np.array([WIDTH - 2 * SIDE, HEIGHT - TOP - BOTTOM])
    radii = np.sqrt(sizes / sizes.max()) if sized else np.ones(len(sizes))
    largest = min(LARGEST, float(np.sqrt(FILLED * box.prod() / (np.pi * (radii**2).sum()))))
    radii = np.maximum(SMALLEST, largest * radii)
    xy = np.array([SIDE, TOP]) + report.positions[[intent.number for intent in intents]] * box
    xy = _apart(xy, radii)
    legend = _legend(intents)
    colour_of = dict(legend)
    named = [_brief(intent.tag) for intent in intents[:LABELS]]
    what = f", coloured by {report.column}" if report.column else ""
    area = "area: share of users · " if sized else ""
    return Map(
        intents=intents,
        xy=xy,
        radii=radii,
        colours=[colour_of.get(intent.category or OTHER, GREY) for intent in intents],
        legend=legend,
        labels=_labels(named, xy, radii),
        title=f"{len(intents)} intents of {report.dataset}{what}",
        caption=f"Each circle is an intent · {area}near means alike, the axes have no unit (t-SNE) · "
        f"labels: the {len(named)} largest, by what was said or a first item",
    )


def draw_map(report: IntentsReport, path: Path) -> None:
    """Write the map as a PNG.

    Raises:
        UserError: matplotlib is not installed.
    """
    laid = map_of(report)
    made, axes = figure(HEIGHT)
    from matplotlib.patches import Circle
    from matplotlib.patheffects import withStroke
    from matplotlib.textpath import TextPath

    axes.set_position((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(HEIGHT, 0)
    axes.axis("off")
    axes.text(SIDE - 8, 22, _plain(laid.title), fontsize=12, fontweight="bold", va="center")
    place = SIDE - 8.0
    for category, colour in laid.legend:
        axes.add_patch(Circle((place + 5, 47), 5, color=colour, linewidth=0))
        axes.text(place + 14, 47, _plain(category), fontsize=9, va="center")
        place += 34 + TextPath((0, 0), _plain(category), size=12.5).get_extents().width
    for (x, y), radius, colour in zip(laid.xy, laid.radii, laid.colours, strict=True):
        axes.add_patch(Circle((x, y), radius, facecolor=colour, alpha=0.85, edgecolor="white", linewidth=0.6))
    halo = [withStroke(linewidth=2.6, foreground="white")]
    for label in laid.labels:
        if label.line is not None:
            axes.plot(label.line[::2], label.line[1::2], color=FAINT, linewidth=0.7, zorder=2)
        text = _plain(label.text)
        axes.text(label.x, label.y, text, fontsize=POINTS, ha="center", va="center", zorder=3, path_effects=halo)
    axes.text(SIDE - 8, HEIGHT - 18, laid.caption, fontsize=7.5, color=FAINT, va="center")
    save_png(made, path)


def page_of(report: IntentsReport) -> str:
    """The map as one HTML page that asks the network for nothing; what a catalogue or a person wrote stays text."""
    laid = map_of(report)
    environment = Environment(
        loader=PackageLoader("latentcrs_lab.paper", "."),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    circles = [
        {
            "x": round(float(x), 1),
            "y": round(float(y), 1),
            "r": round(float(r), 1),
            "colour": colour,
            "intent": intent,
        }
        for (x, y), r, colour, intent in zip(laid.xy, laid.radii, laid.colours, laid.intents, strict=True)
    ]
    details = {
        intent.number: {
            "name": intent.name,
            "size": size_line(intent),
            "items": intent.items[:10],
            "words": intent.words,
            "examples": intent.examples[:3],
            "nearest": intent.nearest,
        }
        for intent in laid.intents
    }
    return environment.get_template("intent_map.html.j2").render(
        map=laid, circles=circles, details=details, notes=report.notes, width=WIDTH, top=TOP, height=HEIGHT - BOTTOM
    )


def write_map(report: IntentsReport, folder: Path) -> list[Path]:
    """Write `intents.png`, `intents.html` and `intents.json` into a folder, each whole or not at all; their paths.

    Raises:
        UserError: matplotlib is not installed.
    """
    paths = [folder / f"intents.{kind}" for kind in ("png", "html", "json")]
    draw_map(report, paths[0])
    for path, text in ((paths[1], page_of(report)), (paths[2], json.dumps(report.as_json(), indent=1))):
        with atomic_file(path) as temporary:
            temporary.write_text(text, "utf-8")
    return paths


def size_line(intent: Intent) -> str:
    """How large an intent is, in words; empty where it is not known."""
    parts = [
        f"{share:.1%} of {what}"
        for share, what in ((intent.users, "users"), (intent.requests, "requests"))
        if share is not None
    ]
    return " · ".join(parts)


def _brief(tag: str, most: int = 27) -> str:
    """Both words of a tag where they fit, else the first."""
    return shortened(tag if len(tag) <= most else tag.split(", ")[0], most)


def _plain(text: str) -> str:
    """Text that matplotlib draws as it stands: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


def _legend(intents: list[Intent]) -> list[tuple[str, str]]:
    """The categories with most intents, each with its colour, then all others in grey."""
    found = Counter(intent.category for intent in intents if intent.category is not None)
    if not found:
        return []
    most = [category for category, _ in sorted(found.items(), key=lambda kept: (-kept[1], kept[0]))[: len(COLOURS)]]
    legend = list(zip(most, COLOURS.values(), strict=False))
    return (
        legend if len(most) == len(found) and None not in [i.category for i in intents] else [*legend, (OTHER, GREY)]
    )


def _apart(xy: NDArray[np.float64], radii: NDArray[np.float64], rounds: int = 120) -> NDArray[np.float64]:
    """Circles pushed off each other a little at a time, inside the map."""
    xy = xy.copy()
    room = 0.9 * (radii[:, None] + radii[None])
    np.fill_diagonal(room, 0.0)
    low, high = np.array([SIDE, TOP]) + radii[:, None], np.array([WIDTH - SIDE, HEIGHT - BOTTOM]) - radii[:, None]
    for _ in range(rounds):
        gap = xy[:, None] - xy[None]  # (K, K, 2)
        far = np.maximum(np.linalg.norm(gap, axis=2), 1e-6)
        push = np.maximum(room - far, 0.0) / far
        if not push.any():
            break
        xy = np.clip(xy + 0.25 * (push[:, :, None] * gap).sum(1), low, high)
    return xy


def _labels(texts: list[str], xy: NDArray[np.float64], radii: NDArray[np.float64]) -> list[Label]:
    """A place for each text by its circle, the largest circle first: the one that covers least, never a label.

    A text for which all places near are taken is left out.
    """
    taken: list[tuple[float, float, float, float]] = []
    labels = []
    for of, text in enumerate(texts):
        half = np.array([LETTER * len(text) / 2 + 2, LINE / 2])
        best: tuple[float, NDArray[np.float64]] | None = None
        for away in (2.0, 9.0, 18.0, 30.0, 44.0):
            reach = radii[of] + away
            for dx, dy in (
                (0, 0),
                (0, -1),
                (0, 1),
                (1, 0),
                (-1, 0),
                (0.8, -0.8),
                (-0.8, -0.8),
                (0.8, 0.8),
                (-0.8, 0.8),
            ):
                if (dx, dy) == (0, 0) and (away > 2.0 or half[0] > radii[of]):
                    continue
                middle = xy[of] + np.array([dx * (reach + half[0]), dy * (reach + half[1])])
                if not _inside(middle, half) or any(_overlap(middle, half, box) for box in taken):
                    continue
                cost = away * 3 + _covered(middle, half, xy, radii, of)
                if best is None or cost < best[0]:
                    best = (cost, middle)
        if best is not None:
            x, y = best[1]
            taken.append((x, y, half[0], half[1]))
            labels.append(Label(text, float(x), float(y), _line(xy[of], best[1], half)))
    return labels


def _line(
    centre: NDArray[np.float64], middle: NDArray[np.float64], half: NDArray[np.float64]
) -> tuple[float, float, float, float] | None:
    """From a circle's middle to the nearest point of its label; None where the label stands on it."""
    end = np.clip(centre, middle - half, middle + half)
    return None if np.allclose(end, centre) else (float(centre[0]), float(centre[1]), float(end[0]), float(end[1]))


def _inside(middle: NDArray[np.float64], half: NDArray[np.float64]) -> bool:
    low, high = middle - half, middle + half
    return bool(low[0] >= 4 and high[0] <= WIDTH - 4 and low[1] >= TOP - 6 and high[1] <= HEIGHT - BOTTOM + 10)


def _overlap(middle: NDArray[np.float64], half: NDArray[np.float64], box: tuple[float, float, float, float]) -> bool:
    return bool(abs(middle[0] - box[0]) < half[0] + box[2] and abs(middle[1] - box[1]) < half[1] + box[3])


def _covered(
    middle: NDArray[np.float64],
    half: NDArray[np.float64],
    xy: NDArray[np.float64],
    radii: NDArray[np.float64],
    of: int,
) -> float:
    """Sum of the radii of other circles that a label would touch."""
    gap = np.maximum(np.abs(xy - middle) - half, 0.0)
    touched = np.hypot(gap[:, 0], gap[:, 1]) < radii
    touched[of] = False
    return float(radii[touched].sum())
