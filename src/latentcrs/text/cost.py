"""What encoding will cost, measured on a sample before it begins."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentcrs.text.encoders import LocalEncoder, TextEncoder

SAMPLE = 96


@dataclass(frozen=True)
class Cost:
    """What there is to encode; `tokens` and `seconds` are extrapolated, None where it is done elsewhere."""

    texts: int
    tokens: int
    seconds: float | None

    def __str__(self) -> str:
        time_ = "" if self.seconds is None else f" and {duration(self.seconds)}"
        return f"{self.texts:,} texts, about {self.tokens:,} tokens{time_}"


def cost_of(texts: Sequence[str], encoder: TextEncoder) -> Cost:
    """The cost of encoding `texts`, from a random sample of at most 96 of them (loads the model). An encoder that is
    no folder here is not asked: its tokens are counted as four characters each.
    """
    if not texts:
        return Cost(0, 0, 0.0)
    if not isinstance(encoder, LocalEncoder):
        return Cost(len(texts), sum(1 + len(text) // 4 for text in texts), None)
    rows = np.random.default_rng(0).permutation(len(texts))[:SAMPLE]
    sample = [texts[row] for row in rows]
    encoder.encode(sample[:8])  # the first batches of a process are slow
    began = time.monotonic()
    encoder.encode(sample)
    share = len(texts) / len(sample)
    seconds = (time.monotonic() - began) * share
    return Cost(len(texts), round(float(encoder.count_tokens(sample).sum()) * share), seconds)


def duration(seconds: float) -> str:
    """A time in words: '4 s', '3 min', '2.5 h'."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
