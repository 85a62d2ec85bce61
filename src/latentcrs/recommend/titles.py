"""Finds the titles of a catalogue in what people type: without the article, in lower case, misspelt, in part."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rapidfuzz import fuzz

from latentcrs.base.words import RARE, place_by_use

LEAST = 0.4
"""Spans less certain than this are not taken for titles."""
LONGEST = 14  # words of a title
SORTS = ("whole", "other", "beginning", "part", "series")
FUZZY_CHARACTERS = 7  # of a title without its blanks: a slip in a shorter one makes another word of it
FUZZY_SHARE = 0.5  # of a title's trigrams that a misspelt one still has
FUZZY_RATIO = 84.0
FUZZY_LOOKS = 24
"""How many titles at most are compared with a sentence letter by letter."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|&")
_ARTICLES = frozenset("the a an la le les l el los las il lo der die das ein eine un una une".split())
_BRACKETS = re.compile(r"\s*[(\[]([^)\]]*)[)\]]")
_MOVED = re.compile(r"^(.*),\s*(?:the|a|an|la|le|les|l'|el|los|las|il|lo|der|die|das|un|une|una|ein|eine)$", re.I)
_PARTS = re.compile(r"\s*:\s+|\s+[-–—]\s+")
_NUMBERS = {word: str(n) for n, word in enumerate("one two three four five six seven eight nine ten".split(), 1)}
_NUMBERS |= {word: str(n) for n, word in enumerate("ii iii iv v vi vii viii ix".split(), 2)}
_ORDINALS = {word: n for n, word in enumerate("first second third fourth fifth sixth seventh".split(), 1)}
_ORDINALS |= {"original": 1, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
_COUNTED = frozenset("part episode vol volume chapter".split())
"""Words left out before a number: "The Godfather: Part II" is said "godfather 2"."""
_YEAR = r"(?:18|19|20)\d\d"
_YEAR_BEHIND = re.compile(
    rf"\s*,?\s*(?:[(\[]\s*({_YEAR})[^)\]]*[)\]]|(?:from |of |the |in )?(?<!\d)({_YEAR})\b(?!s))"
)
_YEAR_BEFORE = re.compile(rf"\b({_YEAR})(?:'s|’s)?\s+(?:the\s+)?(?:version\s+of\s+)?$")
_CUES = frozenset(
    "seen see saw watched watch watching like liked likes love loved loves enjoyed enjoy adore adored hated hate "
    "dislike disliked called named titled favorite favorites favourite favourites similar about than recommend try "
    "played read finished heard rewatched including vi visto gusta gustó encanta encantó como wie gesehen mag mochte "
    "liebe vu comme aime aimé adoré regardé".split()
)
_PASSED = frozenset(
    "the a an to of is are was were movie movies film films one ones really also both either as such game games "
    "album book show classic old new original first second third and or also maybe even all my on version la el "
    "le die der das de".split()
)
"""Words between a cue and a title."""
_SMALL = frozenset("the a an of to and or in on at for with from by is it be this that de la le el".split())
_SAID_OF = frozenset("is was has had looks sounds isnt wasnt ist war hat es era est etait".split())
_ENDS = re.compile(r"[.!?:;…\n]")
_QUOTES = "\"“”«»‘’'"
_SERIES = 3  # titles that begin alike make a series, which is said by its beginning ("harry potter")

# How certain a span is a title: a logistic regression over `features` of `Candidate`, fitted on ReDial's annotated
# training messages with some slips of spelling put in (recall 0.96, precision 0.94 on its validation part). The
# weights of quotation marks and of names of series are set: ReDial has no such marks, and does not annotate series.
_WEIGHTS = {
    "words": 1.95, "letters": 1.72, "rare": 0.5, "all rare": 0.82, "popular": 3.15, "slips": -1.55,
    "a slip that is a word": -3.03, "joined otherwise": -2.78, "capital": 2.02, "capital at the start": 0.63,
    "no capital": -0.99, "one word, no capital": -2.98, "quoted": 4.0, "year": 6.84, "other year": -1.64,
    "cue": 1.24, "like": 1.74, "cue, one word": 0.61, "cue, capital": 0.59, "cue right before": -0.58,
    "determined": -1.9, "capital after it": -1.49, "capital before it": 0.36, "ends there": 0.42, "alone": 1.58,
    "its article": 1.11, "an article it has not": -1.08, "without its article": -1.12, "said of": 1.26,
    "part": -6.59, "beginning": -1.4, "series": -1.9, "listed": 1.78,
}  # fmt: skip
_BIAS = -3.71


@dataclass(frozen=True)
class TitleMention:
    """One title in a text. start, end: characters. numbers: the titles it may mean, most likely first.
    certainty: 0 to 1.
    """

    start: int
    end: int
    numbers: tuple[int, ...]
    certainty: float


@dataclass(frozen=True)
class _Token:
    """A word as it is compared (`word`), what of it counts in a title (`key`), whether it has a capital or begins a
    sentence.
    """

    start: int
    end: int
    word: str
    key: str
    capital: bool
    begins: bool


@dataclass(frozen=True)
class _Name:
    """One way to say a title. sort: one of `SORTS`: the whole, another name in brackets, before a colon, behind
    it, how several titles begin.
    """

    words: tuple[str, ...]
    sort: str
    numbers: tuple[int, ...]
    article: bool


@dataclass(frozen=True)
class Candidate:
    """A span of tokens that may be a title, and what speaks for it."""

    first: int
    last: int
    start: int
    end: int
    numbers: tuple[int, ...]
    features: dict[str, float]


class TitleFinder:
    """The titles of a catalogue, by every way to say them. Built once (under a second for 20,000 titles)."""

    def __init__(self, titles: Sequence[str], years: Sequence[int | None], weights: Sequence[float]) -> None:
        """titles, years: of each item. weights: how popular each is; of two with one name the more popular is meant
        where no year decides.
        """
        self.years = list(years)
        self.weights = np.asarray(weights, np.float64)
        # (n,) 0..1, equal ones alike
        self._popular = pl.Series(self.weights).rank("average").to_numpy().astype(np.float64) / max(len(titles), 1)
        if len(self.weights) and np.ptp(self.weights) == 0:
            self._popular[:] = 0.85  # nothing is known: as popular as what people mention mostly is
        self._names = _names(titles, self.years, self.weights)
        self._longest: dict[str, int] = defaultdict(int)
        for name in self._names.values():
            beginning = "".join(name.words)[:3]
            self._longest[beginning] = max(self._longest[beginning], len(name.words) + 1)
        self._fuzzy = [
            key for key, name in self._names.items() if len(key) >= FUZZY_CHARACTERS and name.sort != "series"
        ]
        postings: dict[str, list[int]] = defaultdict(list)
        sizes = []
        for number, key in enumerate(self._fuzzy):
            grams = {key[i : i + 3] for i in range(len(key) - 2)}
            sizes.append(len(grams))
            for gram in grams:
                postings[gram].append(number)
        self._postings = {gram: np.array(found, np.int32) for gram, found in postings.items()}
        self._grams = np.array(sizes, np.float32)

    def find(self, text: str, least: float = LEAST) -> list[TitleMention]:
        """The titles in `text` of a certainty of at least `least`, in order; they do not overlap."""
        candidates = self.candidates(text)
        certain = _certainty([candidate.features for candidate in candidates])
        chosen = _apart(candidates, certain)
        # A second look: what stands in a list with a title is more likely one.
        listed = _in_lists(text, candidates, [candidates[i] for i in chosen if certain[i] >= LEAST])
        for candidate, beside in zip(candidates, listed, strict=True):
            candidate.features["listed"] = beside
        certain = _certainty([candidate.features for candidate in candidates])
        found = [(candidates[i], float(certain[i])) for i in _apart(candidates, certain) if certain[i] >= least]
        return [
            TitleMention(c.start, c.end, c.numbers, round(p, 3)) for c, p in sorted(found, key=lambda f: f[0].start)
        ]

    def named(self, title: str) -> tuple[int, ...]:
        """The numbers of what is called exactly so, a year in brackets counted in (one off is the same film)."""
        dated = re.search(rf"[(\[]\s*({_YEAR})[^)\]]*[)\]]\s*$", title)
        name = self._names.get("".join(words_of_title(title[: dated.start()] if dated else title)))
        if name is None or name.sort == "series":
            return ()
        return tuple(n for n in name.numbers if not dated or abs((self.years[n] or 0) - int(dated[1])) <= 1)

    def candidates(self, text: str) -> list[Candidate]:
        """Every span of `text` that may be a title."""
        tokens = _tokens(text)
        spans: dict[tuple[int, int], tuple[str, float]] = {}
        for first in range(len(tokens)):
            key = ""
            for last in range(first, min(len(tokens), first + LONGEST)):
                key += tokens[last].key
                if key in self._names and not _is_year(text, tokens[first], last == first):
                    spans[first, last] = (key, 100.0)
        for span, key, ratio in self._misspelt(tokens):
            if span not in spans:
                spans[span] = (key, ratio)
        case = _case(tokens)
        return [self._candidate(text, tokens, span, *found, case) for span, found in spans.items()]

    def _misspelt(self, tokens: Sequence[_Token]) -> list[tuple[tuple[int, int], str, float]]:
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

    def _candidate(
        self, text: str, tokens: Sequence[_Token], span: tuple[int, int], key: str, ratio: float, case: str
    ) -> Candidate:
        name = self._names[key]
        first, last = span
        start, end = tokens[first].start, tokens[last].end
        before = tokens[first - 1] if first else None
        article = before is not None and before.word in _ARTICLES
        numbers, year = self._by_year(text, start, end, name.numbers)
        if before is not None and before.word in _ORDINALS and name.sort != "series":
            numbers = self._by_ordinal(_ORDINALS[before.word], key, numbers)
        part = tokens[first : last + 1]
        # An article that is part of the title belongs to the span, and with a capital to a name.
        head = first - 1 if article else first
        opened = tokens[head].start if article else start
        content = [t for t in part if t.word not in _SMALL] or part
        capital = all(t.capital or t.word.isdigit() for t in content)
        places = [place_by_use(t.word) for t in content]
        cued, cue = _cue(text, tokens, head)
        features = {
            "words": min(len(content), 4) - 1.0,
            "letters": np.log(sum(len(t.word) for t in part)) - 2.0,
            "rare": np.log(max(places)) - 8.0,
            "all rare": np.log(min(places)) - 8.0,
            "popular": float(self._popular[numbers[0]]) - 0.5,
            "slips": (100.0 - ratio) / 10,
            "a slip that is a word": float(ratio < 100 and all(place < RARE for place in places)),
            "joined otherwise": float(ratio == 100 and len(part) != len(name.words)),
            "capital": float(capital and case == "mixed" and not content[0].begins),
            "capital at the start": float(capital and case == "mixed" and content[0].begins),
            "no capital": float(not capital and case == "mixed"),
            "one word, no capital": float(not capital and case == "mixed" and len(content) == 1),
            "quoted": float(_quoted(text, opened, end) or _quoted(text, start, end)),
            "year": float(year == "right"),
            "other year": float(year == "other"),
            "cue": float(cued and cue != "like"),
            "like": float(cued and cue == "like"),
            "cue, one word": float(cued and len(content) == 1),
            "cue, capital": float(cued and capital and case == "mixed"),
            "cue right before": float(cued and tokens[first - 1].word == cue),
            "determined": float(before is not None and before.word in _DETERMINERS),
            "capital after it": float(_is_name(text, tokens, last, last + 1)),
            "capital before it": float(_is_name(text, tokens, head - 1, head - 1) and not tokens[head - 1].begins),
            "ends there": float(not re.match(r"\s*[^\W\d]", text[end:])),
            "alone": float(head == 0 and last + 1 == len(tokens)),
            "its article": float(article and name.article),
            "an article it has not": float(article and not name.article),
            "without its article": float(not article and name.article),
            "said of": float(last + 1 < len(tokens) and tokens[last + 1].word in _SAID_OF),
            "part": float(name.sort == "part"),
            "beginning": float(name.sort == "beginning"),
            "series": float(name.sort == "series"),
            "other name": float(name.sort == "other"),
            "listed": 0.0,
        }  # fmt: skip
        return Candidate(head, last, opened, end, numbers, features)

    def _by_year(self, text: str, start: int, end: int, numbers: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        """`numbers` with those of the year that stands beside the span first, and whether that year is "right"."""
        behind, ahead = _YEAR_BEHIND.match(text, end), _YEAR_BEFORE.search(text[:start])
        said = int(behind[1] or behind[2]) if behind else int(ahead[1]) if ahead else None
        if said is None:
            return numbers, ""
        distance = {n: abs((self.years[n] or 0) - said) for n in numbers}
        if min(distance.values()) > 1:
            return numbers, "other"
        return tuple(sorted(numbers, key=lambda n: distance[n])), "right"

    def _by_ordinal(self, ordinal: int, key: str, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """ "the first Alien": the oldest of that name; "the second Toy Story": the one with a 2 behind it."""
        if ordinal > 1 and f"{key}{ordinal}" in self._names:
            return self._names[f"{key}{ordinal}"].numbers
        dated = sorted(numbers, key=lambda n: self.years[n] or 9999)
        return (
            tuple([dated[ordinal - 1], *(n for n in numbers if n != dated[ordinal - 1])])
            if ordinal <= len(dated)
            else numbers
        )


_DETERMINERS = frozenset("a an any some no more other another good great my your his her their this that".split())


def words_of_title(title: str) -> tuple[str, ...]:
    """A title as the words that people say of it: "Godfather: Part II, The" is godfather, 2."""
    moved = _MOVED.match(title.strip())
    words = [_compared(said) for said in _WORD.findall(moved[1] if moved else title)]
    words = [word for word in words if word]
    counted = {n for n, (word, behind) in enumerate(pairwise(words)) if word in _COUNTED and behind.isdigit()}
    words = [word for n, word in enumerate(words) if n not in counted]
    while len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return tuple(words)


def _names(titles: Sequence[str], years: Sequence[int | None], weights: NDArray[np.float64]) -> dict[str, _Name]:
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
            if _MOVED.match(name) or name.lower().split(" ")[0] in _ARTICLES:
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
        parts = _PARTS.split(whole)
        for part in parts if len(parts) > 1 else ():
            if part is parts[0] or " " in part:
                add(part, "beginning" if part is parts[0] else "part", number)
        for length in range(2, min(len(words), 5)):
            beginnings[words[:length]].append(number)
    for words, numbers in beginnings.items():
        if len(numbers) >= _SERIES and words[-1] not in _SMALL and max(map(place_by_use, words)) > 2000:
            key = "".join(words)
            words_of.setdefault(key, words)
            ways[key]["series"] = numbers
    names = {}
    for key, sorts in ways.items():
        sort = next(sort for sort in SORTS if sort in sorts)
        every = dict.fromkeys(n for s in SORTS for n in sorted(sorts.get(s, ()), key=lambda n: -weights[n]))
        names[key] = _Name(words_of[key], sort, tuple(every), key in articles)
    return names


@lru_cache(maxsize=1 << 16)
def _compared(said: str) -> str:
    """A word as it is compared: without case, accents and apostrophes, numbers as digits."""
    word = said.lower().replace("'", "").replace("’", "")
    if not word.isascii():
        word = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return "and" if word == "&" else _NUMBERS.get(word, word)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    for match in _WORD.finditer(text):
        said = match[0]
        word = _compared(said)
        if not word:
            continue
        gap = text[tokens[-1].end : match.start()] if tokens else "."
        begins = gap != " " and bool(_ENDS.search(gap))
        tokens.append(_Token(match.start(), match.end(), word, word, said[0].isupper(), begins))
    for place, (token, behind) in enumerate(pairwise(tokens)):
        if token.word in _COUNTED and behind.word.isdigit():
            tokens[place] = replace(token, key="")
    return tokens


def _is_year(text: str, token: _Token, alone: bool) -> bool:
    """Whether a span of this one token is a year that stands in brackets: "Red (2010)"."""
    return alone and bool(re.fullmatch(_YEAR, token.word)) and text[token.start - 1 : token.start] in ("(", "[")


def _case(tokens: Sequence[_Token]) -> str:
    """Whether capitals tell anything: "mixed", or "alike" where nearly all words have one or none."""
    words = [t for t in tokens if t.word[0].isalpha() and t.word != "i"]
    capitals = sum(t.capital and not t.begins for t in words)
    some = capitals > 0 and (len(words) < 3 or sum(t.capital for t in words) <= 0.8 * len(words))
    return "mixed" if some else "alike"


def _is_name(text: str, tokens: Sequence[_Token], left: int, place: int) -> bool:
    """Whether the token at `place` has a capital, and only a blank lies between token `left` and the next."""
    if left < 0 or left + 1 >= len(tokens) or not tokens[place].capital or tokens[place].word == "i":
        return False
    return not text[tokens[left].end : tokens[left + 1].start].strip()


def _quoted(text: str, start: int, end: int) -> bool:
    return start > 0 and text[start - 1] in _QUOTES and text[end : end + 1] != "" and text[end] in _QUOTES


def _cue(text: str, tokens: Sequence[_Token], first: int) -> tuple[bool, str]:
    """Whether "seen", "loved", "similar to" and the like stand in front, and which."""
    for place in range(first - 1, max(-1, first - 6), -1):
        if _ENDS.search(text[tokens[place].end : tokens[place + 1].start]) and place + 1 <= first:
            break
        word = tokens[place].word
        if word in _CUES:
            return True, "like" if word == "like" else word
        if word not in _PASSED and not re.fullmatch(_YEAR, word):
            break
    return False, ""


def _certainty(features: Sequence[dict[str, float]]) -> NDArray[np.float64]:
    scores = [_BIAS + sum(_WEIGHTS.get(name, 0.0) * value for name, value in found.items()) for found in features]
    return 1 / (1 + np.exp(-np.array(scores, np.float64)))


def _apart(candidates: Sequence[Candidate], certain: NDArray[np.float64]) -> list[int]:
    """Places of candidates that do not overlap, the longest likely ones first."""
    order = sorted(
        range(len(candidates)), key=lambda i: -(certain[i] + 0.15 * (candidates[i].last - candidates[i].first))
    )
    taken: set[int] = set()
    chosen = []
    for place in order:
        covered = set(range(candidates[place].first, candidates[place].last + 1))
        if not covered & taken:
            taken |= covered
            chosen.append(place)
    return chosen


def _in_lists(text: str, candidates: Sequence[Candidate], found: Sequence[Candidate]) -> list[float]:
    """Whether each candidate stands beside a title of `found`, with only "and", "or" or a comma between."""
    beside = re.compile(rf"\s*(?:[(\[]?{_YEAR}[)\]]?)?\s*(?:,|and|or|&|y|und|et|/|\s)+(?:the\s+)?", re.I)
    return [
        float(
            any(
                (0 < c.start - f.end < 20 and beside.fullmatch(text[f.end : c.start]))
                or (0 < f.start - c.end < 20 and beside.fullmatch(text[c.end : f.start]))
                for f in found
            )
        )
        for c in candidates
    ]
