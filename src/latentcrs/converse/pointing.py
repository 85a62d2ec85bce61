"""Which of the items shown a text points at: "the second one", "#2", a title, "all of these", "it"."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from latentcrs.recommend.explain import OF_REQUESTS, words_of

NAMED, SINGULAR, PLURAL = "\ue000", "\ue001", "\ue002"
"""What stands for a pointer in a text: private characters, which no utterance that was cleaned contains."""
MARK = f"[{NAMED}{SINGULAR}{PLURAL}]"
LONG_TITLE = 8  # characters from which on a slip of the fingers in a title is forgiven
SAME_TITLE = 85.0  # of 100

_ORDINALS = {
    "first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "4th": 3, "fifth": 4, "5th": 4,
    "sixth": 5, "6th": 5, "seventh": 6, "7th": 6, "eighth": 7, "8th": 7, "ninth": 8, "9th": 8, "tenth": 9, "10th": 9,
    "last": -1,
}  # fmt: skip
_COUNTS = {word: n for n, word in enumerate("one two three four five six seven eight nine ten".split(), 1)}
_NOUN = r"(?:one|movie|film|flick|game|album|cd|record|book|item|option|title|pick|suggestion|recommendation)s?"
_ORDINAL = "(?:" + "|".join(_ORDINALS) + ")"
_COUNT = r"(?:\d{1,2}|" + "|".join(_COUNTS) + ")"
_AFTER_PRONOUN = (
    r"and|or|but|except|besides|please|already|too|again|then|instead|now|tonight|twice|before|so|because|looks?|sounds?|seems?"
    r"|a\s+lot|very\s+much|about|in|on|at|for|from|by|with"
)
_LOOSE = rf"(?=\s*(?:$|[,.;:!?)]|(?:{_AFTER_PRONOUN})\b))"
"""What may follow "this", "that" or "both" where no noun does."""
_FOLLOWS = (
    rf"(?=\s*(?:$|[,.;:!?)]|(?:{_AFTER_PRONOUN}|is|was|has|had|did|does|isn't|wasn't|come|came|directed|made|written"
    r"|released|out|costs?|run|play|i|i've|we|we've|you|really)\b))"
)
"""What may follow "the second" where no noun does."""
_AND = r"(?:\s*,\s*(?:and\s+)?|\s+(?:and|or|&)\s+)"
_POINTERS: tuple[tuple[str, str], ...] = (
    (r"\ball\b(?=\s+(?:except|but)\b)"
     rf"|\ball\s+{_COUNT}\b(?!\s+\w)|\ball\s+of\s+(?:it|them|these|those)\b{_LOOSE}|\b(?:these|those|them)\s+all\b"
     r"|\bevery\s+one\s+of\s+(?:them|these|those)\b|\beverything\s+(?:here|there)\b"
     rf"|\bboth\b(?!\s+(?:of\s+)?\w){_LOOSE}", "all"),
    (rf"\b(?:the\s+)?(first|last)\s+({_COUNT})(?:\s+{_NOUN}\b|{_FOLLOWS})", "several"),
    (rf"\b(?:the\s+(?:very\s+)?)?{_ORDINAL}(?:{_AND}(?:the\s+)?{_ORDINAL})*\s+{_NOUN}\b"
     rf"|\bthe\s+(?:very\s+)?{_ORDINAL}(?:{_AND}(?:the\s+)?{_ORDINAL})*{_FOLLOWS}", "ordinals"),
    (rf"#\s?\d{{1,2}}\b|(?<!\ba\s)\b(?:numbers?|nr\.?|no\.|items?|options?)\s*{_COUNT}\b(?:{_AND}{_COUNT}\b)*"
     r"(?!\s+(?:hits?|singles?|songs?|selling|sellers?|fan))", "counts"),
    (r"\b(?:not|why|seen|watched|watch|played|play|read|know|heard|own|take|pick|skip|buy|try|get|order|like|liked|love|loved"
     rf"|hate|hated|enjoy|enjoyed|with|for)\s+(?P<here>\d{{1,2}}\b(?:{_AND}\d{{1,2}}\b)*)(?=\s*(?:$|[,.;!?]|but\b))",
     "counts"),
    (rf"^(?P<here>\d{{1,2}}(?:{_AND}\d{{1,2}})*)\W*$", "counts"),
)  # fmt: skip
_PRONOUNS: tuple[tuple[str, str], ...] = (
    (rf"\b(?:this|that)\s+{_NOUN}\b|\b(?:this|that)\b{_LOOSE}"
     r"|\bit\b(?!'|\s+(?:is|was|to|when|if|that|or|be|has|takes|would|could|should|will|might|must)\b)", SINGULAR),
    (rf"\b(?:these|those)\s+(?:{_NOUN}|two|three|four|five)\b|\b(?:these|those)\b{_LOOSE}|\bthem\b{_LOOSE}", PLURAL),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), kind) for pattern, kind in _POINTERS)
_COMPILED_PRONOUNS = tuple((re.compile(pattern, re.IGNORECASE), mark) for pattern, mark in _PRONOUNS)
_BOTH_OF = re.compile(r"\bboth\s+of\s+$", re.IGNORECASE)
_DESCRIBED = re.compile(
    rf"\bthe\s+{_NOUN}\s+(?:with|about|where|in\s+which|that\s+has|set\s+in|starring|featuring|from|by)\s+([^,.;:!?]{{3,80}})"
    rf"|\bthe\s+(?!{_ORDINAL}\b|same\b|other\b|next\b)((?:[\w'-]+\s+){{1,2}}){_NOUN}\b",
    re.IGNORECASE,
)
_EXCEPT = re.compile(r"\s+(?:except|but|besides|apart\s+from|other\s+than)(?:\s+for)?\s+", re.IGNORECASE)
_WORD_THAT_POINTS = frozenset({"it", "this", "that", "them", "these", "those", "her", "him", "both", "next", "more"})


@dataclass(frozen=True)
class PointedText:
    """A text in which each pointer is one mark; for the marks in their order, `items` (places of the last list, from
    0) and the `words` that stood there.
    """

    text: str
    items: tuple[tuple[int, ...], ...]
    words: tuple[str, ...]

    def meant(
        self, start: int = 0, end: int | None = None, marks: str = NAMED + SINGULAR + PLURAL
    ) -> tuple[int, ...]:
        """The places that the marks of `text[start:end]` point at, each once."""
        first = sum(c in NAMED + SINGULAR + PLURAL for c in self.text[:start])
        found = [c for c in self.text[start:end] if c in NAMED + SINGULAR + PLURAL]
        places = [place for n, c in enumerate(found, first) if c in marks for place in self.items[n]]
        return tuple(dict.fromkeys(places))

    def said(self, start: int = 0, end: int | None = None) -> str:
        """`text[start:end]` in the words that were said."""
        words = iter(self.words[sum(c in NAMED + SINGULAR + PLURAL for c in self.text[:start]) :])
        return "".join(next(words) if c in NAMED + SINGULAR + PLURAL else c for c in self.text[start:end])


def pointed(text: str, titles: Sequence[str], it: int = 0, texts: Sequence[str] = ()) -> PointedText:
    """`text` with its pointers at the items of the last list, whose `titles` these are, marked. it: the place of the
    one that "it" is. texts: all that is said of each item, for "the one with the submarine".
    """
    if not titles:
        return PointedText(text, (), ())
    spans: list[tuple[int, int, str, tuple[int, ...]]] = []

    def add(start: int, end: int, mark: str, places: Sequence[int]) -> None:
        fit = tuple(dict.fromkeys(place for place in places if 0 <= place < len(titles)))
        if fit and all(end <= other[0] or start >= other[1] for other in spans):
            spans.append((start, end, mark, fit))

    for start, end, places in _titles_in(text, titles):
        add(start, end, NAMED, places)
    for pattern, kind in _COMPILED:
        for found in pattern.finditer(text):
            here = "here" if "here" in pattern.groupindex else 0
            add(*found.span(here), NAMED, _places(kind, found, len(titles)))
    for found in _DESCRIBED.finditer(text) if texts else ():
        add(*found.span(), NAMED, _described(found[1] or found[2], texts))
    for pattern, mark in _COMPILED_PRONOUNS:
        for found in pattern.finditer(text):
            if not _BOTH_OF.search(text[: found.start()]) or len(titles) == 2:
                add(*found.span(), mark, [it] if mark == SINGULAR else range(len(titles)))
    spans.sort()
    for place in range(len(spans) - 1, 0, -1):  # "all of these but the second"
        (start, between, mark, whole), (others, end, _, left_out) = spans[place - 1 : place + 1]
        rest = tuple(each for each in whole if each not in left_out)
        if rest and len(rest) < len(whole) and _EXCEPT.fullmatch(text[between:others]):
            spans[place - 1 : place + 1] = [(start, end, mark, rest)]
    marked, here = [], 0
    for start, end, mark, _ in spans:
        marked += [text[here:start], mark]
        here = end
    return PointedText(
        "".join([*marked, text[here:]]),
        tuple(places for *_, places in spans),
        tuple(text[start:end] for start, end, *_ in spans),
    )


def _places(kind: str, found: re.Match[str], shown: int) -> Sequence[int]:
    """The places that a pointer by place means; they may lie beyond the list."""
    text = found[found.lastgroup or 0].lower()
    if kind == "all":
        return range(shown) if text != "both" or shown == 2 else ()
    if kind == "several":
        count = _count(found[2].lower())
        return range(count) if found[1].lower() == "first" else range(max(shown - count, 0), shown)
    if kind == "ordinals":
        return [_ORDINALS[word] % shown if word == "last" else _ORDINALS[word] for word in re.findall(_ORDINAL, text)]
    return [_count(word) - 1 for word in re.findall(rf"{_COUNT}\b", text)]


def _described(said: str, texts: Sequence[str]) -> Sequence[int]:
    """The place of the item whose text has more of the words than any other's, and most of them."""
    words = words_of(said) - OF_REQUESTS
    found = [len(words & words_of(text)) for text in texts]
    best = max(found)
    return [found.index(best)] if 2 * best > len(words) and found.count(best) == 1 else ()


