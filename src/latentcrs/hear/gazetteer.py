"""Which words of a sentence name a value of the catalogue: a look-up, in any language that has a file of words."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal

import polars as pl
from rapidfuzz import fuzz, process

from latentcrs.base.words import RARE, place_by_use
from latentcrs.data import ColumnKind
from latentcrs.data.roles import Role, role_of
from latentcrs.hear.language import Line, key_of, patterns, plain, stem, words
from latentcrs.recommend.titles import TitleFinder

How = Literal["value", "synonym", "slip", "surname"]
NAMES = frozenset({"director", "actor", "writer", "creator", "publisher", "developer"})
PEOPLE = frozenset({"director", "actor", "writer", "creator"})
LONGEST = 7  # words and marks of a phrase
SLIP = 84.0
KNOWN = 3  # items of somebody who is known by the surname
SURNAME = 6000  # a word more common than this is no surname by itself
_NOTHING = frozenset(
    "unknown other others misc miscellaneous na none null nan various general default unspecified "
    "notrated nogenreslisted".split()
)
_FOR: dict[str, frozenset[str]] = {
    "sort": frozenset({"genre", "kind", "other"}), "color": frozenset({"other"}),
    "origin": frozenset({"genre", "kind", "other", "country", "language"}),
    "platform": frozenset({"platform", "kind", "other"}), "certificate": frozenset({"certificate", "other"}),
    "maker": frozenset({"publisher", "developer", "creator"}),
}  # fmt: skip
"""In which columns the synonyms of each kind belong."""


@dataclass(frozen=True)
class Value:
    """A value of a column. count: how many items have it. opposite: the phrase denies it ("for adults")."""

    column: str
    role: Role
    value: str
    count: int
    how: How = "value"
    opposite: bool = False


@dataclass(frozen=True)
class Mention:
    """Words, tokens first..last (behind), that name one value, or several that hold together ("romcom")."""

    first: int
    last: int
    values: tuple[Value, ...]


class Gazetteer:
    """Every way to say the values of one catalogue's category columns."""

    def __init__(self, items: pl.DataFrame, columns: Mapping[str, ColumnKind]) -> None:
        self.roles: dict[str, Role] = {column: role_of(column, kind) for column, kind in columns.items()}
        self.values: dict[str, list[Value]] = defaultdict(list)  # by key
        self.names: dict[str, list[Value]] = defaultdict(list)
        self.certificates: dict[str, Value] = {}
        self.numbered: dict[str, dict[str, str]] = defaultdict(dict)  # column -> "42" -> the value
        for value in _values(items, columns, self.roles):
            key = key_of(value.value)
            if value.role == "certificate":
                self.certificates[key_of(value.value)] = value
            elif key.isdigit():
                self.numbered[value.column][key] = value.value
            elif value.role in NAMES:
                self.names[key].append(value)
            elif key and key not in _NOTHING:
                self.values[key].append(value)
                for part in _parts(value.value):
                    self.values.setdefault(part, [value])
        self.surnames: dict[str, Value] = {}  # whom a surname means, if nobody has been spoken of
        self.namesakes: dict[str, list[Value]] = defaultdict(list)
        self.forenames: set[str] = set()
        for found in self.names.values():
            for value in found:
                parts = [plain(part) for part in value.value.split()]
                if value.role in PEOPLE and len(parts) > 1:
                    self.forenames.add(parts[0])
                    self.namesakes[parts[-1]].append(value)
                    if value.count < KNOWN:
                        continue
                    known = self.surnames.get(parts[-1])
                    if known is None or known.count < value.count:
                        self.surnames[parts[-1]] = replace(value, how="surname")
        self._by_language: dict[str, dict[str, tuple[Value, ...]]] = {}

    @cached_property
    def _finder(self) -> TitleFinder:
        """Names with a slip of spelling."""
        self._spelt = list(self.names)
        names = [max(self.names[key], key=lambda v: v.count) for key in self._spelt]
        return TitleFinder([v.value for v in names], [None] * len(names), [float(v.count) for v in names])

    def phrases(self, language: str) -> dict[str, tuple[Value, ...]]:
        """Key -> values, with the synonyms of English and of `language`."""
        if language not in self._by_language:
            self._by_language[language] = self._with_synonyms(language)
        return self._by_language[language]

    def _with_synonyms(self, language: str) -> dict[str, tuple[Value, ...]]:
        found = {key: tuple(v[:1]) for key, v in self.values.items()}
        for one in dict.fromkeys(("en", language)) if language != "xx" else ("en",):
            for kind, roles in _FOR.items():
                for group in words(one).get(kind, ()):
                    wanted = group.get("to") or group.get("all") or group["not"]
                    here = [self._of(key_of(name), roles) for name in wanted]
                    if not any(here) or ("all" in group and not all(here)):
                        continue
                    chosen = tuple(v for v in here if v) if "all" in group else (next(v for v in here if v),)
                    chosen = tuple(replace(v, how="synonym", opposite="not" in group) for v in chosen)
                    also = wanted if "to" in group else ()
                    for phrase in (*group["said"], *also):
                        found.setdefault(key_of(phrase), chosen)
        return found

    def _of(self, key: str, roles: frozenset[str]) -> Value | None:
        known = [*self.values.get(key, ()), *self.names.get(key, ())]
        if key in self.certificates:
            known.append(self.certificates[key])
        return next((v for v in known if v.role in roles), None)

    def find(self, line: Line, language: str, taken: Sequence[bool], spoken_of: Sequence[str] = ()) -> list[Mention]:
        """The values that `line` names, outside of the tokens `taken`, in order. A surname is of the first
        among `spoken_of`, values as the catalogue has them, before anybody else.
        """
        phrases, free = self.phrases(language), [not t for t in taken]
        found: list[Mention] = []

        def take(first: int, last: int, values: tuple[Value, ...]) -> None:
            found.append(Mention(first, last, values))
            free[first:last] = [False] * (last - first)

        for mention in self._certificates(line, free, language):
            take(mention.first, mention.last, mention.values)
        tokens = line.tokens
        first = 0
        while first < len(tokens):
            step = 1
            for last in range(min(len(tokens), first + LONGEST), first, -1):
                part = tokens[first:last]
                if not all(free[first:last]) or not part[0].word.isalnum() or not part[-1].word.isalnum():
                    continue
                if any(t.word in ",.;:!?/" and not (t.word == "." and len(a.word) == 1) for a, t in pairwise(part)):
                    continue  # but for the point behind an initial
                key = "".join(stem(t.word) for t in part if t.word.isalnum())
                if len(part) > 1 and part[0].word in ("the", "a", "an"):
                    continue
                if key in phrases and not self.is_part_of_a_name(line, first, last, phrases[key]):
                    take(first, last, phrases[key])
                elif key in self.names and (last - first > 1 or self._single(tokens[first].word, self.names[key])):
                    take(first, last, (self._role(line, first, last, self.names[key], language),))
                else:
                    continue
                step = last - first
                break
            first += step
        for first, last, values in self._misspelt(line, free, phrases):
            take(
                first,
                last,
                (self._role(line, first, last, list(values), language),) if values[0].role in NAMES else values,
            )
        for first, token in enumerate(tokens):
            near = {v.value: v for v in self.namesakes.get(token.word, ())} if spoken_of else {}
            value = next((near[one] for one in spoken_of if one in near), self.surnames.get(token.word))
            if value and free[first] and self._is_surname(line, first, free):
                same = [v for v in self.names[key_of(value.value)]]
                take(first, first + 1, (replace(self._role(line, first, first + 1, same, language), how="surname"),))
        return sorted(found, key=lambda mention: mention.first)

    def _single(self, word: str, values: Sequence[Value]) -> bool:
        return min(place_by_use(word), place_by_use(stem(word))) > SURNAME or values[0].role in (
            "publisher",
            "developer",
        )

    def _certificates(self, line: Line, free: Sequence[bool], language: str) -> list[Mention]:
        """Ratings for an age: letters with a digit or several in capitals; one letter only beside a word for it."""
        if not self.certificates:
            return []
        spoken = [line.span(match) for name, pattern in patterns(language, "called") if name == "certificate"
                  for match in pattern.finditer(line.line)]  # fmt: skip
        found: list[Mention] = []
        for first, token in enumerate(line.tokens):
            for last in (first + 3, first + 2, first + 1):
                if last > len(line.tokens) or not all(free[first:last]):
                    continue
                said = line.said(first, last)
                value = self.certificates.get(key_of(said))
                if value is None or (found and first < found[-1].last) or len(said) > len(value.value) + 1:
                    continue
                beside = any(
                    line.said(other, other + 1).isupper() and key_of(line.said(other, other + 1)) in self.certificates
                    for other in (first - 2, last + 1)
                    if 0 <= other < len(line.tokens) and not line.tokens[min(first, other) + 1].capital
                )
                near = beside or any(0 <= first - end <= 4 or 0 <= start - last <= 2 for start, end in spoken)
                listed = bool(found) and first - found[-1].last <= 2
                telling = len(said) > 1 and (said.isupper() or any(c.isdigit() for c in said))
                if (telling and len(said) > 2) or ((near or listed) and (said.isupper() or near)):
                    found.append(Mention(first, last, (value,)))
                    break
                follows = re.match(r"(?:\w+ ){0,1}(?:or|and|/|,) ", line.line[line.at[first] + len(token.word) + 1 :])
                if telling and follows:
                    found.append(Mention(first, last, (value,)))
                    break
        return found

    def is_part_of_a_name(self, line: Line, first: int, last: int, values: Sequence[Value] = ()) -> bool:
        """Whether these words, in capitals, stand within a longer run of them: "Action" in "Last Action Hero"."""
        tokens = line.tokens
        shouted = sum(t.capital for t in tokens) > 0.6 * len(tokens)
        if shouted or not tokens[first].capital or any(v.role in NAMES for v in values):
            return False

        def name(place: int, step: int) -> bool:
            if not 0 <= place < len(tokens) or not tokens[place].capital or len(tokens[place].word) < 2:
                return False
            if place == 0 or tokens[place - 1].word in (".", "!", "?"):
                return False
            edge = (
                (tokens[place].end, tokens[place + 1].start)
                if step < 0
                else (tokens[place - 1].end, tokens[place].start)
            )
            known = key_of(tokens[place].word) in self.values
            return not line.text[edge[0] : edge[1]].strip() and not known

        small = last < len(tokens) and tokens[last].word in ("of", "and", "the", "in")
        return name(first - 1, -1) or name(last, 1) or (small and (name(last + 1, 2) or name(last + 2, 2)))

    def _is_surname(self, line: Line, place: int, free: Sequence[bool]) -> bool:
        token = line.tokens[place]
        if place_by_use(token.word) < SURNAME or len(token.word) < 4 or token.word in self.forenames:
            return False
        before = line.tokens[place - 1] if place else None
        # Another's forename, or a word in capitals in front: somebody whom the catalogue does not have.
        if before is not None and free[place - 1] and before.word.isalpha():
            if before.word in self.forenames and place_by_use(before.word) > 1000:
                return False
            if before.capital and token.capital and (place > 1 or before.word in self.forenames):
                return False
        behind = line.tokens[place + 1] if place + 1 < len(line.tokens) else None
        joined = behind is not None and behind.capital and not line.text[token.end : behind.start].strip()
        return not joined and (token.capital or not any(t.capital for t in line.tokens[1:]))

    def _misspelt(
        self, line: Line, free: Sequence[bool], phrases: Mapping[str, tuple[Value, ...]]
    ) -> list[tuple[int, int, tuple[Value, ...]]]:
        """Values of a sort with a slip, and names of two words with one."""
        found = []
        for place, token in enumerate(line.tokens):
            word = token.word
            if not free[place] or len(word) < 5 or not word.isalpha() or place_by_use(stem(word)) < RARE:
                continue
            if place_by_use(word) < RARE or word in self.surnames:
                continue
            near = process.extractOne(
                stem(word), phrases.keys(), scorer=fuzz.ratio, score_cutoff=SLIP - 6 if len(word) < 7 else SLIP
            )
            if near and near[0][0] == word[0] and abs(len(near[0]) - len(stem(word))) < 3:
                found.append((place, place + 1, tuple(replace(v, how="slip") for v in phrases[near[0]])))
        if self.names:
            for candidate in self._finder.candidates(line.text):
                slips = candidate.features["slips"]
                inside = [
                    n for n, t in enumerate(line.tokens) if candidate.start <= t.start and t.end <= candidate.end
                ]
                if not slips or slips > 1.3 or len(inside) < 2 or not all(free[n] for n in inside):
                    continue
                if any(first in inside for first, _, _ in found):
                    continue
                if any(
                    place_by_use(line.tokens[n].word) == RARE or line.tokens[n].word in self.forenames for n in inside
                ):
                    values = self.names[self._spelt[candidate.numbers[0]]]
                    found.append((inside[0], inside[-1] + 1, tuple(replace(v, how="slip") for v in values)))
        return found

    def _role(self, line: Line, first: int, last: int, values: Sequence[Value], language: str) -> Value:
        """Of a name in several columns, the one that the words around it speak of; else where it stands most, where
        directing counts more than writing, and acting lies between: who makes films is meant by it.
        """
        if len(values) == 1:
            return values[0]
        best: tuple[int, Value] | None = None
        for name, pattern in patterns(language, "people"):
            of_role = [v for v in values if v.role == name]
            for match in pattern.finditer(line.line) if of_role else ():
                start, end = line.span(match)
                away = first - end if end <= first else start - last
                if 0 <= away <= 4 and (best is None or away < best[0]):
                    best = (away, of_role[0])
        weights = {"director": 2.0, "writer": 0.5}
        return best[1] if best else max(values, key=lambda v: v.count * weights.get(v.role, 1.0))


def _parts(value: str) -> list[str]:
    """The names of a sort that has several: "Rap & Hip-Hop"."""
    if not re.search(r"&|/|,| and | or |\(", value):
        return []
    parts = [key_of(part) for part in re.split(r"[&/,()]| and | or ", value)]
    return [part for part in parts if len(part) > 2]


def _values(items: pl.DataFrame, columns: Mapping[str, ColumnKind], roles: Mapping[str, Role]) -> list[Value]:
    """Every value of every category column, the most frequent first."""
    found = []
    for column, kind in columns.items():
        if kind not in ("category", "multi-category"):
            continue
        said = items[column].explode() if isinstance(items.schema[column], pl.List) else items[column]
        counts = said.drop_nulls().cast(pl.String).rename("value").value_counts(sort=True)
        found += [Value(column, roles[column], v, n) for v, n in counts.iter_rows() if v and len(v) <= 80]
    return found
