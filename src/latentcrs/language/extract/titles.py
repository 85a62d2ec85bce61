"""Titles of the catalogue in an utterance: they are names, and their words are no conditions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence

from latentcrs.language.extract.contexts import ITEM_NOUNS
from latentcrs.language.extract.english import ARTICLES, FUNCTION
from latentcrs.language.extract.tokens import Line, key_of

_LONGEST = 10
_YEAR = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*")
_SEPARATORS = re.compile(r"\s*:\s+|\s+[-–—/]\s+|\s*[;|]\s*")
_MOVED_ARTICLE = re.compile(r"^(.*),\s*(?:the|a|an|la|le|les|el|los|il|der|die|das)$", re.IGNORECASE)
_CUE = re.compile(
    r" (?:(?<!id )(?<!would )like|similar to|loved|liked|love|loves|enjoyed|enjoy|adored|adore|watched|saw|"
    r"seen|finished|played|fan of|fans of|"
    r"vein of|lines of|reminds? me of|such as|comparable to|called|named|titled|good as|sequels? (?:to|of)|"
    r"prequel to|remake of|spirit of|"
    r"style of|hated|than|watch|play|recommend|watching|playing|title is|the original)(?: (?:the|movies? like|"
    r"films? like|"
    r"games? like|playing|watching|both|,|and|a|an|movie|film|game|album))* $"
)
_WITHIN = frozenset("of the and in a an to for on at with from or by vs".split())
"""Small words inside of titles."""
_LEADS = frozenset("like and or saw seen watched loved liked love is was as called named than about".split())
_SPEAKER = frozenset("i im ive id ill its thats theyre hes shes".split())
_ANY_SUCH = re.compile(
    r" (?:a|an|any|some|good|great|nice|more|other|another|of|for|want|need|like|love|with|no|not|and|or|,) $"
)
_SAID_OF = re.compile(r" (?:is|was|has|had|are|were) ")
_NO_TITLE = re.compile(r" (?:in|during|about|at|on|from|with|by|involving|starring|featuring|directed) (?:the )?$")
_QUOTES = "\"“”«»'‘’"
_PLAIN = ITEM_NOUNS | {
    "good",
    "best",
    "great",
    "new",
    "old",
    "any",
    "more",
    "some",
    "favorite",
    "favourite",
    "big",
    "top",
    "video",
}


class Titles:
    """The titles of a catalogue, and the names within them ("The Two Towers")."""

    def __init__(self, titles: Iterable[str | None], values: Container[tuple[str, ...]]) -> None:
        """`values`: keys that mean something else, and are no title when they are only a part of one."""
        self._names: set[tuple[str, ...]] = set()
        self._longest: dict[str, int] = defaultdict(int)
        for title in titles:
            if not title or len(title) > 200:
                continue
            whole = _YEAR.sub(" ", title).strip()
            parts = _SEPARATORS.split(whole)
            for name in {whole, *(parts if len(parts) > 1 else ())}:
                moved = _MOVED_ARTICLE.match(name)
                self._add(key_of(moved.group(1) if moved else name), name == whole, values)

    def _add(self, key: tuple[str, ...], whole: bool, values: Container[tuple[str, ...]]) -> None:
        while len(key) > 1 and key[0] in ARTICLES:
            key = key[1:]
        if not whole and key in values:
            return
        if key and len(key) <= _LONGEST and len("".join(key)) > 1:
            self._names.add(key)
            self._longest[key[0]] = max(len(key), self._longest[key[0]])

    def __contains__(self, key: object) -> bool:
        return key in self._names

    def spans(
        self, line: Line, meant: Sequence[tuple[int, int, bool]], years: Sequence[int] = ()
    ) -> list[tuple[int, int]]:
        """The tokens of `line` that are titles. `meant` (start, end, named) is what else was found in it; `years` are
        the tokens of years in brackets, which stand behind a title.
        """
        covered: dict[int, tuple[int, int, bool]] = {}
        for span in meant:
            covered.update(dict.fromkeys(range(span[0], span[1]), span))
        shouted = _all_alike(line)
        dated = {_named_before(line, year): year + 2 for year in years}
        out: list[tuple[int, int]] = []
        place = 0
        while place < len(line.tokens):
            end = (
                dated.get(place, 0)
                or _quoted_name(line, place, covered)
                or self._title_at(line, place, covered, shouted, out)
                or _capitals(line, place, covered, shouted, out)
            )
            if end:
                out.append((place, end))
            place = end or place + 1
        return out

    def _title_at(
        self,
        line: Line,
        place: int,
        covered: dict[int, tuple[int, int, bool]],
        shouted: bool,
        found: Sequence[tuple[int, int]],
    ) -> int:
        tokens = line.tokens
        most = self._longest.get(tokens[place].stem, 0)
        if not most or tokens[place].mark:
            return 0
        ends, stems = [], []
        for end in range(place, min(len(tokens), place + most + 3)):
            if not tokens[end].mark:
                stems.append(tokens[end].stem)
                ends.append(end + 1)
            elif tokens[end].word not in (",", "-", "/"):
                break
        for length in range(min(most, len(stems)), 0, -1):
            if tuple(stems[:length]) in self._names and self._is_said_as_title(
                line, place, ends[length - 1], covered, shouted, found
            ):
                return ends[length - 1]
        return 0

    def _is_said_as_title(
        self,
        line: Line,
        start: int,
        end: int,
        covered: dict[int, tuple[int, int, bool]],
        shouted: bool,
        found: Sequence[tuple[int, int]],
    ) -> bool:
        part = [token for token in line.tokens[start:end] if not token.mark]
        if _quoted(line, start, end):
            return True
        content = [token for token in part if token.word not in FUNCTION]
        capitals = bool(content) and all(token.capital or token.word.isdigit() for token in content) and not shouted
        capitals = capitals and not (len(content) == 1 and content[0].begins)
        span = covered.get(start)
        is_value = span is not None and span[0] <= start and span[1] >= end
        open_words = [
            token
            for place, token in enumerate(line.tokens[start:end], start)
            if place not in covered and not token.mark and token.word not in FUNCTION and token.stem not in _PLAIN
        ]
        cue = _cued(line, start, found)
        if part[0].capital and not is_value and not shouted and _SAID_OF.match(line.behind(end)):
            return bool(content)
        if cue:
            if is_value:
                return bool(span and span[2]) and len(part) > 1
            return bool(open_words) or (capitals and len(part) > 1)
        if is_value or len(content) < 2:
            return False
        if not open_words:  # "What about Scary Movie?"
            return capitals and not part[0].begins and not _ANY_SUCH.search(line.before(start))
        # In lower case only what no list of attributes looks like: "silence of the lambs", "toy story 2".
        return capitals or (len(part) > 2 and any(t.word in FUNCTION or t.word.isdigit() for t in part[1:]))


def _cued(line: Line, start: int, found: Sequence[tuple[int, int]]) -> bool:
    """Whether "like", "loved", "seen" or another title stands in front."""
    if _CUE.search(line.before(start)):
        return True
    return bool(found) and line.between(found[-1][1], start).strip() in (
        "and",
        "or",
        ",",
        "and the",
        ", and",
        "or the",
    )


def _quoted(line: Line, start: int, end: int) -> bool:
    first, last = line.tokens[start].start, line.tokens[end - 1].end
    return first > 0 and line.text[first - 1] in _QUOTES and line.text[last : last + 1] in tuple(_QUOTES)


def _all_alike(line: Line) -> bool:
    """Whether capitals tell nothing: nearly every word has one, or a long text in capitals."""
    words = [token for token in line.tokens if not token.mark and token.word[0].isalpha()]
    return len(words) > 3 and sum(token.capital for token in words) > 0.8 * len(words)


def years_in_brackets(line: Line) -> list[int]:
    """The tokens of years that stand alone in brackets behind a word: "Red (2008)"."""
    return [
        place
        for place in range(2, len(line.tokens))
        if re.fullmatch(r"(?:18|19|20)\d\d", line.tokens[place].word)
        and line.text[line.tokens[place].start - 1] in "(["
        and line.text[line.tokens[place].end : line.tokens[place].end + 1] in (")", "]")
    ]


def _named_before(line: Line, year: int) -> int:
    """The first token of the name that the bracketed year at token `year` belongs to: the run of capitals before it,
    or the words back to "like", "and" or a mark where there are none.
    """
    tokens, start = line.tokens, year - 1
    here = start - 1
    while here >= 0 and start - here <= _LONGEST:
        token = tokens[here]
        if token.capital or token.word.isdigit():
            start = here
        elif token.mark:
            if line.text[token.start] not in ":-–" and start != year - 1:
                break
        elif token.word not in _WITHIN:
            break
        here -= 1
    if start == year - 1:
        while start > 0 and year - start <= 6 and not (tokens[start - 1].mark or tokens[start - 1].word in _LEADS):
            start -= 1
    return start


def _quoted_name(line: Line, place: int, covered: Container[int]) -> int:
    """The end of a name in quotation marks that is no value of the catalogue; 0 where there is none."""
    tokens = line.tokens
    first = tokens[place].start
    if tokens[place].mark or not tokens[place].capital or not first or line.text[first - 1] not in _QUOTES:
        return 0
    for end in range(place + 1, min(len(tokens), place + _LONGEST) + 1):
        if line.text[tokens[end - 1].end : tokens[end - 1].end + 1] in tuple(_QUOTES):
            return end if any(here not in covered for here in range(place, end)) else 0
    return 0


def _capitals(
    line: Line,
    place: int,
    covered: Mapping[int, tuple[int, int, bool]],
    shouted: bool,
    found: Sequence[tuple[int, int]],
) -> int:
    """The end of a run of capitals that is no value: a title, be it in the catalogue or not; 0 where there is none.

    Behind "like" and its kind one word that is no value is enough; elsewhere it takes two, in the middle of a
    sentence, or one of which something is said ("Coco was good").
    """
    tokens = line.tokens
    first = tokens[place]
    if shouted or not first.capital or first.word == "rated" or (first.begins and first.word in FUNCTION):
        return 0
    end = here = place + 1
    while here < len(tokens) and here - place < _LONGEST and not tokens[here].mark:
        if tokens[here].word in ("with", "by") and here + 1 in covered and covered[here + 1][2]:
            break  # "Fletch with Chevy Chase"
        if (tokens[here].capital and tokens[here].word not in _SPEAKER) or tokens[here].word.isdigit():
            end = here + 1
        elif tokens[here].word not in _WITHIN:
            break
        here += 1
    run = range(place, end)
    bare = [
        i for i in run if i not in covered and tokens[i].capital and tokens[i].stem not in _PLAIN
        and tokens[i].word not in FUNCTION and not tokens[i].begins
    ]  # fmt: skip
    if not bare:
        return 0
    if _cued(line, place, found):
        return end
    if any(i in covered and covered[i][2] for i in run) or _NO_TITLE.search(line.before(place)):
        return 0
    capitals = sum(tokens[i].capital and tokens[i].word not in FUNCTION for i in run) - first.begins
    said_of = bool(_SAID_OF.match(line.behind(end)))
    return end if capitals > 1 or (capitals == 1 and said_of and tokens[end - 1].word not in _SPEAKER) else 0