def _count(word: str) -> int:
    return _COUNTS[word] if word in _COUNTS else int(word)


def _titles_in(text: str, titles: Sequence[str]) -> Iterator[tuple[int, int, list[int]]]:
    """Where titles are named (start, end, places of the title), longer titles first."""
    places: dict[str, list[int]] = {}
    for place, title in enumerate(titles):
        name = " ".join(re.findall(r"[\w']+", re.sub(r"\s*\([^()]*\)$", "", title)))
        if name:
            places.setdefault(name, []).append(place)
    for name in sorted(places, key=len, reverse=True):
        pattern = r"(?<!\w)" + r"[^\w]+".join(map(re.escape, name.split())) + r"(?!\w)"
        one_word, by_case = " " not in name, len(name) < 4 or name.lower() in _WORD_THAT_POINTS
        spans = []
        for found in re.finditer(pattern, text, 0 if by_case else re.IGNORECASE):
            as_title = found[0] == name and not name.islower() and found.start() > 0
            follows = re.compile(_FOLLOWS, re.IGNORECASE).match(text, found.end())
            if as_title if by_case else not one_word or as_title or follows:
                spans.append(found.span())
        if not spans and len(name) >= LONG_TITLE:
            spans = list(_nearly(name, text))
        for start, end in spans:
            yield start, end, places[name]


def _nearly(name: str, text: str) -> Iterator[tuple[int, int]]:
    """Where `text` has whole words that are nearly `name`."""
    found = fuzz.partial_ratio_alignment(name.lower(), text.lower(), score_cutoff=SAME_TITLE)
    if found is None or len(text) != len(text.lower()):
        return
    start, end = found.dest_start, found.dest_end
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    said = text[start:end]
    start, end = start + len(said) - len(said.lstrip()), end - len(said) + len(said.rstrip())
    if fuzz.ratio(name.lower(), text[start:end].lower()) >= SAME_TITLE:
        yield start, end
