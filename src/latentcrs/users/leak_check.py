"""The leak check over one catalogue: does a sentence say which item is meant, or leave no other?

Besides the title (`leak.py`) two things give an item away: its number in a series, "the third one" said of "Rocky
III" (`series_numbers.py`), and a person or maker of it together with its exact year, where the catalogue has no other
item of theirs from that year. "Around 1995" and "after 1995" are no exact years.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.roles import Role, roles_of
from latentcrs.users.leak import leaking_words, leaks, tokens, words_of
from latentcrs.users.series_numbers import numbers_said, series_numbers

_PEOPLE: frozenset[Role] = frozenset({"director", "actor", "writer", "creator"})
_MAKERS: frozenset[Role] = frozenset({"developer", "publisher"})
_SHORTEST_SURNAME = 4
_YEAR = re.compile(
    r"(?<![\d$#.,-])(?:(?P<full>1[89]\d\d|20\d\d)|['’](?P<short>\d\d))(?!\d|s\b|['’]s\b)"
    r"(?!\s*(?:-|–|to|and|or (?:so|later|earlier|newer|older)|and (?:so|later)|onwards|ish)\s*(?:\d|\b))",
    re.IGNORECASE,
)
_NOT_EXACT = re.compile(
    r"(?:\b(?:around|about|circa|ca\.?|before|after|since|until|till|than|roughly|pre|post|over|under|below|above"
    r"|between \d{4} and|\d{4} to)|[<>~–-])\s*(?:the (?:year )?)?[-–]?$",
    re.IGNORECASE,
)
_TRIES = 8  # rounds of masking: each takes out at least one word, and few sentences need two


class LeakCheck:
    """Knows the titles of one data set, and what singles out an item."""

    def __init__(self, dataset: PreparedDataset, roles: Mapping[str, Role] | None = None) -> None:
        self._titles: list[str | None] = dataset.items["title"].to_list()
        known = roles_of(dataset.info.columns, roles)
        year = next((column for column, role in known.items() if role == "year"), None)
        self._years: list[int | None] = (
            dataset.items[year].cast(pl.Int64).to_list() if year else [None] * len(dataset.items)
        )
        columns = {c: role for c, role in known.items() if role in _PEOPLE | _MAKERS} if year else {}
        self._singling = _singling_names(dataset.items, columns, year or "")

    def leaks(self, text: str, item: int) -> bool:
        """Whether `text` gives the item with this number away."""
        title = self._titles[item]
        if leaks(text, title):
            return True
        numbers = series_numbers(title) if title else ()
        if numbers and any(number in numbers for number, _, _ in numbers_said(text)):
            return True
        return bool(self._singled_out(text, item))

    def _singled_out(self, text: str, item: int) -> list[tuple[int, int]]:
        """Where `text` says the year of `item`, beside a name that leaves no other item of that year."""
        names = self._singling.get(item)
        if not names or str(self._years[item])[2:] not in text:  # the quick answer for nearly every sentence
            return []
        spans = [match.span() for match in _YEAR.finditer(text) if self._is_its_year(match, text, item)]
        if not spans:
            return []
        phrases, surnames = names
        line = f" {' '.join(words_of(text))} "
        if any(phrase in line for phrase in phrases):
            return spans
        capitals = set(re.findall(r"\b[^\W\d_a-z][\w'’-]+", text))  # a surname is told from a word by its capital
        return spans if any(surname in capitals for surname in surnames) else []

    def _is_its_year(self, match: re.Match[str], text: str, item: int) -> bool:
        said = int(match.group("full") or 1900 + int(match.group("short")))
        if not match.group("full") and said < 1930:
            said += 100
        return said == self._years[item] and not _NOT_EXACT.search(text[: match.start()])

    def masked(self, text: str, item: int) -> str:
        """`text` without the words that give the item away; "" where nothing else is left of it."""
        for _ in range(_TRIES):
            if not self.leaks(text, item):
                return text if re.search(r"\w", text) else ""
            spans = self._leaking_spans(text, item)
            if not spans:
                return ""
            text = _taken_out(text, spans)
        return ""

    def _leaking_spans(self, text: str, item: int) -> list[tuple[int, int]]:
        """The parts of `text` to take out, in order, those with nothing between them as one."""
        title = self._titles[item] or ""
        numbers = series_numbers(title)
        found = [(begin, end) for number, begin, end in numbers_said(text) if number in numbers]
        found += self._singled_out(text, item)
        said = tokens(text)
        found += [said[index][1:] for index in sorted(leaking_words(text, title))]
        joined: list[tuple[int, int]] = []
        for begin, end in sorted(found):
            if joined and re.fullmatch(r"[\W_]*|\W+(?:of|the|and|a|in|to|for)\W+", text[joined[-1][1] : begin]):
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((begin, end))
        return joined


def _singling_names(
    items: pl.DataFrame, columns: Mapping[str, Role], year: str
) -> dict[int, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Item -> the names (as " tom hanks ") and surnames ("Hanks") that nobody of another item of its year has."""
    frames = []
    for column, role in columns.items():
        values = items.select(year=pl.col(year), name=pl.col(column)).with_row_index("item")
        values = values.explode("name") if isinstance(values.schema["name"], pl.List) else values
        frames.append(values.drop_nulls().with_columns(person=pl.lit(role in _PEOPLE)).unique())
    if not frames:
        return {}
    pairs = pl.concat(frames)
    written = pairs.select(pl.col("name").unique())
    written = written.with_columns(
        phrase=pl.Series([f" {' '.join(words_of(name))} " for name in written["name"]], dtype=pl.String),
        surname=pl.col("name").str.extract(r" ([^\W\d_][\w'’-]+)$"),
    ).filter(pl.col("phrase").str.len_chars() > 3)
    pairs = pairs.join(written, on="name")
    full = pairs.select("item", "year", said="phrase").unique()
    last = pairs.filter("person", pl.col("surname").str.len_chars() >= _SHORTEST_SURNAME)
    last = last.select("item", "year", said="surname").unique()
    alone = [frame.filter(pl.len().over("year", "said") == 1).select("item", "said") for frame in (full, last)]
    grouped = [frame.group_by("item").agg("said") for frame in alone]
    full_of, last_of = ({item: tuple(said) for item, said in frame.iter_rows()} for frame in grouped)
    return {item: (full_of.get(item, ()), last_of.get(item, ())) for item in full_of.keys() | last_of.keys()}


