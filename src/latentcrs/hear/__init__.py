"""Hears what people say: rules and wishes over the catalogue, titles with a stance, acts, turns."""

from typing import TYPE_CHECKING

from latentcrs.hear.reading import (
    ACTS,
    STANCES,
    Act,
    Context,
    Extractor,
    Heard,
    HeardRule,
    HeardTitle,
    Reading,
    Sort,
    Stance,
)

if TYPE_CHECKING:
    from latentcrs.hear.hearer import Hearer

__all__ = [
    "ACTS",
    "STANCES",
    "Act",
    "Context",
    "Extractor",
    "Heard",
    "HeardRule",
    "HeardTitle",
    "Hearer",
    "Reading",
    "Sort",
    "Stance",
]


def __getattr__(name: str) -> object:
    """Open `Hearer` when it is asked for: it brings PyTorch, which a look at a language does without."""
    if name == "Hearer":
        from latentcrs.hear.hearer import Hearer

        return Hearer
    raise AttributeError(name)
