"""Turns conditions into English: the forms of one, noun phrases, the blanks of a pattern; words: `talk.toml`."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib import resources
from typing import Any

from latentcrs.base.draws import Dice
from latentcrs.base.words import word_list
from latentcrs.data.nouns import Noun
from latentcrs.users.conditions import Condition

Fills = Mapping[str, Callable[[], str]]
_CAPITAL = word_list("latentcrs.users", "story", "capital")
_FRONT, _SORT_FRONT, _ALONE, _SOMETHING = 0.22, 0.8, 0.4, 0.15  # how often, where it may be
_LABEL = re.compile(r"[&/,]|\band\b|\w{3,}s$(?<!blues)(?<!sports)(?<!christmas)", re.IGNORECASE)
_ORDER = {"genre": 0, "kind": 0, "year": 1, "platform": 1, "actor": 3, "price": 3, "story": 4}
_DECADES = "twenties thirties forties fifties sixties seventies eighties nineties".split()


@cache
def talk() -> dict[str, Any]:
    """The data of `talk.toml`."""
    return tomllib.loads(resources.files("latentcrs.users").joinpath("talk.toml").read_text("utf-8"))


@cache
def _said(table: str) -> dict[str, list[str]]:
    """A table of `[said]`: a value in lower case -> how it is said."""
    entries = (entry.partition(":") for entry in " ".join(talk()["said"][table].split()).split(";"))
    return {value.strip(): words.strip().split(", ") for value, _, words in entries}


def plural_of(noun: str) -> str:
    """The plural of an English noun phrase whose last word is its head."""
    if noun.endswith(("series", "music")):
        return noun
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search(r"(?:s|x|z|ch|sh)$", noun) else "s")


def with_article(phrase: str) -> str:
    """`phrase` with "a" or "an" in front, by how its first word sounds."""
    spelled = r"Xbox|[AEFHILMNORSX](?![a-z])[A-Z0-9&.\-]*(?=\W|$)|8|11(?!\d)|18(?!\d\b)"
    sounds = r"(?!uni|ubi|use|usu|usb|eu|one\b|once\b|u\b)(?:[aeiou]|hour|honest|heir)"
    return f"{'an' if re.match(spelled, phrase) or re.match(sounds, phrase.lower()) else 'a'} {phrase}"


@dataclass(frozen=True)
class Forms:
    """All ways to say a condition. nouns: as a noun. adjectives: of `front`, behind "something". sort: of item."""

    behind: Sequence[str]
    key: Sequence[str]
    clause: Sequence[str]
    front: Sequence[str] = ()
    nouns: Sequence[str] = ()
    adjectives: Sequence[str] = ()
    sort: bool = False


@lru_cache(maxsize=200_000)
def forms_of(condition: Condition) -> Forms:
    """The forms of one condition."""
    role, value = str(condition.role), condition.shown
    values, column = [value], column_name(condition.column)
    if condition.operator in ("between", "below", "above"):
        role, values = _range(condition)
    elif role in ("genre", "kind"):
        said = _lowered(value)
        known = _said("sorts").get(value.lower()) or ([] if _LABEL.search(said) else [said])
        if known:
            return _sort(known)
        role, values = "label", [said]
    elif role == "platform":
        values = [value, *_said("platforms").get(value.lower(), [])]
    elif role == "publisher" and not re.search(r"publish|label", condition.column.lower()):
        role = "maker"
    elif role == "certificate" and value.lower() != "unrated":
        values = [value.upper() if len(value) <= 5 else value]
    elif role == "certificate":
        return _sort(["unrated*"])
    words = talk()["roles"][role]
    forms = {
        place: [text.replace("{v}", value).replace("{column}", column) for value in values for text in texts]
        for place, texts in {"key": ["{v}"], "front": [], **words}.items()
    }
    clause = [f"it should be {text}" for text in forms["behind"] if not text.startswith(("with ", "that "))]
    return Forms(forms["behind"], forms["key"], forms.get("clause", clause), forms["front"])


def _sort(words: Sequence[str]) -> Forms:
    """The forms of a sort of item, said as `[said]` has it."""
    front = [word.rstrip("*") for word in words if word[0] != "="]
    nouns, adjectives = ([word.strip("=*") for word in words if mark in word] for mark in "=*")
    clause = [f"it should be {word}" for word in (*adjectives, *map(with_article, nouns))]
    clause = clause or [f"I'd like it to be {front[0]}", f"preferably {front[0]}"]
    return Forms((), front, clause, front, nouns, adjectives, sort=True)


def _range(condition: Condition) -> tuple[str, list[str]]:
    """The role in `[roles]` of a range, and its value in words."""
    low, high, operator = condition.low, condition.high, condition.operator
    if condition.role != "year":
        role = "price" if condition.role == "price" and operator == "below" else operator
        return role, [f"{high if operator == 'below' else low:g}"]
    if operator != "between":
        return ("until", [f"{high:.0f}"]) if operator == "below" else ("since", [f"{low:.0f}"])
    if low == high:
        return "year", [f"{low:.0f}"]
    decade = int(low) // 10 * 10
    names = [f"{decade}s"]
    if 1920 <= decade < 2000:
        names = [f"{decade % 100}s", f"{decade % 100}s", *names, _DECADES[decade // 10 - 192]]
    part = "" if high - low == 9 else {0: "early ", 4: "mid ", 7: "late "}[int(low) % 10]
    return "decade", [part + name for name in names]


def _lowered(value: str) -> str:
    """A sort of item in running text: lower case but for names and abbreviations; "&" is "and"."""
    words = re.sub(r"\s*\([^)]*\)\s*$", "", value).split()
    kept = (word if word in _CAPITAL or (len(word) <= 4 and word.isupper()) else word.lower() for word in words)
    return " ".join(kept).replace(" & ", " and ")


def column_name(column: str) -> str:
    """What one value of a column is called: "genre" for "genres"."""
    name = column.replace("_", " ").lower()
    return name[:-1] if name.endswith("s") and not name.endswith(("ss", "series")) else name


def noun_phrase(conditions: Sequence[Condition], noun: Noun, dice: Dice, plural: bool = False) -> str:
    """A noun phrase with all of `conditions`, with its article: "a funny film from the 90s with Tom Hanks in it"."""
    fronts, behinds, head = list[tuple[int, str]](), list[tuple[int, str]](), ""
    for condition in conditions:
        forms = forms_of(condition)
        in_front = _SORT_FRONT if forms.sort else 0.0 if any(rank in (0, 2) for rank, _ in fronts) else _FRONT
        if forms.nouns and not head and dice.chance(_ALONE):
            head = dice.pick(forms.nouns)
        elif forms.front and (not forms.behind or dice.chance(in_front)):
            word = dice.pick(forms.front)
            rank = 1 if word in forms.adjectives else 3 if forms.sort else 0 if condition.role == "year" else 2
            fronts.append((rank, word))
        else:
            short = [form for form in forms.behind if not form.startswith("that ")] if len(conditions) > 1 else ()
            behinds.append((_ORDER.get(condition.role, 2), dice.pick(short or forms.behind)))
    adjectives = len(fronts) < 2 and all(rank == 1 for rank, _ in fronts)
    fronts.sort(key=lambda front: front[0])
    sorts = [word for rank, word in fronts if rank == 3]
    fronts = [front for front in fronts if front[0] < 3] + ([(3, " and ".join(sorts))] if sorts else [])
    words = [word for _, word in fronts if word != head]
    if not plural and not head and adjectives and (not noun.words or dice.chance(_SOMETHING)):
        phrase = " ".join(["something", *words])
    else:
        head = head or (dice.pick(noun.words) if noun.words else "one")
        phrase = " ".join([*words, plural_of(head) if plural else head])
        phrase = phrase if plural else with_article(phrase)
    tail = [text for _, text in sorted(behinds, key=lambda behind: behind[0])]
    if len(tail) > 1:
        alike = tail[-1].split()[0] == tail[-2].split()[0]
        tail[-2:] = [(" and " if alike else dice.pick((" and ", " and ", " ", ", "))).join(tail[-2:])]
    return f"{phrase} {', '.join(tail)}".strip().replace("{it}", "them" if plural else "it")


def fills_of(conditions: Sequence[Condition], noun: Noun, dice: Dice) -> dict[str, Callable[[], str]]:
    """The words for a pattern's blanks (`talk.toml`) about items and conditions; {key} to {could}: the first."""
    word = noun.words[0] if noun.words else "thing"
    texts = {"verb": noun.verb, "noun": word, "nouns": plural_of(word), "done": noun.done}
    fills: dict[str, Callable[[], str]] = {name: partial(str, text) for name, text in texts.items()}
    if not conditions:
        return fills
    forms = forms_of(conditions[0])
    behind = [text.replace("{it}", "it") for text in forms.behind if not text.startswith("that ")]
    should = [text for text in forms.clause if " should " in text]
    fills |= {"behind": lambda: dice.pick(behind)} if behind else {}
    for verb in ("must", "could") if should else ():
        fills[verb] = partial(lambda said: dice.pick(should).replace(" should ", f" {said} ", 1), verb)
    return fills | {
        "np": lambda: noun_phrase(conditions, noun, dice),
        "nps": lambda: noun_phrase(conditions, noun, dice, plural=bool(noun.words)),
        "one": lambda: noun_phrase(conditions[:1], noun, dice),
        "rest": lambda: " and ".join(dice.pick(forms_of(condition).clause) for condition in conditions[1:]),
        "key": lambda: dice.pick(forms.key),
        "keys": lambda: dice.pick((", ", ", ", " ", " / ", " + ")).join(
            dice.pick(forms_of(one).key) for one in conditions
        ),
        "clause": lambda: dice.pick(forms.clause),
    }


@lru_cache(maxsize=10_000)
def blanks(pattern: str) -> frozenset[str]:
    """The names of the blanks of a pattern."""
    return frozenset(re.findall(r"\{(\w+)\}", pattern))


def filled_in(pattern: str, fills: Fills) -> str:
    """`pattern` with its blanks filled, and a capital where a sentence begins after a mark."""

    def fill(match: re.Match[str]) -> str:
        words = fills[match.group(2)]()
        return match.group(1) + (capital(words) if match.group(1) else words)

    return re.sub(r"((?:[.!?] )?)\{(\w+)\}", fill, pattern)


def capital(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]
