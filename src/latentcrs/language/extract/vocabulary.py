"""Every way to say a value of the catalogue's category columns, as one index of phrases."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

import polars as pl

from latentcrs.data import ColumnKind
from latentcrs.data.roles import Role, role_of
from latentcrs.language.extract.contexts import ITEM_NOUNS, MAKERS, NAMES, PEOPLE
from latentcrs.language.extract.english import FUNCTION, is_common
from latentcrs.language.extract.tokens import key_of, plain

How = Literal["value", "part", "synonym", "short", "opposite"]
Key = tuple[str, ...]
CERTAINTY: dict[How, float] = {"value": 1.0, "part": 0.8, "synonym": 0.7, "short": 0.8, "opposite": 0.7}
LONGEST = 8
"""Words of the longest phrase that is looked for."""
_LONGEST_VALUE = 80  # characters: beyond is prose, not a value that anyone says
# Values that say nothing about an item.
_UNTELLING = frozenset(
    key_of(value)
    for value in (
        "unknown", "other", "others", "misc", "miscellaneous", "n/a", "na", "none", "null", "nan", "various",
        "general", "default", "unspecified", "undefined", "not rated", "various artists", "no genres listed",
        "not available", "not applicable",
    )
)  # fmt: skip
_FUNCTION = FUNCTION | {"yes", "true", "false", "new", "good", "best", "ever", "now", "hi", "hey"}
# What the names of firms end in and nobody says.
_FIRM = frozenset(
    "entertainment game studio interactive software softwork digital inc ltd llc corporation corp co company "
    "publishing "
    "publisher production media europe america usa computer online home gmbh sa record recording music "
    "pictures group "
    "system".split()
)
_GENERATIONS = frozenset({"jr", "sr", "ii", "iii", "iv"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of one column that a phrase stands for. `also` are further values of the column that it stands for.
    `how` is "opposite" where the phrase denies it ("for adults").
    """

    column: str
    role: Role
    value: str
    count: int
    how: How
    also: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether it is a person or a firm, rather than a sort of item."""
        return self.role in NAMES


@lru_cache(maxsize=1)
def synonyms() -> dict[str, list[dict[str, list[str]]]]:
    """The groups of `synonyms.toml` by kind."""
    text = resources.files("latentcrs.language.extract").joinpath("synonyms.toml").read_text("utf-8")
    return tomllib.loads(text)


@lru_cache(maxsize=2)
def subjects_of(kind: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The phrases of synonyms.toml for what a plot is about, as stems, and the words that texts have for them."""
    subjects: dict[tuple[str, ...], tuple[str, ...]] = {}
    for group in synonyms()[kind]:
        subjects |= {key_of(word): tuple(word.split()) for word in group.get("each", ())}
        said = (*group.get("to", ()), *group.get("said", ()))
        subjects |= {key_of(phrase): tuple(group["to"][0].split()) for phrase in said}
    return subjects


