"""From words to predicates over the catalogue: hard rules and soft wishes."""

from latentcrs.language.extract.heard import Extractor, Heard, HeardRule

__all__ = ["Extractor", "Heard", "HeardRule"]
