"""The leak check: does a sentence say a telling word of the title of the item it asks for?

Both sides are compared as words without case, accents, apostrophes and plural endings. The *telling words* of a
title are all but function words (the, of, it), common words (for the item itself, for platforms, for editions: movie,
PlayStation, collection) and numbers. A title without any, such as "PlayStation 2" or "The One", leaks where it is
said in full: one function word only as a name, in quotation marks or with a capital inside the sentence.
"""

import html
import re
from functools import lru_cache

from latentcrs.base.words import word_list
from latentcrs.hear.language import plain, stem, tokenise

FUNCTION_WORDS = word_list("latentcrs.users", "leak", "function")
_UNTELLING = frozenset(map(stem, FUNCTION_WORDS | word_list("latentcrs.users", "leak", "common"))) | FUNCTION_WORDS
_ARTICLES = word_list("latentcrs.users", "leak", "articles")
_YEAR = re.compile(r"\s*[(\[]\s*\d{4}\s*[)\]]\s*$")
_PARTS = re.compile(
    r"\s*:\s+|\s+[-–—/]\s+|\s*[;|()\[\]]\s*|\b(?:a\.?\s?k\.?\s?a\.?|also known as)(?=\W|$)", re.IGNORECASE
)
_MOVED_ARTICLE = re.compile(rf"^(.*),\s*({'|'.join(sorted(_ARTICLES))}|l')$", re.IGNORECASE)


def words_of(text: str) -> list[str]:
    """The words of `text`, lower case, without accents, apostrophes and punctuation; "&" is "and"."""
    return [token.word for token in tokenise(text).tokens if token.word[0].isalnum()]


@lru_cache(maxsize=500_000)
def telling_words(title: str) -> frozenset[str]:
    """The stems of which any gives `title` away, hyphenated words also as one, and numbers that do so alone."""
    title = _YEAR.sub("", html.unescape(title))
    words = [*words_of(title), *("".join(words_of(pair)) for pair in re.findall(r"\w+-\w+", title))]
    stems = {stem(word) for word in words if len(word) > 1 and not word.isdigit()} - _UNTELLING
    return frozenset(stems | {part for part in _PARTS.split(title) if part.isdigit() and len(part) > 2})


def leaking_spans(text: str, title: str | None) -> list[tuple[int, int]]:
    """The parts of `text` that give `title` away, (begin, end) in characters, in order; none without a title."""
    tokens, telling = tokenise(text).tokens, telling_words(title or "")
    if telling or not title:
        return [(token.start, token.end) for token in tokens if stem(token.word) in telling]
    full = [stem(word) for word in words_of(_PARTS.split(_YEAR.sub("", title))[0]) if word not in _ARTICLES]
    stems, found = [stem(token.word) for token in tokens], []
    for at in range(len(stems) - len(full) + 1 if full else 0):
        span = tokens[at].start, tokens[at + len(full) - 1].end
        if stems[at : at + len(full)] == full and (len(full) > 1 or _is_name(text, *span)):
            found.append(span)
    return found


def _is_name(text: str, begin: int, end: int) -> bool:
    """Whether a word is no function word, or one that stands in quotation marks or has a capital in a sentence."""
    word = text[begin:end]
    if word.lower() not in FUNCTION_WORDS or text[max(begin - 1, 0) : begin] in {*"\"'“‘«"}:
        return True
    return word != "I" and word[0].isupper() and re.search(r"[\w,;] $", text[:begin]) is not None


def leaks(text: str, title: str | None) -> bool:
    """Whether `text` gives `title` away."""
    telling, said = telling_words(title or ""), plain(text)
    if telling and not any(word.removesuffix("y") in said for word in telling):
        return False  # the quick answer for nearly every sentence
    return bool(leaking_spans(text, title))


def blanked(text: str, title: str | None, blank: str = "___") -> str:
    """`text` with `blank` for each word that gives `title` away."""
    for begin, end in reversed(leaking_spans(text, title)):
        text = text[:begin] + blank + text[end:]
    return text


def short_name(title: str) -> str:
    """`title` as one says it in passing: "The Matrix" for "Matrix, The (1999)", "Doom 3" for "Doom 3 - Xbox"."""
    name = " ".join(_PARTS.split(html.unescape(title))[0].split())
    moved = _MOVED_ARTICLE.match(name)
    return f"{moved.group(2)} {moved.group(1)}" if moved else name
