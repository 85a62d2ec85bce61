"""Which of a series is meant: the numbers in a title ("Rocky III"), and sentences that say one ("the third one")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from latentcrs.base.words import word_list
from latentcrs.users.leak import words_of

_CARDINALS = tuple(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty".split()
)
_ORDINALS = tuple(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split()
)
_ROMANS = tuple("i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx".split())
_VALUE = {word: n for words in (_CARDINALS, _ORDINALS, _ROMANS) for n, word in enumerate(words, 1)}
_LARGEST = 30  # what is larger is a year, a distance or a number of hits

_MARKS = word_list("latentcrs.users", "series", "marks")
_PLATFORMS = word_list("latentcrs.users", "series", "platforms")
_ENTRIES = "|".join(sorted(word_list("latentcrs.users", "series", "entries")))
_OTHER_SECONDS = "|".join(sorted(word_list("latentcrs.users", "series", "no_entries")))

_ORDINAL = rf"(?P<{{0}}>{'|'.join(_ORDINALS)}|\d{{{{1,2}}}}(?:st|nd|rd|th))"
_SERIES = r"(?:in|of) (?:the|that|this|its) (?:series|trilogy|saga|franchise|sequels)"
_SAID = re.compile(
    # "part two", "number 3", "vol. 2", "#4"; "no" only before digits: "no two are alike"
    rf"(?:\b(?:{'|'.join(sorted(_MARKS - {'no'}))})\.?[ -]?|(?:#|\bno\.?) ?(?=\d))"
    rf"(?P<n>\d{{1,2}}|{'|'.join(_CARDINALS)}|{'|'.join(reversed(_ROMANS))})\b(?![%/:]|\.\d)"
    # "the second one", "the 2nd toy film"; not "the second half", "a third-person game"
    rf"|\b{_ORDINAL.format('a')}(?![ -](?:{_OTHER_SECONDS})\b)"
    rf"(?: \w+)? (?:{_ENTRIES})\b(?! of the (?:\d|'|decade|cent))"
    rf"|\b(?:the )?{_ORDINAL.format('b')} {_SERIES}"
    rf"|\bthe {_ORDINAL.format('c')}(?=\s*[.,!?;]|\s*$| please| again)"
    r"|\bthe (?P<sequel>sequel)\b"
)


@lru_cache(maxsize=500_000)
def series_numbers(title: str) -> frozenset[int]:
    """The numbers from 1 to 30 that may say which of a series `title` is, as digits, Roman or in words.

    1, "I" and "one" count only behind a word such as "part"; Roman numerals of one letter and words also at the end
    of a name ("Henry V"). The number of a platform ("PlayStation 2") never counts.
    """
    found = set()
    for part in re.split(r":|\s[-–—/]\s|[(),;]", title):
        words = words_of(part)
        for index, word in enumerate(words):
            number = int(word) if word.isdecimal() and len(word) < 3 else _VALUE.get(word, 0)
            before = words[index - 1] if index else ""
            if not 1 <= number <= _LARGEST or word in _ORDINALS or before in _PLATFORMS:
                continue
            marked = before in _MARKS
            last = index == len(words) - 1 and bool(before)
            weak = word in _CARDINALS or (len(word) == 1 and word.isalpha())
            if marked or (number > 1 and (last or not weak)):
                found.add(number)
    return frozenset(found)


def numbers_said(text: str) -> Iterator[tuple[int, int, int]]:
    """Every number that `text` gives to one of a series: (number, begin, end) in characters; "the sequel" is 2."""
    for match in _SAID.finditer(text.lower()):
        word = next(group for group in match.group("n", "a", "b", "c", "sequel") if group)
        digits = re.match(r"\d+", word)
        yield int(digits.group()) if digits else 2 if word == "sequel" else _VALUE[word], match.start(), match.end()
