"""Hears what people say: rules and wishes over the catalogue, titles with a stance, acts, how a conversation
turns."""

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
    "Reading",
    "Sort",
    "Stance",
]
