"""Words as they are: BM25 of a request against every item's text, as one sparse matrix of words and items."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

K1, B = 1.5, 0.75
AT_ONCE = 2048
_JOINED = re.compile(r"\b[^\W\d_]+(?:-[^\W\d_]+)+\b")
FAINT, COMMON = 0.1, 0.08
UNHEARD, FULLY = 3.0, 3.0
"""Answers with a word that it must be expected to bring before what it brought is believed as much as that it tells
something; and how much more often items that answer have a word that was said, from which on it tells all it can.
"""


class Lexical:
    """BM25 weights of n texts (Robertson & Zaragoza, FnTIR 2009, in Lucene's form, as bm25s has it).

    words: the vocabulary, stemmed, without stop words. weights: (words, n). idf (words,) and `average`, the mean
    length of a text, are of the texts that it was built on, so that texts which join later are weighed alike.
    telling (words,), 0..1: how much a word counts that is said; see `listening`.
    """

    def __init__(
        self,
        words: Sequence[str],
        weights: sp.csr_matrix,
        idf: NDArray[np.float32],
        average: float,
        telling: NDArray[np.float32] | None = None,
    ) -> None:
        self.words, self.weights, self.idf, self.average = list(words), weights, idf, average
        self.telling = np.ones(len(self.words), np.float32) if telling is None else telling
        self._number = {word: number for number, word in enumerate(self.words)}

    @classmethod
    def build(cls, texts: Sequence[str]) -> Lexical:
        """Of the items' texts."""
        tokens = tokenized(texts)
        words = list(dict.fromkeys(word for text in tokens for word in text))
        found = Counter(word for text in tokens for word in set(text))
        having = np.array([found[word] for word in words], np.float32)
        idf = np.log1p((len(texts) - having + 0.5) / (having + 0.5)).astype(np.float32)
        average = sum(map(len, tokens)) / max(1, len(texts))
        empty = cls(words, sp.csr_matrix((len(words), 0), dtype=np.float32), idf, average)
        return empty.with_texts(texts, tokens)

    def with_texts(self, texts: Sequence[str], tokens: list[list[str]] | None = None) -> Lexical:
        """The same with more texts behind its own; a word that was in none of them counts as the rarest."""
        tokens = tokenized(texts) if tokens is None else tokens
        if fresh := list(dict.fromkeys(word for text in tokens for word in text if word not in self._number)):
            n = self.weights.shape[1]
            idf = np.concatenate([self.idf, np.full(len(fresh), np.log1p((n + 0.5) / 0.5), np.float32)])
            empty = sp.csr_matrix((len(fresh), n), dtype=np.float32)
            weights = sp.csr_matrix(sp.vstack([self.weights, empty], "csr"))
            telling = np.concatenate([self.telling, np.ones(len(fresh), np.float32)])
            return Lexical([*self.words, *fresh], weights, idf, self.average, telling).with_texts(texts, tokens)
        counts = self._counts(tokens)
        lengths = np.repeat(np.asarray(counts.sum(1)).ravel(), np.diff(counts.indptr))
        counts.data /= counts.data + K1 * (1 - B + B * lengths / max(self.average, 1e-9))
        more = sp.csr_matrix(counts.multiply(self.idf[None, :]).T, dtype=np.float32)
        return self._with(sp.hstack([self.weights, more], "csr", np.float32))

    def _with(self, weights: sp.csr_matrix) -> Lexical:
        return Lexical(self.words, weights, self.idf, self.average, self.telling)

    def with_others(self, numbers: NDArray[np.integer], texts: Sequence[str]) -> Lexical:
        """The same with other texts in the place of those of these numbers."""
        more = self.with_texts(texts)
        order = np.arange(self.weights.shape[1])
        order[numbers] = len(order) + np.arange(len(texts))
        return more._with(sp.csr_matrix(more.weights[:, order]))

    def listening(self, requests: Sequence[str], targets: NDArray[np.integer]) -> Lexical:
        """The same, knowing which words tell something, by requests (R) and the items (R,) that answered them: one
        that says "french" is answered by items with that word more often than others are, one that says "something"
        is not. It takes the place of a list of words that people ask with.
        """
        answered = np.bincount(targets, minlength=self.weights.shape[1]).astype(np.float32)
        has = sp.csr_matrix((self.weights > 0).T, dtype=np.float32)  # (n, words)
        share = (has.T @ answered / max(1, len(targets))).clip(1e-4, 1 - 1e-4)
        heard, hits = np.zeros(len(self.words), np.float64), np.zeros(len(self.words), np.float64)
        for start in range(0, len(requests), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            said = sp.csr_matrix(self._said(requests[part]) > 0, dtype=np.float32)
            heard += np.asarray(said.sum(0)).ravel()
            hits += np.asarray(said.multiply(has[targets[part]]).sum(0)).ravel()
        by_chance = heard * share
        fully = np.minimum(FULLY, 1 + (1 / share - 1) / 2)  # a word that half of all items have lifts no more
        found = np.clip(np.log((hits + 1) / (by_chance + 1)) / np.log(fully), 0, 1)
        expected = fully * by_chance  # if it told all it can: of a rare word, a few requests show nothing
        telling = ((UNHEARD + expected * found) / (UNHEARD + expected)).astype(np.float32)
        return Lexical(self.words, self.weights, self.idf, self.average, telling)

    def tells(self, word: str) -> bool:
        """Whether a word, or one of several, says which items are meant: at most a `COMMON` part of the texts has it,
        and what was `listening` found that it does; a word that no text has may.
        """
        found = [self._number[stem] for stem in tokenized([word])[0] if stem in self._number]
        rare = np.log1p((1 - COMMON) / COMMON)
        return not found or any(self.idf[n] > rare and self.telling[n] >= 0.5 for n in found)

    def counts(self, texts: Sequence[str]) -> sp.csr_matrix:
        """How much each text says each word, (B, words): how often, times `telling`."""
        counts = self._said(texts)
        counts.data *= self.telling[counts.indices]
        return counts

    def _said(self, texts: Sequence[str]) -> sp.csr_matrix:
        """How often each text has each word, (B, words), two words that the items' texts join as that one too."""
        said = tokenized(texts)
        return self._counts([text + [a + b for a, b in pairwise(text) if a + b in self._number] for text in said])

    def _counts(self, tokens: list[list[str]]) -> sp.csr_matrix:
        rows, columns = [], []
        for row, text in enumerate(tokens):
            known = [self._number[word] for word in text if word in self._number]
            columns += known
            rows += [row] * len(known)
        shape = (len(tokens), len(self.words))
        return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)

    def matches(self, counts: sp.csr_matrix) -> sp.csr_matrix:
        """BM25 of texts with these counts, (B, n), without what matches a `FAINT` part as well as the best item."""
        parts = []
        for start in range(0, counts.shape[0], AT_ONCE):
            part = sp.csr_matrix(counts[start : start + AT_ONCE] @ self.weights)
            best = np.asarray(part.max(1).todense()).ravel() if part.nnz else np.zeros(part.shape[0])
            part.data[part.data < FAINT * np.repeat(best, np.diff(part.indptr))] = 0
            part.eliminate_zeros()
            parts.append(part)
        return sp.vstack(parts, "csr") if parts else sp.csr_matrix((0, self.weights.shape[1]), dtype=np.float32)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(B, n): the BM25 score of every item for each text; zeros where no word of it is in any item."""
        return (self.counts(texts) @ self.weights).toarray()


def tokenized(texts: Sequence[str]) -> list[list[str]]:
    """The stems of each text, in order, without English stop words; what a hyphen joins ("feel-good") also as one."""
    import bm25s  # late: an import of a second
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    whole = [_JOINED.sub(lambda match: f"{match[0]} {match[0].replace('-', '')}", text) for text in texts]
    found: list[list[str]] = bm25s.tokenize(
        whole, stopwords="english", stemmer=stemmer, return_ids=False, show_progress=False
    )
    return found
