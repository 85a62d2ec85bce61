"""Finds the titles of a catalogue in what people type, by what speaks for each way to say one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.words import RARE, place_by_use
from latentcrs.recommend.title_index import ARTICLES, ENDS, SMALL, YEAR, TitleIndex, Token, tokens_of

LEAST = 0.4
"""Spans less certain than this are not taken for titles."""
_ORDINALS = {word: n for n, word in enumerate("first second third fourth fifth sixth seventh".split(), 1)}
_ORDINALS |= {"original": 1, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
_YEAR_BEHIND = re.compile(rf"\s*,?\s*(?:[(\[]\s*({YEAR})[^)\]]*[)\]]|(?:from |of |the |in )?(?<!\d)({YEAR})\b(?!s))")
_YEAR_BEFORE = re.compile(rf"\b({YEAR})(?:'s|’s)?\s+(?:the\s+)?(?:version\s+of\s+)?$")
_CUES = frozenset(
    "seen see saw watched watch watching like liked likes love loved loves enjoyed enjoy adore adored hated hate "
    "dislike disliked called named titled favorite favorites favourite favourites similar about than recommend try "
    "played read finished heard rewatched including vein lines style spirit reminiscent vi visto gusta gustó encanta "
    "encantó como wie gesehen mag mochte liebe vu comme aime aimé adoré regardé".split()
)
_PASSED = frozenset(
    "the a an to of is are was were movie movies film films one ones really also both either as such game games "
    "album book show classic old new original first second third and or also maybe even all my on version la el "
    "le die der das de".split()
)
"""Words between a cue and a title."""
_DETERMINERS = frozenset("a an any some no more other another good great my your his her their this that".split())
_SAID_OF = frozenset("is was has had looks sounds isnt wasnt ist war hat es era est etait".split())
_QUOTES = "\"“”«»‘’'"

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
    """A title in a text. start, end: characters. numbers: titles it may mean, likeliest first. certainty: 0..1."""

    start: int
    end: int
    numbers: tuple[int, ...]
    certainty: float


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
        """titles, years: of each item. weights: popularity, which decides between two of one name and no year."""
        self.years = list(years)
        self.weights = np.asarray(weights, np.float64)
        # (n,) 0..1, equal ones alike
        self._popular = pl.Series(self.weights).rank("average").to_numpy().astype(np.float64) / max(len(titles), 1)
        if len(self.weights) and np.ptp(self.weights) == 0:
            self._popular[:] = 0.85  # nothing is known: as popular as what people mention mostly is
        self.index = TitleIndex(titles, self.years, self.weights)
        self._found = lru_cache(maxsize=64)(self._find)  # what is heard is looked through again to rank and explain

    def find(self, text: str) -> list[TitleMention]:
        """The titles in `text`, in order; they do not overlap."""
        return list(self._found(text))

    def _find(self, text: str) -> tuple[TitleMention, ...]:
        candidates = self.candidates(text)
        certain = _certainty([candidate.features for candidate in candidates])
        chosen = _apart(candidates, certain)
        # A second look: what stands in a list with a title is more likely one.
        listed = _in_lists(text, candidates, [candidates[i] for i in chosen if certain[i] >= LEAST])
        for candidate, beside in zip(candidates, listed, strict=True):
            candidate.features["listed"] = beside
        certain = _certainty([candidate.features for candidate in candidates])
        found = [(candidates[i], float(certain[i])) for i in _apart(candidates, certain) if certain[i] >= LEAST]
        found.sort(key=lambda pair: pair[0].start)
        return tuple(TitleMention(c.start, c.end, c.numbers, round(p, 3)) for c, p in found)

    def candidates(self, text: str) -> list[Candidate]:
        """Every span of `text` that may be a title."""
        tokens = tokens_of(text)
        case = _case(tokens)
        spans = self.index.spans(text, tokens)
        return [self._candidate(text, tokens, span, *found, case) for span, found in spans.items()]

    def _candidate(
        self, text: str, tokens: Sequence[Token], span: tuple[int, int], key: str, ratio: float, case: str
    ) -> Candidate:
        name = self.index.names[key]
        first, last = span
        start, end = tokens[first].start, tokens[last].end
        before = tokens[first - 1] if first else None
        article = before is not None and before.word in ARTICLES
        numbers, year = self._by_year(text, start, end, name.numbers)
        if before is not None and before.word in _ORDINALS and name.sort != "series":
            numbers = self._by_ordinal(_ORDINALS[before.word], key, numbers)
        part = tokens[first : last + 1]
        # An article that is part of the title belongs to the span, and with a capital to a name.
        head = first - 1 if article else first
        opened = tokens[head].start if article else start
        content = [t for t in part if t.word not in SMALL] or part
        capital = all(t.capital or t.word.isdigit() for t in content)
        places = [place_by_use(t.word) for t in content]
        cued, cue = _cue(text, tokens, head)
        # "that rudy movie"
        pointed = before is not None and before.word in ("this", "that") and last + 1 < len(tokens)
        pointed = pointed and tokens[last + 1].word in ("movie", "film", "game", "book", "album", "show")
        cued, cue = (True, "that") if pointed else (cued, cue)
        features = {
            "words": min(len(content), 4) - 1.0,
            "letters": np.log(sum(len(t.word) for t in part)) - 2.0,
            "rare": np.log(max(places)) - 8.0,
            "all rare": np.log(min(places)) - 8.0,
            "popular": float(self._popular[numbers[0]]) - 0.5,
            "slips": (100.0 - ratio) / 10,
            "a slip that is a word": float(ratio < 100 and all(place < RARE for place in places)),
            "joined otherwise": float(ratio == 100 and len(part) != len(name.words) and not _initials(name.words)),
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
            "determined": float(before is not None and before.word in _DETERMINERS and not pointed),
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
        if ordinal > 1 and f"{key}{ordinal}" in self.index.names:
            return self.index.names[f"{key}{ordinal}"].numbers
        if ordinal > len(numbers):
            return numbers
        meant = sorted(numbers, key=lambda n: self.years[n] or 9999)[ordinal - 1]
        return (meant, *(n for n in numbers if n != meant))


def _case(tokens: Sequence[Token]) -> str:
    """Whether capitals tell anything: "mixed", or "alike" where nearly all words have one or none."""
    words = [t for t in tokens if t.word[0].isalpha() and t.word != "i"]
    capitals = sum(t.capital and not t.begins for t in words)
    some = capitals > 0 and (len(words) < 3 or sum(t.capital for t in words) <= 0.8 * len(words))
    return "mixed" if some else "alike"


def _is_name(text: str, tokens: Sequence[Token], left: int, place: int) -> bool:
    """Whether the token at `place` has a capital, and only a blank lies between token `left` and the next."""
    if left < 0 or left + 1 >= len(tokens) or not tokens[place].capital or tokens[place].word == "i":
        return False
    return not text[tokens[left].end : tokens[left + 1].start].strip()


def _initials(words: Sequence[str]) -> bool:
    """Whether these are letters that people write as one word: E.T., M*A*S*H."""
    return len(words) > 1 and all(len(word) == 1 for word in words)


def _quoted(text: str, start: int, end: int) -> bool:
    return start > 0 and text[start - 1] in _QUOTES and text[end : end + 1] != "" and text[end] in _QUOTES


def _cue(text: str, tokens: Sequence[Token], first: int) -> tuple[bool, str]:
    """Whether "seen", "loved", "similar to" and the like stand in front, and which."""
    before = [token.word for token in tokens[max(0, first - 1) : first + 1]]
    if before in (["a", "la"], ["à", "la"]):
        return True, "like"
    for place in range(first - 1, max(-1, first - 6), -1):
        if ENDS.search(text[tokens[place].end : tokens[place + 1].start]) and place + 1 <= first:
            break
        word = tokens[place].word
        if word in _CUES:
            return True, "like" if word == "like" else word
        if word not in _PASSED and not re.fullmatch(YEAR, word):
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
    beside = re.compile(rf"\s*(?:[(\[]?{YEAR}[)\]]?)?\s*(?:,|and|or|&|y|und|et|/|\s)+(?:the\s+)?", re.I)

    def near(one: Candidate, other: Candidate) -> bool:
        return 0 < other.start - one.end < 20 and bool(beside.fullmatch(text[one.end : other.start]))

    return [float(any(near(f, c) or near(c, f) for f in found)) for c in candidates]
