"""Every way to say the titles of a catalogue, and where a text says one: whole, in part, misspelt."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from latentcrs.base.words import place_by_use

LONGEST = 14  # words of a title
SORTS = ("whole", "other", "beginning", "part", "series")
FUZZY_CHARACTERS = 7  # of a title without its blanks: a slip in a shorter one makes another word of it
FUZZY_SHARE = 0.5  # of a title's trigrams that a misspelt one still has
FUZZY_RATIO = 84.0
FUZZY_LOOKS = 24
"""How many titles at most are compared with a sentence letter by letter."""
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|&")
ARTICLES = frozenset("the a an la le les l el los las il lo der die das ein eine un una une".split())
_BRACKETS = re.compile(r"\s*[(\[]([^)\]]*)[)\]]")
_MOVED = re.compile(r"^(.*),\s*(?:the|a|an|la|le|les|l'|el|los|las|il|lo|der|die|das|un|une|una|ein|eine)$", re.I)
_PARTS = re.compile(r"\s*:\s+|\s+[-–—]\s+")
_DOTTED = re.compile(r"(?:[^\W\d_]\.){2,}(?=\s)")  # "E.T. the Extra-Terrestrial" is said "ET"
_NUMBERS = {word: str(n) for n, word in enumerate("one two three four five six seven eight nine ten".split(), 1)}
_NUMBERS |= {word: str(n) for n, word in enumerate("ii iii iv v vi vii viii ix".split(), 2)}
_COUNTED = frozenset("part episode vol volume chapter".split())
"""Words left out before a number: "The Godfather: Part II" is said "godfather 2"."""
YEAR = r"(?:18|19|20)\d\d"
SMALL = frozenset("the a an of to and or in on at for with from by is it be this that de la le el".split())
ENDS = re.compile(r"[.!?:;…\n]")
_SERIES = 3  # titles that begin alike make a series, which is said by its beginning ("harry potter")


@dataclass(frozen=True)
class Token:
    """A word as compared (`word`), what counts in a title (`key`); whether it has a capital, or begins a sentence."""

    start: int
    end: int
    word: str
    key: str
    capital: bool
    begins: bool


@dataclass(frozen=True)
class Name:
    """One way to say a title. sort: of `SORTS`: whole, a name in brackets, before or behind a colon, a beginning."""

    words: tuple[str, ...]
    sort: str
    numbers: tuple[int, ...]
    article: bool


class TitleIndex:
    """Every way to say the titles of a catalogue, and where a text says one."""

    def __init__(self, titles: Sequence[str], years: Sequence[int | None], weights: NDArray[np.float64]) -> None:
        """titles, years: of each item. weights: how popular each is."""
        self.years = years
        self.names = _names(titles, weights)
        self._fuzzy = [k for k, name in self.names.items() if len(k) >= FUZZY_CHARACTERS and name.sort != "series"]
        postings: dict[str, list[int]] = defaultdict(list)
        sizes = []
        for number, key in enumerate(self._fuzzy):
            grams = {key[i : i + 3] for i in range(len(key) - 2)}
            sizes.append(len(grams))
            for gram in grams:
                postings[gram].append(number)
        self._postings = {gram: np.array(found, np.int32) for gram, found in postings.items()}
        self._grams = np.array(sizes, np.float32)

    def named(self, title: str) -> tuple[int, ...]:
        """The numbers of what is called exactly so, a year in brackets counted in (one off is the same film)."""
        dated = re.search(rf"[(\[]\s*({YEAR})[^)\]]*[)\]]\s*$", title)
        name = self.names.get("".join(words_of_title(title[: dated.start()] if dated else title)))
        if name is None or name.sort == "series":
            return ()
        return tuple(n for n in name.numbers if not dated or abs((self.years[n] or 0) - int(dated[1])) <= 1)

    def spans(self, text: str, tokens: Sequence[Token]) -> dict[tuple[int, int], tuple[str, float]]:
        """First and last token of every span that says a title, its key, and how alike they are (100: the same)."""
        spans: dict[tuple[int, int], tuple[str, float]] = {}
        for first in range(len(tokens)):
            key = ""
            for last in range(first, min(len(tokens), first + LONGEST)):
                key += tokens[last].key
                if key in self.names and not _is_year(text, tokens[first], last == first):
                    spans[first, last] = (key, 100.0)
        for span, key, ratio in self._misspelt(tokens):
            if span not in spans:
                spans[span] = (key, ratio)
        return spans

    def _misspelt(self, tokens: Sequence[Token]) -> list[tuple[tuple[int, int], str, float]]:
        """Spans that are a long title but for a slip or two."""
        joined, at = "", []  # at: the token of each letter
        for number, token in enumerate(tokens):
            joined += token.key
            at += [number] * len(token.key)
        grams = [
            self._postings[g] for g in {joined[i : i + 3] for i in range(len(joined) - 2)} if g in self._postings
        ]
        if not grams:
            return []
        share = np.bincount(np.concatenate(grams), minlength=len(self._fuzzy)) / self._grams
        near = np.flatnonzero(share >= FUZZY_SHARE)
        near = near[np.argsort(-share[near], kind="stable")][:FUZZY_LOOKS]
        found = []
        for number in near.tolist():
            key = self._fuzzy[number]
            place = fuzz.partial_ratio_alignment(key, joined, score_cutoff=FUZZY_RATIO - 6)
            if place is None or place.dest_end <= place.dest_start:
                continue
            first, last = at[place.dest_start], at[place.dest_end - 1]
            best = max(
                (
                    (fuzz.ratio(key, "".join(t.key for t in tokens[a : b + 1])), -(b - a), a, b)
                    for a in (first, first + 1)
                    for b in (last - 1, last)
                    if a <= b
                ),
                default=None,
            )
            if best is not None and FUZZY_RATIO <= best[0] < 100:
                found.append(((best[2], best[3]), key, best[0]))
        return found


def words_of_title(title: str) -> tuple[str, ...]:
    """A title as the words that people say of it: "Godfather: Part II, The" is godfather, 2."""
    moved = _MOVED.match(title.strip())
    words = [_compared(said) for said in _WORD.findall(moved[1] if moved else title)]
    words = [word for word in words if word]
    counted = {n for n, (word, behind) in enumerate(pairwise(words)) if word in _COUNTED and behind.isdigit()}
    words = [word for n, word in enumerate(words) if n not in counted]
    while len(words) > 1 and words[0] in ARTICLES:
        words = words[1:]
    return tuple(words)


def _names(titles: Sequence[str], weights: NDArray[np.float64]) -> dict[str, Name]:
    """Every way to say the titles, by its letters without blanks."""
    ways: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    words_of: dict[str, tuple[str, ...]] = {}
    articles: set[str] = set()

    def add(name: str, sort: str, number: int) -> tuple[str, ...]:
        words = words_of_title(name)
        key = "".join(words)
        if len(words) <= LONGEST and len(key) > 1 and not (sort != "whole" and len(words) == 1 and len(key) < 4):
            words_of.setdefault(key, words)
            ways[key][sort].append(number)
            if _MOVED.match(name) or name.lower().split(" ")[0] in ARTICLES:
                articles.add(key)
        return words

    beginnings: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, title in enumerate(titles):
        if not title or len(title) > 200:
            continue
        for inside in _BRACKETS.findall(title):
            if not re.fullmatch(r"\D*\d{4}.{0,6}", inside):
                add(inside.removeprefix("a.k.a. "), "other", number)
        whole = _BRACKETS.sub(" ", title).strip()
        words = add(whole, "whole", number)
        if initials := _DOTTED.match(whole):
            add(initials[0], "other", number)
        parts = _PARTS.split(whole)
        for part in parts if len(parts) > 1 else ():
            if part is parts[0] or " " in part:
                add(part, "beginning" if part is parts[0] else "part", number)
        for length in range(2, min(len(words), 5)):
            beginnings[words[:length]].append(number)
    for words, numbers in beginnings.items():
        if len(numbers) >= _SERIES and words[-1] not in SMALL and max(map(place_by_use, words)) > 2000:
            key = "".join(words)
            words_of.setdefault(key, words)
            ways[key]["series"] = numbers
    names = {}
    for key, sorts in ways.items():
        sort = next(sort for sort in SORTS if sort in sorts)
        every = dict.fromkeys(n for s in SORTS for n in sorted(sorts.get(s, ()), key=lambda n: -weights[n]))
        names[key] = Name(words_of[key], sort, tuple(every), key in articles)
    return names


@lru_cache(maxsize=1 << 16)
def _compared(said: str) -> str:
    """A word as it is compared: without case, accents and apostrophes, numbers as digits."""
    word = said.lower().replace("'", "").replace("’", "")
    if not word.isascii():
        word = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return "and" if word == "&" else _NUMBERS.get(word, word)


def tokens_of(text: str) -> list[Token]:
    """The words of a text, with what of them counts in a title."""
    tokens: list[Token] = []
    for match in _WORD.finditer(text):
        said = match[0]
        word = _compared(said)
        if not word:
            continue
        gap = text[tokens[-1].end : match.start()] if tokens else "."
        begins = gap != " " and bool(ENDS.search(gap))
        tokens.append(Token(match.start(), match.end(), word, word, said[0].isupper(), begins))
    for place, (token, behind) in enumerate(pairwise(tokens)):
        if token.word in _COUNTED and behind.word.isdigit():
            tokens[place] = replace(token, key="")
    return tokens


def _is_year(text: str, token: Token, alone: bool) -> bool:
    """Whether a span of this one token is a year that stands in brackets: "Red (2010)"."""
    return alone and bool(re.fullmatch(YEAR, token.word)) and text[token.start - 1 : token.start] in ("(", "[")
