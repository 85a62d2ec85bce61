"""The heads: how a mention is meant and what an utterance does, linear over the encoder's token states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from latentcrs.hear.language import Line, tokenise, word_set
from latentcrs.text.encoders import TokenStates

Floats = NDArray[np.float32]
VALUE_STANCES = ("rule", "wish", "refused", "dropped", "mentioned")
"""How a value of the catalogue is meant: asked for, liked or hedged, refused, taken back, only spoken of."""
TURNS = ("continues", "turns")
BEFORE, BEHIND = 8, 5
"""Words around a mention whose states count, within its sentence."""
_STOPS = frozenset(".!?;")


class StateEncoder(Protocol):
    """An encoder that hands out its token states."""

    def states(self, texts: Sequence[str]) -> list[TokenStates]:
        """What the model reads of each text."""
        ...


@dataclass(frozen=True)
class Read:
    """An utterance as the encoder reads it: its words, the states of each word (n words, width), and its vector."""

    line: Line
    words: Floats
    vector: Floats

    @staticmethod
    def of(text: str, states: TokenStates) -> Read:
        """Word states: the mean over a word's tokens."""
        line = tokenise(text)
        words = np.zeros((len(line.tokens), states.states.shape[1]), np.float32)
        counts = np.zeros(len(line.tokens), np.float32)
        place = 0
        for (start, end), state in zip(states.offsets, states.states, strict=True):
            if end <= start:
                continue
            while place < len(line.tokens) and line.tokens[place].end <= start:
                place += 1
            if place < len(line.tokens) and line.tokens[place].start < end:
                words[place] += state
                counts[place] += 1
        return Read(line, (words / np.maximum(counts, 1)[:, None]).astype(np.float32), states.vector)


def mention_features(read: Read, first: int, last: int, language: str = "en") -> Floats:
    """What the stance of words first..last (behind) is told from: their states, those around them within the
    sentence,
    the utterance's vector, and how near words stand that deny, hedge or like.
    """
    tokens = read.line.tokens
    start, end = first, last
    while start > 0 and first - start < BEFORE and tokens[start - 1].word not in _STOPS:
        start -= 1
    while end < len(tokens) and end - last < BEHIND and tokens[end].word not in _STOPS:
        end += 1
    cues = list[float]()
    for name in ("deny", "hedge", "like"):
        cue = word_set(language, name)
        away = [first - n for n in range(start, first) if tokens[n].word in cue]
        behind = [n - last + 1 for n in range(last, end) if tokens[n].word in cue]
        cues += [1 / min(away) if away else 0, 1 / min(behind) if behind else 0, len(away)]
    closes = next((t.word for t in tokens[last:] if t.word in _STOPS), "")
    return np.concatenate(
        [
            _mean(read.words[first:last]),
            _mean(read.words[start:first]),
            _mean(read.words[max(start, first - 2) : first]),
            _mean(read.words[last:end]),
            read.vector,
            np.array(
                [*cues, closes == "?", start == first, end == last, len(tokens) <= last - first + 2], np.float32
            ),
        ]
    )


def utterance_features(read: Read, reply: Floats) -> Floats:
    """What an utterance does is told from its words' states, its vector, and the vector of what was said before
    it."""
    words = read.words if len(read.words) else np.zeros((1, read.words.shape[1]), np.float32)
    marks = {token.word for token in read.line.tokens}
    extra = np.array(["?" in marks, len(words) <= 3, len(words) <= 6, len(words) > 20], np.float32)
    return np.concatenate([words.mean(0), words.max(0), read.vector, reply, read.vector * reply * 5, extra])


def _mean(words: Floats) -> Floats:
    return words.mean(0) if len(words) else np.zeros(words.shape[1], np.float32)


@dataclass
class Head:
    """One linear head: classes, weights (classes, features), bias. each: every class on its own (several may
    hold)."""

    classes: tuple[str, ...]
    weights: Floats
    bias: Floats
    each: bool = False

    def __call__(self, features: Floats) -> dict[str, float]:
        """The probability of every class."""
        scores = self.weights @ features + self.bias
        if self.each:
            p = 1 / (1 + np.exp(-scores))
        else:
            p = np.exp(scores - scores.max())
            p /= p.sum()
        return dict(zip(self.classes, p.tolist(), strict=True))


def load_heads(path: Path | None = None) -> tuple[dict[str, Head], str]:
    """The heads in a file, the package's own without one, and the id of the encoder that they belong to."""
    from safetensors import safe_open

    path = path or Path(str(resources.files("latentcrs.hear").joinpath("heads.safetensors")))
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        meta = file.metadata()
    names = [key.removesuffix(".weights") for key in tensors if key.endswith(".weights")]
    heads = {
        name: Head(
            tuple(meta[f"{name}.classes"].split(" ")),
            tensors[f"{name}.weights"].astype(np.float32),
            tensors[f"{name}.bias"],
            meta[f"{name}.each"] == "1",
        )
        for name in names
    }
    return heads, meta["encoder"]
