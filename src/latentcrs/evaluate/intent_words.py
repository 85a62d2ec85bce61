"""The words people used while an intent was active: which words of their requests tell it from the other intents."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from latentcrs.hear.language import word_set
from latentcrs.recommend.explain import OF_REQUESTS, STOPWORDS, singular

TOKEN = re.compile(r"[^\W_]+(?:['’&-][^\W_]+)*", re.UNICODE)
KEPT = frozenset({"classic"})  # says nothing alone, and a genre with another: "classic rock"
FUNCTION_WORDS = (
    STOPWORDS
    | OF_REQUESTS
    | word_set("en", "function")
    | word_set("en", "talk")
    | frozenset("along bit buy cd come decide fits flick got hey lines lp okay rated record request usually".split())
) - KEPT
FEWEST = 6
"""A word said of fewer items is left out: it tells of them, not of an intent, or is a slip of the fingers."""
PRIOR = 100.0
"""a_0: how many words of the whole corpus every intent is taken to have said beforehand."""
TELLING = 3.0
"""The least z-score of a word that is shown; hundreds of intents times thousands of words are compared."""


class Corpus:
    """Requests as sets of terms: words, names the catalogue knows, and pairs of words that mostly stand together.

    `terms` are as people write them; `counts` (requests, terms) is sparse, 1 where a request has the term.
    """

    def __init__(self, texts: Sequence[str], targets: Sequence[int], names: Iterable[str] = ()) -> None:
        """targets: the item each request is about. names: values of the catalogue; their words stay together."""
        said = _joined_names([TOKEN.findall(text) for text in texts], names)
        lower = _joined_plurals([[token.lower() for token in tokens] for tokens in said])
        for _ in range(2):  # twice, for names of three words
            lower, said = _joined_pairs(lower, said)
        said_of = {(term, item) for terms, item in zip(lower, targets, strict=True) for term in terms}
        found = Counter(term for term, _ in said_of if not _empty(term))
        kept = sorted(term for term, count in found.items() if count >= FEWEST)
        number = {term: place for place, term in enumerate(kept)}
        rows = [(row, number[term]) for row, terms in enumerate(lower) for term in set(terms) if term in number]
        places = np.array(rows, np.int64).reshape(-1, 2)
        self.counts = sparse.csr_matrix(
            (np.ones(len(places), np.float32), (places[:, 0], places[:, 1])), shape=(len(texts), len(kept))
        )
        self.terms = _as_written(kept, lower, said)


def distinctive(y: NDArray[np.float64], y2: NDArray[np.float64], prior: float = PRIOR) -> NDArray[np.float64]:
    """z-scores of the log-odds of each word in each intent against all other intents, (K, terms).

    y (K, terms): how often each word was said, a request counting for intent j by its f_j; y2 the same with f_j^2.
    Log-odds ratio with an informative Dirichlet prior, Equations 15 to 22 of Monroe, Colaresi and Quinn, "Fightin'
    Words" (2008); the prior is the corpus itself. A count that is a sum of fractions has variance y2, a whole one y.
    """
    total = y.sum(0)
    a = prior * total / max(total.sum(), 1e-12)
    rest, rest2 = total - y, y2.sum(0) - y2
    n, n_rest = y.sum(1, keepdims=True), rest.sum(1, keepdims=True)
    a_0 = a.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        here = np.log((y + a) / (n + a_0 - y - a))
        there = np.log((rest + a) / (n_rest + a_0 - rest - a))
        z = (here - there) / np.sqrt((y2 + a) / (y + a) ** 2 + (rest2 + a) / (rest + a) ** 2)
    return np.nan_to_num(z, posinf=0.0, neginf=0.0)


def telling_words(z: NDArray[np.float64], terms: Sequence[str], most: int = 12) -> list[list[str]]:
    """The terms of each intent with a z-score of at least `TELLING`, the most telling first."""
    order = np.argsort(-z, axis=1, kind="stable")[:, :most]
    return [[terms[t] for t in row if z[intent, t] >= TELLING] for intent, row in enumerate(order)]


def _empty(term: str) -> bool:
    return term in FUNCTION_WORDS or (len(term) < 3 and not term.isdigit())


def _joined_names(said: list[list[str]], names: Iterable[str]) -> list[list[str]]:
    """The words of each request, a name that the catalogue knows as one of them; the longest that fits."""
    known = {tuple(TOKEN.findall(name.lower())) for name in names}
    starts: dict[str, list[tuple[str, ...]]] = {}
    for name in sorted(known, key=lambda name: (-len(name), name)):
        if len(name) > 1:
            starts.setdefault(name[0], []).append(name)
    found = []
    for words in said:
        lower = tuple(word.lower() for word in words)
        row, place = [], 0
        while place < len(words):
            candidates = starts.get(lower[place], ())
            width = next((len(c) for c in candidates if lower[place : place + len(c)] == c), 1)
            row.append(" ".join(words[place : place + width]))
            place += width
        found.append(row)
    return found


def _joined_plurals(said: list[list[str]]) -> list[list[str]]:
    """Plurals as their singular where people say that too ("comedies"), never a name ("hanks", "james")."""
    found = Counter(word for words in said for word in words)
    one = {word: singular(word) for word in found}
    shorter = {word: base for word, base in one.items() if base != word and found[base] >= found[word] / 2}
    return [[shorter.get(word, word) for word in words] for words in said]


def _joined_pairs(terms: list[list[str]], said: list[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Neighbours as one term where one of them mostly stands beside the other."""
    single = Counter(term for row in terms for term in row)
    pairs = Counter(pair for row in terms for pair in pairwise(row) if not (_empty(pair[0]) or _empty(pair[1])))
    least = {pair: max(FEWEST, 0.5 * min(single[pair[0]], single[pair[1]])) for pair in pairs}
    joined = {pair for pair, count in pairs.items() if count >= least[pair]}
    new_terms, new_said = [], []
    for row, written in zip(terms, said, strict=True):
        row_terms: list[str] = []
        row_said: list[str] = []
        place = 0
        while place < len(row):
            width = 2 if tuple(row[place : place + 2]) in joined else 1
            row_terms.append(" ".join(row[place : place + width]))
            row_said.append(" ".join(written[place : place + width]))
            place += width
        new_terms.append(row_terms)
        new_said.append(row_said)
    return new_terms, new_said


def _as_written(kept: Sequence[str], terms: list[list[str]], said: list[list[str]]) -> list[str]:
    """Each term as it is mostly written, not counting the first word of a sentence and sentences without capitals."""
    forms: dict[str, Counter[str]] = {term: Counter() for term in kept}
    for row, written in zip(terms, said, strict=True):
        if not any(word[:1].isupper() for word in written[1:]):
            continue
        for term, form in zip(row[1:], written[1:], strict=True):
            if term in forms and form.lower() == term:
                forms[term][form] += 1
    return [forms[term].most_common(1)[0][0] if forms[term] else term for term in kept]