_LEADS = re.compile(
    r"(?:\b(?:from|in|of|during|called|named|titled|made in|released in|came out in)\s+)$", re.IGNORECASE
)
_LED = re.compile(
    r"\b(?:with|about|from|by|of|in|on|for|and|called|named|titled|involving|featuring)\s+$", re.IGNORECASE
)
_LIKE = re.compile(
    r"\b(?:like|as|to|than|is|was|love|loved|enjoyed|liked|seen|watched|played|heard|want|watch|mean|got)\s+$",
    re.IGNORECASE,
)
_OPENED = re.compile(r"[\"“'‘«(]\s*((?:the|a|an)\s+)?$", re.IGNORECASE)
_DETERMINER = re.compile(r"\b(?:the|a|an|that|this)\s+$", re.IGNORECASE)
_ENDS = re.compile(
    r"\s*(?:$|[.,!?;:)]|(?:and|or|but|please|with|from|in|by|for|if|so|too|again|was|is)\b)", re.IGNORECASE
)
_NOTHING_LEFT = frozenset("the a an one that something please of in from and it i movie film game album".split())


def _taken_out(text: str, spans: list[tuple[int, int]]) -> str:
    """`text` without `spans`; where a name stood as an object, "that one" or "something" stands in."""
    for begin, end in reversed(spans):
        before, after = text[:begin], text[end:].lstrip("\"”'’»)")
        if opened := _OPENED.search(before):
            before = before[: opened.start()] + (opened.group(1) or "")
        year = text[begin:end].strip("'’").isdecimal()
        if year and (lead := _LEADS.search(before)):
            before = before[: lead.start()]
        elif not year and _ENDS.match(after):
            determiner = _DETERMINER.search(before)
            before = before[: determiner.start()] if determiner else before
            if _LIKE.search(before):
                a = determiner is not None and determiner.group().lower().strip() in ("a", "an")
                before += "something" if a else "that one"
            elif lead := _LED.search(before):
                before = before[: lead.start()]
            elif determiner:
                before += "one"
        text = f"{before.rstrip()} {after.lstrip()}" if before.strip() else after
    text = re.sub(r"\s+([.,!?;:])", r"\1", re.sub(r"\s{2,}", " ", text))
    text = re.sub(r"\b([Aa])n (?=[bcdfgjklmnpqrstvwxyz])", r"\1 ", text)
    text = re.sub(r"([,;:])(?:\s*[,;:])+", r"\1", text)
    text = re.sub(r"[,;:]\s*([.!?])", r"\1", text).strip(" ,;:-").lstrip(".,!? ")
    text = re.sub(r"^(?:of|and) ", "", text)
    if _NOTHING_LEFT.issuperset(words_of(text)):
        return ""
    return text[:1].upper() + text[1:]
