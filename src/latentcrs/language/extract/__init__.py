"""From words to predicates over the catalogue: hard rules and soft wishes."""

from latentcrs.language.extract.heard import Extractor, Heard, HeardRule
from latentcrs.language.extract.lexical import LexicalExtractor

__all__ = ["Extractor", "Heard", "HeardRule", "LexicalExtractor"]
