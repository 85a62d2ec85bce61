"""What an extractor hears; defined in the room `hear`."""

from latentcrs.hear.reading import Extractor, Heard, HeardRule

__all__ = ["Extractor", "Heard", "HeardRule"]
