"""The title-leak check: does a sentence say the title of the item it asks for?

Both sides are compared as words without case, diacritics, punctuation and plural endings. A title is first taken
apart into its *names*: the title without a trailing "(1995)", what stands in parentheses or after "a.k.a.", and the
parts around ":" and " - "; "Matrix, The" counts as "The Matrix" in each. The words of a name are *function words*
(the, of, it, ...), *common words* (words for the item itself, for platforms and for editions: movie, PlayStation,
collection), numbers, and otherwise *telling words*. A sentence leaks when

1. it contains a name in full, an article in front left out, or a long name with its blanks set otherwise ("spiderman"
   for "Spider-Man") (a name that is only part of the title and has nothing
   but common words, as "PlayStation 2" in "Nightshade - PlayStation 2", does not count); or
2. it contains any telling word of the title; or
3. it contains more than half of the title's words that are not function words or numbers, when there are two or more.

A title that is one function word ("It") would make every sentence leak: it counts only when said as a name, in
quotation marks or with a capital inside the sentence.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latentcrs.base.words import word_list

FUNCTION_WORDS = word_list("latentcrs.users", "leak", "function")
COMMON_WORDS = word_list("latentcrs.users", "leak", "common")
_ARTICLES = word_list("latentcrs.users", "leak", "articles")

_SEPARATORS = re.compile(r"\s*:\s+|\s+[-–—/]\s+|\s*[;|]\s*")
_PARENTHESES = re.compile(r"[(\[]([^)\]]*)[)\]]")
_YEAR = re.compile(r"\s*[(\[]\s*\d{4}\s*[)\]]\s*$")
_ALIAS = re.compile(r"\b(?:a\.?\s?k\.?\s?a\.?|aka|also known as)(?=\W|$)[\s:]*", re.IGNORECASE)
_MOVED_ARTICLE = re.compile(
    r"^(.*),\s*(the|a|an|la|le|les|l'|el|los|las|il|lo|i|gli|der|die|das|den|det|un|une|una|o|os|as)$", re.IGNORECASE
)
# Apostrophes vanish ("Schindler's" is "schindlers"); letters that Unicode does not take apart are spelled out.
_LETTERS = str.maketrans(
    {"'": "", "’": "", "‘": "", "`": "", "ø": "o", "æ": "ae", "œ": "oe", "ß": "ss", "ł": "l", "đ": "d"}
)
_LONG = 9  # letters: shorter names turn up inside other words by chance
_TOKEN = re.compile(r"[^\W_]+(?:['’‘`][^\W_]+)*|&(?:\w+;)?")
_NOT_WORD = re.compile(r"[^\w]+|_")


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """A lower-case word without its plural ending: wars -> war, stories -> story, boxes -> box."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def words_of(text: str) -> list[str]:
    """The words of `text`, lower case, without diacritics, apostrophes and punctuation; "&" is "and"."""
    if "&" in text:
        text = html.unescape(text)  # catalogues carry "Pok&eacute;mon"
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = text.lower().translate(_LETTERS).replace("&", " and ")
    return _NOT_WORD.sub(" ", text).split()


@dataclass(frozen=True)
class TitleNames:
    """What must not be said of one title."""

    phrases: tuple[str, ...]  # names in full, stemmed, " like this " with a blank at either end
    runs: tuple[str, ...]  # the longer of them without blanks
    telling: frozenset[str]  # stems, any one of which leaks
    content: frozenset[str]  # stems of the whole title, of which more than half leak
    as_name: str  # the one function word that is the title, or ""


@lru_cache(maxsize=500_000)
def title_names(title: str) -> TitleNames:
    """Take a title apart; see the module's own words for the rules."""
    whole = _YEAR.sub("", html.unescape(title).strip())
    inside = [part for part in _PARENTHESES.findall(whole) if words_of(part)]
    outside = _PARENTHESES.sub(" ", whole).strip()
    aliases = [alias for name in (outside, *inside) for alias in _ALIAS.split(name) if words_of(alias)]
    parts = [part for alias in aliases for part in _SEPARATORS.split(alias) if words_of(part)]
    phrases: dict[str, None] = {}
    for name, is_whole in [(alias, index == 0) for index, alias in enumerate(aliases)] + [(p, False) for p in parts]:
        moved = _MOVED_ARTICLE.match(name.strip())
        words = words_of(moved.group(1) if moved else name)
        while len(words) > 1 and words[0] in _ARTICLES:
            words = words[1:]
        stems = [stem(word) for word in words]
        boilerplate = all(_is_common(word) or (len(words) > 1 and word.isdigit()) for word in words)
        if not words or (boilerplate and not is_whole) or (len(words) == 1 and words[0] in FUNCTION_WORDS):
            continue
        phrases[f" {' '.join(stems)} "] = None
    said = [word for name in aliases for word in words_of(name)]
    content = {stem(word) for word in said if word not in FUNCTION_WORDS and not word.isdigit()}
    telling = {stem(word) for word in said if not _is_common(word) and not word.isdigit() and len(word) > 1}
    only = [word for word in words_of(outside) if word not in _ARTICLES]
    as_name = only[0] if len(only) == 1 and only[0] in FUNCTION_WORDS else ""
    runs = tuple(run for run in (phrase.replace(" ", "") for phrase in phrases) if len(run) >= _LONG)
    return TitleNames(tuple(phrases), runs, frozenset(telling), frozenset(content), as_name)


