"""One language's words for values, numbers, bounds and orders, and in which language a text is."""

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

LANGUAGES = ("en", "de", "es", "fr")
NAMES = {"de": "German", "es": "Spanish", "fr": "French", "xx": "a language of other letters"}
SAMPLED, TOGETHER, ENDING = 1000, 20, 300
"""Texts of a catalogue that tell its language, how many of them are taken for one, and how many letters of each."""
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*(?:'?s\b|er\b|ern\b)?|[^\W_]+(?:['’][^\W_]+)*|[^\w\s]")
_APOSTROPHES = re.compile("['’]")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or mark. start, end: characters. word: without case, accents and apostrophes."""

    start: int
    end: int
    word: str
    capital: bool


@dataclass(frozen=True)
class Line:
    """A text in words, and `line`: the words with single blanks between and around them; `at`: where each begins."""

    text: str
    tokens: tuple[Token, ...]
    line: str
    at: tuple[int, ...]

    def span(self, match: re.Match[str]) -> tuple[int, int]:
        """The tokens, first and behind the last, that a match in `line` covers."""
        covered = [n for n, place in enumerate(self.at) if match.start() <= place < match.end()]
        return (covered[0], covered[-1] + 1) if covered else (0, 0)

    def said(self, first: int, last: int) -> str:
        """The text of tokens first..last (behind)."""
        return self.text[self.tokens[first].start : self.tokens[last - 1].end] if first < last else ""


def plain(text: str) -> str:
    """Lower case, without accents and apostrophes."""
    text = _APOSTROPHES.sub("", text.lower()).replace("ß", "ss")
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def tokenise(text: str) -> Line:
    """Take a text apart."""
    found = [(m.start(), m.end(), plain(m[0]), m[0][0].isupper()) for m in _TOKEN.finditer(text)]
    tokens = tuple(Token(start, end, "and" if word == "&" else word, c) for start, end, word, c in found if word)
    at, line = [], " "
    for token in tokens:
        at.append(len(line))
        line += token.word + " "
    return Line(text, tokens, line, tuple(at))


def stem(word: str) -> str:
    """A word without its plural or comparison, roughly."""
    if len(word) > 5 and word.endswith(("ier", "iest")):  # "funnier"
        return f"{word.removesuffix('ier').removesuffix('iest')}y"
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def key_of(text: str) -> str:
    """What a value and its plural, with or without hyphens and blanks, have in common."""
    words = [plain(said) for said in _TOKEN.findall(text)]
    words = [word for word in ("and" if word == "&" else word for word in words) if word.isalnum()]
    if len(words) > 1 and words[0] in ("the", "a", "an"):
        words = words[1:]
    return "".join(map(stem, words))


@cache
def words(language: str) -> dict[str, Any]:
    """The words of a language, as its file has them; English ones for a language without a file."""
    language = language if language in LANGUAGES else "en"
    return tomllib.loads(resources.files("latentcrs.hear").joinpath(f"words/{language}.toml").read_text("utf-8"))


@cache
def word_set(language: str, name: str) -> frozenset[str]:
    """A plain list of words of a language."""
    return frozenset(map(plain, words(language)[name].split()))


def denies(text: str) -> bool:
    """Whether a word of `text` denies or refuses, in its language."""
    deny = word_set(language_of(text), "deny")
    return any(token.word in deny for token in tokenise(text).tokens)


def denials(said: Sequence[str], language: str) -> list[bool]:
    """Which of the words deny, in whatever form ("hates"); some of them only beside one another ("anything but")."""
    deny = word_set(language, "deny") | word_set(language, "dislike") | word_set(language, "refuse")
    weak = [word in word_set(language, "together") for word in said]
    beside = [any(weak[max(n - 1, 0) : n] + weak[n + 1 : n + 2]) for n in range(len(said))]
    return [(word in deny or stem(word) in deny) and (not weak[n] or beside[n]) for n, word in enumerate(said)]


def phrases(language: str, section: str) -> dict[str, list[str]]:
    """The phrases of a section, by name, as they stand in a `Line`; English ones too, since people mix it in."""
    found: dict[str, list[str]] = {}
    for one in dict.fromkeys((language, "en")):
        for name, said in words(one).get(section, {}).items():
            found.setdefault(name, []).extend(" ".join(t.word for t in tokenise(phrase).tokens) for phrase in said)
    return found


@cache
def patterns(language: str, section: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """A section's phrases as one pattern each name, with blanks around."""
    named = phrases(language, section)
    return tuple((name, re.compile(rf"(?<= )(?:{alternatives(said)})(?= )")) for name, said in named.items())


def alternatives(said: list[str]) -> str:
    """Phrases as alternatives of a pattern, the longest first."""
    return "|".join(re.escape(phrase) for phrase in sorted(set(said), key=len, reverse=True))


def language_of(text: str) -> str:
    """The language of a text by its little words: one of `LANGUAGES`, or "xx" where it is written in other letters.
    English where nothing tells.
    """
    letters = [c for c in text if c.isalpha()]
    foreign = sum("LATIN" not in unicodedata.name(c, "LATIN") for c in letters)
    if len(letters) >= 2 and foreign > len(letters) / 2:
        return "xx"
    said = [token.word for token in tokenise(text).tokens]
    counts = {language: sum(word in word_set(language, "function") for word in said) for language in LANGUAGES}
    best = max(LANGUAGES, key=lambda language: (counts[language], language == "en"))
    return best if counts[best] >= 2 and counts[best] > counts["en"] else "en"


def foreign_catalogue(texts: Sequence[str | None]) -> str:
    """Warn where most texts of a catalogue are in a language that the embedded encoder does not read: a sentence, ""
    where they are not. A sample of texts is looked at, several at a time: a title alone tells no language.
    """
    some = [text[-ENDING:] for text in texts[:: max(1, len(texts) // SAMPLED)] if text]
    parts = [" ".join(some[start : start + TOGETHER]) for start in range(0, len(some), TOGETHER)]
    languages = Counter(language_of(part) for part in parts)
    foreign = len(parts) - languages["en"]
    if 2 * foreign <= len(parts):
        return ""
    commonest = next(language for language, _ in languages.most_common() if language != "en")
    return (
        f"the catalogue's texts seem to be in {NAMES[commonest]}, and the embedded text encoder reads English: words "
        "would find little. Train with one that reads both: --set text_encoder=FOLDER or an endpoint."
    )