class Vocabulary:
    """phrases: key -> what it stands for. surnames: a word -> the best-known bearers, one per column. foreign: key ->
    the kind of thing it means, where this catalogue has no such thing. items_at_large: words for any item that are a
    kind here. certificates: column -> its values. broken: keys of values with a comma inside. bearers: a word -> the
    names that have it.
    """

    def __init__(self, items: pl.DataFrame, columns: Mapping[str, ColumnKind]) -> None:
        self.roles: dict[str, Role] = {column: role_of(column, kind) for column, kind in columns.items()}
        self.phrases: dict[Key, list[Entry]] = defaultdict(list)
        self.surnames: dict[str, list[Entry]] = defaultdict(list)
        self.foreign: dict[Key, str] = {}
        self.broken: set[Key] = set()
        values = list(_values(items, columns, self.roles))
        self.certificates: dict[str, set[str]] = defaultdict(set)
        for entry, _ in values:
            if entry.role == "certificate":
                self.certificates[entry.column].add(entry.value)
        self.items_at_large = {
            key[0]: entry for entry, key in _values(items, columns, self.roles, at_large=True) if entry.role == "kind"
        }
        self.bearers: dict[str, list[Key]] = defaultdict(list)
        for entry, key in values:
            self.phrases[key].append(entry)
            if "," in entry.value:
                self.broken.add(key)
            if entry.named:
                self._name(entry, key)
        self._parts(values)
        self._add_synonyms()
        self.longest: dict[str, int] = {}
        for key in (*self.phrases, *self.foreign):
            self.longest[key[0]] = max(len(key), self.longest.get(key[0], 0))

    def words(self) -> Iterator[str]:
        """Every word of a sort of item, and names of firms: what a slip of the fingers may have meant."""
        for key, entries in self.phrases.items():
            if any(not entry.named or (entry.role in MAKERS and len(key[0]) >= 6) for entry in entries):
                yield from key

    def family(self, surname: str, column: str) -> tuple[str, ...]:
        """The people of `column` with this surname, the best known first, if there are several: "Coen brothers"."""
        people = [
            entry
            for key in self.bearers.get(surname, ())
            for entry in self.phrases[key]
            if key[-1] == surname and entry.column == column and entry.how == "value"
        ]
        people.sort(key=lambda entry: -entry.count)
        return tuple(entry.value for entry in people[:2]) if len(people) > 1 else ()

    def _name(self, entry: Entry, key: Key) -> None:
        """Shorter forms of a person's or a firm's name."""
        if entry.role in PEOPLE:
            key = key[:-1] if len(key) > 2 and key[-1] in _GENERATIONS else key
            short = tuple(word for i, word in enumerate(key) if len(word) > 1 or i in (0, len(key) - 1))
            surname = plain(entry.value.split()[-1]) if key[-1] not in _GENERATIONS else ""
        else:
            short = key
            while len(short) > 1 and short[-1] in _FIRM:
                short = short[:-1]
            surname = key[0] if not is_common(key[0], 4000) else ""
        if len(short) > 1 or (short and entry.role in MAKERS):
            self._known_better(self.phrases, short, replace(entry, how="part"))
        if len(key) > 1:
            for word in key:
                self.bearers[word].append(key)
            if len(surname) > 2 and surname not in _FIRM:
                self._known_better(self.surnames, surname, replace(entry, how="short"))

    @staticmethod
    def _known_better(index: dict[Any, list[Entry]], key: Any, entry: Entry) -> None:
        """Add `entry` unless the column has a better-known one for this key, or the key in full."""
        for place, other in enumerate(index[key]):
            if other.column == entry.column:
                if other.how != "value" and other.count < entry.count:
                    index[key][place] = entry
                return
        index[key].append(entry)

    def _parts(self, values: list[tuple[Entry, Key]]) -> None:
        """The parts of a sort with several names ("Rap & Hip-Hop"): each says it too, beside a rarer sort of just
        that name.
        """
        for entry, key in values:
            if entry.named or not re.search(r"&|/|,| and | or |\(", entry.value):
                continue
            plain = re.sub(r"\s*\([^)]*\)", "", entry.value)
            whole = [plain, *re.findall(r"\(([^)]*)\)", entry.value)]
            parts = [key_of(text) for text in whole] + [part for text in whole for part in _split(text)]
            for part in set(parts) - {key, ()}:
                if len(part) == 1 and (len(part[0]) < 3 or part[0] in _FUNCTION or part[0] in ITEM_NOUNS):
                    continue
                same = [other for other in self.phrases.get(part, []) if other.column == entry.column]
                if not same:
                    self.phrases[part].append(replace(entry, how="part"))
                elif same[0].how == "part" or same[0].count < entry.count:
                    place = self.phrases[part].index(same[0])
                    self.phrases[part][place] = replace(same[0], also=(*same[0].also, entry.value))

    def _add_synonyms(self) -> None:
        known = {key: list(entries) for key, entries in self.phrases.items()}
        for kind, groups in synonyms().items():
            for group in groups if kind in _KINDS else ():
                wanted = [key_of(name) for name in group.get("to") or group.get("all") or group["not"]]
                said = [key for key in (key_of(phrase) for phrase in group["said"]) if key]
                found = [self._of_kind(known.get(key, []), kind) for key in wanted]
                if "all" in group:
                    targets = [entry for entries in found for entry in entries[:1]] if all(found) else []
                else:
                    said = [*(wanted if "to" in group else ()), *said]
                    targets = next((entries[:1] for entries in found if entries), [])
                for key in said:
                    blocking = self._of_kind(known.get(key, []), kind)
                    if kind == "maker":  # "EA" is Electronic Arts before it is EA Games
                        blocking = [entry for entry in blocking if entry.how == "value"]
                    taken = {other.column for other in self.phrases.get(key, ()) if other.how == "synonym"}
                    if targets and not blocking and targets[0].column not in taken:
                        fresh = [replace(entry, how="opposite" if "not" in group else "synonym") for entry in targets]
                        have = self.phrases[key]
                        have += [
                            entry
                            for entry in fresh
                            if (entry.column, entry.value) not in {(o.column, o.value) for o in have}
                        ]
                    elif not targets and key not in self.phrases:
                        self.foreign.setdefault(key, kind)
        for key in [key for key in self.foreign if key in self.phrases]:
            del self.foreign[key]

    def _of_kind(self, entries: list[Entry], kind: str) -> list[Entry]:
        """Those of `entries` in a column where synonyms of `kind` belong, the commonest first."""
        fitting = [entry for entry in entries if entry.how != "short" and entry.role in _KINDS[kind]]
        return sorted(fitting, key=lambda entry: (entry.how != "value", -entry.count))


def _split(value: str) -> list[Key]:
    """The parts of a value with several names; "Speed & Thrash Metal" is "speed metal" and "thrash metal"."""
    parts = [key for key in map(key_of, re.split(r"[&/,]| and | or ", value)) if key]
    if len(parts) > 1 and len(parts[-1]) > 1:
        return [*((*part, parts[-1][-1]) for part in parts[:-1]), parts[-1]]
    return parts


_SORT: tuple[Role, ...] = ("genre", "kind", "other")
_KINDS: dict[str, tuple[Role, ...]] = {
    "sort": _SORT,
    "origin": (*_SORT, "country", "language"),
    "platform": ("platform", "kind", "other"),
    "certificate": ("certificate", "other"),
    "maker": (*MAKERS, "creator"),
}


def _values(
    items: pl.DataFrame, columns: Mapping[str, ColumnKind], roles: Mapping[str, Role], at_large: bool = False
) -> Iterator[tuple[Entry, Key]]:
    """Every value of every category column with its key, less those that tell nothing or name the items at large
    (with `at_large`: only the latter).
    """
    for column, kind in columns.items():
        if kind not in ("category", "multi-category"):
            continue
        values = items[column].explode() if isinstance(items.schema[column], pl.List) else items[column]
        counts = values.drop_nulls().cast(pl.String).rename("value").value_counts(sort=True)
        for value, count in counts.iter_rows():
            key = key_of(value)
            if not key or len(value) > _LONGEST_VALUE or len(key) > LONGEST or key in _UNTELLING:
                continue
            if all(word in _FUNCTION for word in key) or (len(key) == 1 and key[0] in ITEM_NOUNS) != at_large:
                continue
            if value.isdigit() and roles[column] not in ("platform", "creator"):
                continue
            yield Entry(column, roles[column], value, count, "value"), key
