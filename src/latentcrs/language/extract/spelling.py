"""Slips of the fingers put right: a letter dropped, doubled, wrong, or two swapped, in words that are no English."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from rapidfuzz.distance import OSA

from latentcrs.language.extract.english import is_english

SHORTEST, LONGEST = 3, 24


class Spelling:
    """Finds the word that was meant, among those given.

    Words are found by what is left of them when a letter is dropped, so that the time for a look-up does not grow
    with their number.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(word for word in words if SHORTEST <= len(word) <= LONGEST and word.isalpha())
        self._by_rest: dict[str, list[str]] = defaultdict(list)
        for word in self._words:
            for rest in _rests(word):
                self._by_rest[rest].append(word)

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def put_right(self, word: str) -> str | None:
        """The one word that `word` is a slip of; None where it is right, English, or unclear."""
        if len(word) < SHORTEST or word in self._words or is_english(word):
            return None
        meant = self.near(word)
        closest = {other for other in meant if sorted(other) == sorted(word)} or meant  # letters swapped
        return closest.pop() if len(closest) == 1 else None

    def near(self, word: str) -> set[str]:
        """All words that are one slip away from `word`."""
        if not SHORTEST <= len(word) <= LONGEST or not word.isalpha():
            return set()
        return {other for rest in _rests(word) for other in self._by_rest.get(rest, ()) if _slip(word, other)}


def _rests(word: str) -> set[str]:
    return {word, *(word[:i] + word[i + 1 :] for i in range(1, len(word)))}


def _slip(word: str, meant: str) -> bool:
    """Whether one is one slip away from the other; in short words no letter may be another."""
    if word[0] != meant[0] or OSA.distance(word, meant, score_cutoff=1) != 1:
        return False
    if len(meant) >= 6:
        return True
    return sorted(word) == sorted(meant) or len(word) > len(meant) or len(word) < len(meant)
