"""An utterance as tokens, and as one line of normalised words on which patterns can be written."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import lru_cache

_TOKEN = re.compile(
    r"""
    (?<!\w)['’‘`]\d\d(?:['’]?s)?\b            # '94, '90s
    |\d{1,3}(?:,\d{3})+(?!\d)|\d+\.\d+(?!\w)  # 1,000 and 29.99
    |[^\W_]+(?:['’‘`´][^\W_]+)*               # words, with their apostrophes
    |(?<=\w)\+(?!\w)                         # 1990+
    |[&+<>=$€£%/"“”«»(),;:|\n…—]
    |[.!?]+
    |(?<=\s)[-–]+(?=\s)                       # a dash, not a hyphen
    |(?<=\d)[-–](?=['’$€£]?\d)|(?<=\ds)[-–](?=['’]?\d)
    """,
    re.VERBOSE,
)
_WORDS = re.compile(r"(?<!\w)['’]\d\ds?\b|\d{1,3}(?:,\d{3})+(?!\d)|[^\W_]+(?:['’‘`´][^\W_]+)*|&")
_MARKS = dict.fromkeys(".!?…\n;", ".") | dict.fromkeys(",:()|", ",") | dict.fromkeys('"“”«»', '"')
_MARKS |= dict.fromkeys("-–—", "-") | {"&": "and"} | {mark: mark for mark in "+<>=$€£%/"}
_APOSTROPHES = str.maketrans({mark: "'" for mark in "’‘`´"})
_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ß": "ss", "ł": "l", "đ": "d"})
_ABBREVIATIONS = frozenset("st jr sr mr mrs ms dr inc ltd co corp bros vs ca vol feat ft".split())
_WITH_IS = frozenset("it that he she there what who here let".split())
"""Words behind which "'s" is no genitive."""
# Plurals that are another word without their s, or none.
_AS_THEY_ARE = {
    word: word for word in "blues christmas texas vegas marches news oldies series arms always yes thus this".split()
}
_AS_THEY_ARE |= {"movies": "movie", "children": "children", "childrens": "children", "zombies": "zombie"}
_AS_THEY_ARE |= {
    "heroes": "hero",
    "superheroes": "superhero",
    "cookies": "cookie",
    "rookies": "rookie",
    "cds": "cd",
    "pcs": "pc",
    "lps": "lp",
    "buses": "bus",
    "wars": "wars",
    "crimes": "crimes",
    "kids": "kids",
}


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """A lower-case word without its plural ending: wars -> war, comedies -> comedy, boxes -> box."""
    if word in _AS_THEY_ARE:
        return _AS_THEY_ARE[word]
    if len(word) > 4 and word.endswith("ies") and word.isalpha():
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) and word[0].isalpha():
        return word[:-1]
    return word


def plain(text: str) -> str:
    """Lower case, without diacritics."""
    text = text.lower()
    if text.isascii():
        return text
    taken_apart = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(c for c in taken_apart if not unicodedata.combining(c)).lower()


def _word(text: str) -> str:
    word = plain(text.translate(_APOSTROPHES))
    if "'" not in word:
        return word
    if word[0] == "'":  # '94, '90's
        return "'" + word[1:].replace("'", "")
    if word[0].isdigit() and word.endswith("'s"):
        return word.replace("'", "")
    base = word.removesuffix("'s")
    return base + "s" if base in _WITH_IS else base.replace("'", "")


@dataclass
class Token:
    """One word or mark. `start`, `end`: where it stands in the text. `word`: normalised. `capital`: written with a
    capital. `begins`: first word of its sentence.
    """

    start: int
    end: int
    word: str
    stem: str
    capital: bool
    begins: bool
    mark: bool
    slip: bool = False  # `word` was put right: the text has something else


@dataclass
class Line:
    """A text as its tokens, and as `line`: their words joined by single blanks, with a blank at either end.

    `at[i]` is where token i begins in `line`; `known[i]`, whether it is a word of a value of the catalogue.
    """

    text: str
    tokens: list[Token]
    line: str = ""
    at: list[int] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.join()

    def join(self) -> None:
        """Build `line` anew, after words were put right."""
        self.line = f" {' '.join(token.word for token in self.tokens)} "
        self.at, position = [], 1
        for token in self.tokens:
            self.at.append(position)
            position += len(token.word) + 1

    def first_token(self, position: int) -> int:
        """The first token that begins at `position` of `line` or behind it."""
        return bisect_left(self.at, position)

    def token_after(self, position: int) -> int:
        """The first token that begins behind `position` of `line`: the end of what ends there."""
        return bisect_right(self.at, position - 1)

    def between(self, start: int, end: int) -> str:
        """The words of tokens start..end, with a blank at either end: " or a ", or a single blank for none."""
        if start >= end:
            return " "
        last = end - 1
        return f" {self.line[self.at[start] : self.at[last] + len(self.tokens[last].word)]} "

    def before(self, token: int, most: int = 60) -> str:
        """At most `most` characters of `line` in front of a token, a blank at the end."""
        position = self.at[token] if token < len(self.at) else len(self.line)
        return self.line[max(0, position - most) : position]

    def behind(self, token: int, most: int = 60) -> str:
        """At most `most` characters of `line` behind the token before `token`, a blank in front."""
        position = self.at[token] - 1 if token < len(self.at) else len(self.line) - 1
        return self.line[position : position + most]

    def words(self, start: int, end: int) -> list[str]:
        """The words of tokens start..end, without marks."""
        return [token.word for token in self.tokens[start:end] if not token.mark]

    def said(self, start: int, end: int) -> str:
        """The text itself of tokens start..end."""
        return self.text[self.tokens[start].start : self.tokens[end - 1].end] if start < end else ""


def tokenise(text: str) -> Line:
    """Take a text apart."""
    tokens: list[Token] = []
    begins = True
    for match in _TOKEN.finditer(text):
        raw = match.group()
        glued = raw == "+" and match.start() > 0 and text[match.start() - 1].isalnum()
        mark = "+up" if glued else _MARKS.get(raw) or ("." if raw[0] in ".!?" else "-" if raw[0] in "-–" else "")
        if mark == ".":
            before = tokens[-1] if tokens else None
            if raw == "." and before and _abbreviates(before.word) and text[match.end() : match.end() + 2].strip():
                rated = len(tokens) > 1 and tokens[-2].word in ("rated", "rating", "of", "a")
                if not (len(before.word) == 1 and rated):
                    continue
            if before and before.word == ".":
                continue
        if mark and mark != "and":
            tokens.append(Token(match.start(), match.end(), mark, mark, False, False, True))
            begins = begins or mark in (".", '"')
            continue
        word = mark or _word(raw.replace(",", "") if raw[0].isdigit() else raw)
        if word:
            capital = raw[0].isupper()
            tokens.append(Token(match.start(), match.end(), word, stem(word), capital, begins, False))
            begins = False
    return Line(text, tokens)


def _abbreviates(word: str) -> bool:
    return (len(word) == 1 and word.isalpha()) or word in _ABBREVIATIONS


@lru_cache(maxsize=100_000)
def key_of(text: str) -> tuple[str, ...]:
    """A value as the stems of its words, marks left out: what the same value in an utterance comes to."""
    if "." in text:  # the full stops of abbreviations need the whole tokeniser
        return tuple(token.stem for token in tokenise(text).tokens if not token.mark)
    found = _WORDS.findall(text)
    return tuple(stem("and" if raw == "&" else _word(raw.replace(",", ""))) for raw in found)
