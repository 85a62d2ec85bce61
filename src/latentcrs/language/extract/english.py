"""What is an English word, and how common a one: so that no real word is taken for a slip or a name."""

from __future__ import annotations

from functools import lru_cache

from latentcrs.errors import UserError
from latentcrs.language.model_folders import embedded_minilm
from latentcrs.words import word_list

COMMON = 8000
"""Words down to this place in the list of frequencies are common."""
FUNCTION = word_list("latentcrs.language.extract", "english", "function")
"""Words without a meaning of their own."""
ARTICLES = frozenset("the a an la le les l el los las il lo der die das un une una".split())
_ENDINGS = ("s", "es", "ed", "ing", "ly", "er", "ers", "ish", "ness")


@lru_cache(maxsize=1)
def _places() -> dict[str, int]:
    """Words of the encoder's vocabulary, which lists them by how often they are used."""
    try:
        words = (embedded_minilm() / "vocab.txt").read_text("utf-8").split("\n")
    except (UserError, OSError):  # without it every word may be a slip: worse, and still of use
        return {}
    return {word: place for place, word in enumerate(words) if word.isalpha() and len(word) > 1}


def is_listed(word: str) -> bool:
    """Whether `word` (lower case) is in the vocabulary as it is."""
    return word in _places()


def is_english(word: str) -> bool:
    """Whether `word` (lower case) or a simple form of it is known: anything but a slip of the fingers."""
    places = _places()
    if word in places:
        return True
    return any(
        word.endswith(end) and (word[: -len(end)] in places or word[: -len(end)] + "e" in places)
        for end in _ENDINGS
        if len(word) - len(end) > 3 or end == "s"
    )


def says_nothing(word: str) -> bool:
    """Whether `word` (lower case) has no meaning of its own, or is an adverb: "actually", "mostly"."""
    if word in FUNCTION:
        return True
    base = word.removesuffix("ly")
    if base == word or len(base) < 3:
        return False
    return any(is_listed(form) for form in (base, base[:-1] + "y" if base.endswith("i") else base + "le", base + "l"))


def is_common(word: str, most: int = COMMON) -> bool:
    """Whether `word` (lower case) is among the `most` commonest: alone, such a word is no name."""
    return _places().get(word, most) < most
