"""How this project's figures look, and how they are written: legible at README width, safe for the colour-blind."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 830
"""Pixels of a README's column; a figure's text is sized for it."""
DENSITY = 2
"""Pixels written for each of those, for sharp screens."""
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "vermilion": "#D55E00",
    "yellow": "#F0E442",
}
"""Okabe and Ito, "Color Universal Design" (2008), in the order to take them in: told apart by every eye."""
GREY, INK, FAINT = "#B4B4B4", "#222222", "#666666"


def set_style() -> None:
    """Make matplotlib draw this project's figures, into memory only.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise UserError("Figures want matplotlib: pip install latentcrs-lab.") from None
    from cycler import cycler

    matplotlib.use("agg")
    matplotlib.rcParams.update(
        {
            "figure.dpi": 100,
            "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
            "font.size": 10,
            "axes.titlesize": 12,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 10,
            "axes.labelcolor": INK,
            "axes.edgecolor": FAINT,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "axes.prop_cycle": cycler(color=list(COLOURS.values())),
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "xtick.color": FAINT,
            "ytick.color": FAINT,
            "text.color": INK,
            "legend.frameon": False,  # for the rare legend: label lines where they end instead
            "lines.linewidth": 2,
            "svg.hashsalt": "latentcrs",
        }
    )


def figure(height: int, width: int = WIDTH) -> tuple[Figure, Axes]:
    """A figure of `width` x `height` README pixels in this project's style, and its axes.

    Raises:
        UserError: matplotlib is not installed.
    """
    made, axes = panels(1, 1, height, width)
    return made, axes[0]


def panels(rows: int, columns: int, height: int, width: int = WIDTH) -> tuple[Figure, list[Axes]]:
    """A figure with `rows` x `columns` axes, row by row.

    Raises:
        UserError: matplotlib is not installed.
    """
    set_style()
    from matplotlib.figure import Figure

    made = Figure(figsize=(width / 100, height / 100), dpi=100)
    return made, list(made.subplots(rows, columns, squeeze=False).flat)


def save_png(made: Figure, path: Path) -> None:
    """Write a figure at `DENSITY` times its size in 256 colours, whole or not at all; the same one gives the same
    bytes.
    """
    from PIL import Image  # comes with matplotlib

    drawn = BytesIO()
    made.savefig(drawn, format="png", dpi=100 * DENSITY, facecolor="white")
    with Image.open(drawn) as image, atomic_file(path) as temporary:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)
