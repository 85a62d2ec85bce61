"""Random numbers that belong to a row: hashes of (seed, user, cut, stream), the same on any machine, in any order.

One generator running through the rows would change every later text when one row is added. A counter-based draw does
not: filling one missing split gives the very sentences that writing all splits would have given.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

UInts = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mixed(*parts: ArrayLike) -> UInts:
    """One 64-bit hash of several integers, elementwise: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) in turn."""
    state = np.zeros(1, np.uint64)
    with np.errstate(over="ignore"):  # the arithmetic is meant to wrap
        for part in parts:
            state = state + np.asarray(part).astype(np.int64).astype(np.uint64) + _GOLDEN
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def uniform(keys: UInts) -> NDArray[np.float64]:
    """Hashes as numbers strictly between 0 and 1, same shape."""
    return ((keys >> np.uint64(11)).astype(np.float64) + 0.5) / float(1 << 53)


def gumbel(keys: UInts) -> NDArray[np.float64]:
    """Hashes as standard Gumbel noise: the largest of `log(weight) + gumbel` is a weighted draw."""
    return -np.log(-np.log(uniform(keys)))


class Dice:
    """The choices of one sentence, drawn one after the other from one 64-bit number."""

    __slots__ = ("_state",)

    def __init__(self, key: int) -> None:
        self._state = key

    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        # A multiplicative congruential step (Knuth's MMIX constants): plain integers, so quick and exact.
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        return (self._state >> 33) % count

    def pick(self, choices: Sequence[str]) -> str:
        """One of `choices`."""
        return choices[self.below(len(choices))]

    def chance(self, share: float) -> bool:
        """True in this share of cases."""
        return self.below(1_000_000) < share * 1_000_000