def _is_common(word: str) -> bool:
    return word in FUNCTION_WORDS or word in COMMON_WORDS or stem(word) in COMMON_WORDS


def leaks(text: str, title: str | None) -> bool:
    """Whether `text` gives `title` away, by the three rules above. An item without a title cannot leak."""
    if not title:
        return False
    names = title_names(title)
    stems = [stem(word) for word in words_of(text)]
    said = set(stems)
    if not said.isdisjoint(names.telling):
        return True
    if len(names.content) > 1 and 2 * len(said & names.content) > len(names.content):
        return True
    line = f" {' '.join(stems)} "
    if any(phrase in line for phrase in names.phrases):
        return True
    if any(run in "".join(stems) for run in names.runs):
        return True
    return bool(names.as_name) and _said_as_name(text, names.as_name)


def _said_as_name(text: str, word: str) -> bool:
    """Whether the function word `word` stands in quotation marks, or capitalised inside a sentence."""
    name = re.escape(word)
    if re.search(rf"[\"“”«»]\s*{name}\s*[\"“”«»]|(?<!\w)['‘]{name}['’](?!\w)", text, re.IGNORECASE):
        return True
    if word == "i":
        return False
    return re.search(rf"(?<=[\w,;] ){re.escape(word.capitalize())}\b", text) is not None


def tokens(text: str) -> list[tuple[str, int, int]]:
    """The words of `text` as `words_of` has them, stemmed, each with where it stands: (stem, begin, end)."""
    found = []
    for match in _TOKEN.finditer(text):
        found += [(stem(word), match.start(), match.end()) for word in words_of(match.group())]
    return found


def leaking_words(text: str, title: str) -> set[int]:
    """Which of `tokens(text)` give `title` away: empty exactly when it does not leak."""
    names = title_names(title)
    stems = [word for word, _, _ in tokens(text)]
    found = {index for index, word in enumerate(stems) if word in names.telling}
    if len(names.content) > 1 and 2 * len(names.content.intersection(stems)) > len(names.content):
        found |= {index for index, word in enumerate(stems) if word in names.content}
    for phrase in names.phrases:
        words = phrase.split()
        for begin in range(len(stems) - len(words) + 1):
            if stems[begin : begin + len(words)] == words:
                found |= set(range(begin, begin + len(words)))
    ends = np.cumsum([0, *map(len, stems)])
    joined = "".join(stems)
    for run in names.runs:
        for match in re.finditer(re.escape(run), joined):
            first = int(np.searchsorted(ends, match.start(), side="right")) - 1
            found |= set(range(first, int(np.searchsorted(ends, match.end()))))
    if names.as_name and _said_as_name(text, names.as_name):
        found |= {index for index, word in enumerate(stems) if word == stem(names.as_name)}
    return found


def blanked(text: str, title: str, blank: str = "___") -> str:
    """`text` with `blank` for the words that give `title` away; what is left may leak still (`leaks`)."""
    said = tokens(text)
    for index in sorted(leaking_words(text, title), reverse=True):
        _, begin, end = said[index]
        text = text[:begin] + blank + text[end:]
    return text


def short_name(title: str) -> str:
    """`title` as one says it in passing: "The Matrix" for "Matrix, The (1999)", "Doom 3" for "Doom 3 - Xbox"."""
    outside = _PARENTHESES.sub(" ", html.unescape(title)).strip()
    parts = [part.strip() for part in _SEPARATORS.split(outside) if words_of(part)]
    if not parts:
        return ""
    moved = _MOVED_ARTICLE.match(parts[0])
    return f"{moved.group(2)} {moved.group(1)}" if moved else " ".join(parts[0].split())


def leak_mask(texts: Iterable[str], titles: Iterable[str | None]) -> NDArray[np.bool_]:
    """`leaks` for every (text, title) pair: (B,)."""
    return np.fromiter((leaks(text, title) for text, title in zip(texts, titles, strict=True)), bool)
