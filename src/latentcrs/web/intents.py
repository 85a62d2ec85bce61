"""The intents believed in, as bars that move as one talks; each is named by its items and its label."""

from collections.abc import Sequence

from nicegui.elements.mixins.text_element import TextElement

from latentcrs.serve.served import BelievedIntent
from latentcrs.web.elements import box, text

SHOWN = 5


class Intents:
    """The bar picture of the strongest intents. The strongest has the full width; the figures are shares of all."""

    def __init__(self) -> None:
        with box("panel intents", "section", "What you seem to be after"):
            text("What you seem to be after", tag="h2")
            self._hint = text("Say something, and the picture moves with every sentence.", "hint", "p")
            self._rows: list[_Bar] = []
            with box("bars", "ol"):
                self._rows = [_Bar() for _ in range(SHOWN)]

    def show(self, believed: Sequence[BelievedIntent]) -> None:
        """Move the bars."""
        strongest = max((intent.weight for intent in believed), default=1.0) or 1.0
        self._hint.set_visibility(not believed)
        for place, bar in enumerate(self._rows):
            bar.show(believed[place] if place < len(believed) else None, strongest)


class _Bar:
    def __init__(self) -> None:
        with box("bar-row", "li") as self._row:
            self._titles: TextElement = text("", "bar-titles", "p")
            with box("track"):
                self._bar = box("bar")
            with box("bar-foot"):
                self._label: TextElement = text("", "bar-label")
                self._share: TextElement = text("", "bar-share")
        self._row.set_visibility(False)

    def show(self, intent: BelievedIntent | None, strongest: float) -> None:
        self._row.set_visibility(intent is not None)
        if intent is None:
            self._bar.style("width: 0%")
            return
        self._label.set_text(intent.label)
        self._share.set_text(f"{intent.weight:.0%}")
        self._titles.set_text(", ".join(intent.titles))
        self._bar.style(f"width: {100 * intent.weight / strongest:.1f}%")
