"""An utterance as CRM's belief tracker takes it: its n-grams, and how far it says the name of each value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from rapidfuzz.fuzz import partial_ratio
from scipy import sparse
from torch import Tensor

from latentcrs.users.leak import words_of
from latentcrs_lab.systems.crm.values import Values

_LONGEST = 6  # words of a name that is looked for as a whole
_NEAR = 0.35  # share of a name's letter trigrams from which it is compared letter by letter
_LIKE = 0.7  # likeness from which it may be that name, misspelt
_TOGETHER = 2048


@dataclass(frozen=True)
class Heard:
    """N utterances. grams: the numbers of their n-grams, utterance i has `grams[offsets[i] : offsets[i + 1]]`. exact,
    alike (N, F) sparse: which values are named in full; how far others are named in part or misspelt, in 0 .. 1.
    """

    grams: NDArray[np.int64]
    offsets: NDArray[np.int64]
    exact: sparse.csr_matrix
    alike: sparse.csr_matrix

    def bags(self, numbers: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The n-grams of the utterances `numbers`, flat, and where each begins, as `EmbeddingBag` takes them."""
        counts = self.offsets[numbers + 1] - self.offsets[numbers]
        starts = np.cumsum(counts) - counts
        within = np.arange(int(counts.sum())) - np.repeat(starts, counts)
        grams = self.grams[np.repeat(self.offsets[numbers], counts) + within]
        return torch.from_numpy(grams), torch.from_numpy(starts)

    def __add__(self, other: Heard) -> Heard:
        """The utterances of both, those of `other` numbered on."""
        return Heard(
            np.concatenate([self.grams, other.grams]),
            np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]),
            sparse.vstack([self.exact, other.exact], "csr"),
            sparse.vstack([self.alike, other.alike], "csr"),
        )


class Vocabulary:
    """The n-grams that occur often enough: words, pairs of words, and four letters in a row, which survive slips."""

    def __init__(self, grams: Sequence[str]) -> None:
        self.grams = list(grams)
        self._index = {gram: number for number, gram in enumerate(self.grams)}

    @classmethod
    def of(cls, texts: Iterable[str], least: int) -> Vocabulary:
        """The n-grams that occur in at least `least` of `texts`."""
        counts = Counter(gram for text in texts for gram in set(grams_of(text)))
        return cls(sorted(gram for gram, count in counts.items() if count >= least))

    def __len__(self) -> int:
        return len(self.grams)

    def of_text(self, text: str) -> list[int]:
        """The numbers of the n-grams of `text`, each once; others are left out."""
        index = self._index
        return [index[gram] for gram in dict.fromkeys(grams_of(text)) if gram in index]


def grams_of(text: str) -> list[str]:
    """The n-grams of `text`: "a drama" gives a, drama, "a drama", #<dra, #dram, #rama, #ama>."""
    words = words_of(text)
    grams = [*words, *(f"{one} {two}" for one, two in pairwise(words))]
    for word in words:
        if len(word) > 3:
            marked = f"<{word}>"
            grams += [f"#{marked[at : at + 4]}" for at in range(len(marked) - 3)]
    return grams


class Ear:
    """Turns texts into `Heard`."""

    def __init__(self, values: Values, vocabulary: Vocabulary) -> None:
        self.values, self.vocabulary = values, vocabulary
        self._whole: dict[str, list[int]] = {}
        self._names = names = [" ".join(words_of(name)) for name in values.names]
        for value, name in enumerate(names):
            if name:
                self._whole.setdefault(name, []).append(value)
        # One year is like another, and is not meant by it.
        parts = [set() if name.isdigit() else _trigrams(name) for name in names]
        counts = Counter(part for of_name in parts for part in of_name)
        # What one name in twenty has tells nothing, and would be most of the work.
        kept = sorted(part for part, count in counts.items() if count <= max(20, len(names) / 20))
        self._parts = {part: number for number, part in enumerate(kept)}
        rows = [
            (self._parts[part], value)
            for value, of_name in enumerate(parts)
            for part in of_name
            if part in self._parts
        ]
        lengths = np.bincount([value for _, value in rows], minlength=len(names)).astype(np.float32)
        at = np.array(rows, np.int64).reshape(-1, 2)
        self._shares = sparse.csr_matrix((1 / lengths[at[:, 1]], (at[:, 0], at[:, 1])), (len(kept), len(names)))

    def hear(self, texts: Sequence[str]) -> Heard:
        """The N `texts`."""
        grams = [self.vocabulary.of_text(text) for text in texts]
        offsets = np.concatenate([[0], np.cumsum([len(of_text) for of_text in grams])]).astype(np.int64)
        flat = np.array([gram for of_text in grams for gram in of_text], np.int64)
        exact, alike = [], []
        for start in range(0, len(texts), _TOGETHER):
            words = [words_of(text) for text in texts[start : start + _TOGETHER]]
            exact.append(self._named(words))
            alike.append(self._like(words, exact[-1]))
        nothing = sparse.csr_matrix((0, len(self.values)), dtype=np.float32)
        return Heard(flat, offsets, sparse.vstack([nothing, *exact], "csr"), sparse.vstack([nothing, *alike], "csr"))

    def _named(self, texts: list[list[str]]) -> sparse.csr_matrix:
        rows, values = [], []
        for row, words in enumerate(texts):
            for size in range(1, _LONGEST + 1):
                for at in range(len(words) - size + 1):
                    found = self._whole.get(" ".join(words[at : at + size]))
                    if found:
                        rows += [row] * len(found)
                        values += found
        matrix = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, values)), (len(texts), len(self.values)))
        matrix.data[:] = 1  # a name said twice
        return matrix

    def _like(self, texts: list[list[str]], exact: sparse.csr_matrix) -> sparse.csr_matrix:
        rows, parts = [], []
        for row, words in enumerate(texts):
            for part in _trigrams(" ".join(words)):
                number = self._parts.get(part)
                if number is not None:
                    rows.append(row)
                    parts.append(number)
        present = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, parts)), (len(texts), len(self._parts)))
        shares = (present @ self._shares).tocoo()
        near = shares.data >= _NEAR
        rows, values = shares.row[near], shares.col[near]
        said = [f" {' '.join(words)} " for words in texts]
        ratios = [
            partial_ratio(f" {self._names[value]} ", said[row], score_cutoff=100 * _LIKE)
            for row, value in zip(rows.tolist(), values.tolist(), strict=True)
        ]
        likeness = np.maximum(np.array(ratios, np.float32) / 100 - _LIKE, 0) / (1 - _LIKE)
        alike = sparse.csr_matrix((likeness, (rows, values)), shares.shape)
        alike = sparse.csr_matrix(alike - alike.multiply(exact), dtype=np.float32)
        alike.eliminate_zeros()
        return alike


def _trigrams(text: str) -> set[str]:
    marked = f" {text} "
    return {marked[at : at + 3] for at in range(len(marked) - 2)} if text else set()
