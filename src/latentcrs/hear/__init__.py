"""Hears what people say: rules and wishes over the catalogue, titles with a stance, acts, turns."""

from latentcrs.hear.hearer import Hearer
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
