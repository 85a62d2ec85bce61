"""What capital letters say: that words belong to a name or a title."""

from __future__ import annotations

from collections.abc import Container

from latentcrs.language.extract.contexts import ITEM_NOUNS
from latentcrs.language.extract.english import is_common, says_nothing
from latentcrs.language.extract.tokens import Line, Token


def inside_capitals(line: Line, place: int) -> bool:
    """Whether a token is a part of a name by its capitals, that of the first word of a sentence apart."""
    token = line.tokens[place]
    beside = [line.tokens[other] for other in (place - 1, place + 1) if 0 <= other < len(line.tokens)]
    return token.capital and any(
        other.capital
        and not (other.begins and token.begins)
        and not (is_common(other.word) and is_common(token.word))
        for other in beside
    )


def is_forename(before: Token, token: Token) -> bool:
    """Whether `token` is the end of a longer name that begins with `before`: "Bradley Cooper"."""
    named = before.capital and token.capital and not before.mark
    return named and not says_nothing(before.word) and not (before.begins and is_common(before.word, 4000))


def inside_name(line: Line, start: int, end: int, forenames: Container[str]) -> bool:
    """Whether capitals go on at either side: a longer name, which the catalogue does not have."""
    first, last = line.tokens[start], line.tokens[end - 1]
    before = line.tokens[start - 1] if start else None
    behind = line.tokens[end] if end < len(line.tokens) else None
    goes_on = behind is not None and behind.capital and behind.start - last.end == 1 and behind.stem not in ITEM_NOUNS
    led = before is not None and before.capital and first.start - before.end == 1
    if led and before is not None and before.begins:  # where any word has a capital
        led = before.word in forenames and not is_common(before.word, 4000)
    return first.capital and (goes_on or led)


def beside_capital(line: Line, start: int, end: int) -> bool:
    """Whether it is part of a title, by its capitals in the middle of a sentence: "Infinity War", "War Horse"."""
    first = line.tokens[start]
    if not first.capital or first.begins or sum(token.capital for token in line.tokens) > 0.6 * len(line.tokens):
        return False
    for place in (start - 1, end):
        if not 0 <= place < len(line.tokens):
            continue
        other = line.tokens[place]
        gap = first.start - other.end if place < start else other.start - line.tokens[end - 1].end
        if other.capital and not other.begins and gap == 1 and other.stem not in ITEM_NOUNS and len(other.word) > 2:
            return not line.known[place]
    return False
