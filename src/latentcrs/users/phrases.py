"""Turns conditions into an English sentence: forms of one condition, noun phrases, and whole requests."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any

from latentcrs.users.conditions import Condition
from latentcrs.users.draws import Dice
from latentcrs.users.nouns import NOUNS, Noun

Forms = dict[str, list[str]]


@lru_cache(maxsize=1)
def phrase_book() -> dict[str, Any]:
    """The data of `phrases.toml`."""
    return tomllib.loads(resources.files("latentcrs.users").joinpath("phrases.toml").read_text("utf-8"))


@lru_cache(maxsize=1)
def patterns() -> tuple[tuple[str, str], ...]:
    """All sentence patterns as (register, pattern)."""
    return tuple((register, text) for register, texts in phrase_book()["patterns"].items() for text in texts)


@lru_cache(maxsize=1)
def _wheel() -> tuple[tuple[str, ...], int]:
    """Registers, each as often as its share says."""
    wheel = tuple(name for name, share in phrase_book()["registers"].items() for _ in range(share))
    return wheel, len(wheel)


def plural_of(noun: str) -> str:
    """The plural of an English noun phrase whose last word is its head."""
    if noun.endswith(("series", "music")):
        return noun
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search(r"(?:s|x|z|ch|sh)$", noun) else "s")


_LETTER_NAMES = re.compile(r"^(?:[AEFHILMNORSX](?![a-z])[A-Z0-9&.\-]*|Xbox)(?=\W|$)")


def with_article(phrase: str) -> str:
    """`phrase` with "a" or "an" in front, by how its first word sounds."""
    if _LETTER_NAMES.match(phrase):
        return f"an {phrase}"
    lower = phrase.lower()
    if re.match(r"^(?:8|11(?!\d)|18(?!\d{1,2}(?:\d|\b)(?<!\d{4}))|18\d\d)", lower):
        return f"an {phrase}"
    if re.match(r"^(?:uni|ubi|use|usu|eu|one\b|once\b|u\b)", lower):
        return f"a {phrase}"
    return f"an {phrase}" if re.match(r"^(?:[aeiou]|hour|honest|heir)", lower) else f"a {phrase}"


def said_value(value: str) -> str:
    """A sort of item in running text: lower case but for names and abbreviations; "&" is "and"."""
    names = phrase_book()["proper"]["words"]
    value = re.sub(r"\s*\([^)]*\)\s*$", "", value)
    words = []
    for word in value.split():
        plain = word.strip(",.")
        short = len(plain) <= 4 and plain.isupper() and not plain.isdigit()
        words.append(word if plain in names or short else word.lower())
    said = " ".join(words).replace(" & ", " and ")
    for name in names:
        if " " in name:
            said = re.sub(rf"\b{name}\b", name, said, flags=re.IGNORECASE)
    return said


_SAID_AS_LABEL = re.compile(r"[&/,]|\band\b|\w{3,}s$(?<!blues)(?<!sports)(?<!christmas)")
_DECADES = {1920: "twenties", 1930: "thirties", 1940: "forties", 1950: "fifties", 1960: "sixties", 1970: "seventies"}
_DECADES |= {1980: "eighties", 1990: "nineties"}


def _decade_names(decade: int) -> list[str]:
    if decade in _DECADES:
        short = str(decade)[2:]
        return [f"{short}s", f"{short}s", f"{decade}s", _DECADES[decade]]
    return [f"{decade}s"]


def _filled(role: str, values: list[str], **extra: str) -> Forms:
    """The forms of `role` with every value of `values` in the place of {v}."""
    forms: Forms = {}
    for place, texts in phrase_book()["roles"][role].items():
        filled = []
        for value in values:
            for text in texts:
                for key, word in {"v": value, **extra}.items():
                    text = text.replace("{" + key + "}", word)
                filled.append(text)
        forms[place] = filled
    return forms


@lru_cache(maxsize=200_000)
def forms_of(condition: Condition) -> Forms:
    """All ways to say one condition, by place: `before` the noun, `after` it, as a `key`word, as a `clause`; for
    sorts of item also `alone` (a noun of its own) and `something` (behind "something").
    """
    role, value = condition.role, condition.shown
    if condition.operator in ("between", "below", "above"):
        return _range_forms(condition)
    if role in ("genre", "kind"):
        return _genre_forms(value)
    if role == "platform":
        return _filled(role, [value, *phrase_book()["platforms"].get(value.lower(), [])])
    if role == "story":
        there = "there are" if condition.plural else "there is"
        forms = _filled(role, [value], there=there)
        return {**forms, "key": [*forms["key"], condition.value]}
    if role == "publisher" and not re.search(r"publish|label", condition.column.lower()):
        return _filled("maker", [value])
    if role == "certificate":
        value = value.upper() if len(value) <= 5 else value
        if value.lower() == "unrated":
            return {"before": ["unrated"], "after": [], "key": ["unrated"], "clause": ["it should be unrated"]}
    play = "play" if condition.plural else "plays"
    return _filled(role, [value], column=condition.column.replace("_", " ").lower(), play=play)


def _range_forms(condition: Condition) -> Forms:
    low, high, column = condition.low, condition.high, condition.column.replace("_", " ").lower()
    if condition.role != "year":
        number = f"{high if condition.operator == 'below' else low:g}"
        price = condition.role == "price" and condition.operator == "below"
        return _filled("price_below" if price else f"number_{condition.operator}", [number], column=column)
    if condition.operator == "below":
        return _filled("until", [f"{high:.0f}"], last=f"{high - 1:.0f}")
    if condition.operator == "above":
        return _filled("since", [f"{low:.0f}"], next=f"{low + 1:.0f}")
    if low == high:
        exact, loose = _filled("year", [f"{low:.0f}"]), _filled("around", [f"{low:.0f}"])
        return {place: texts * 3 + loose[place] for place, texts in exact.items()}
    decade = int(low) // 10 * 10
    if high - low == 9:
        return _filled("decade", _decade_names(decade))
    part = {0: ["early"], 4: ["mid"], 7: ["late"]}[int(low) % 10][0]
    return _filled("decade", [f"{part} {name}" for name in _decade_names(decade)])


def _genre_forms(value: str) -> Forms:
    known = phrase_book()["genres"].get(value.lower())
    said = said_value(value)
    if known is None and _SAID_AS_LABEL.search(said):
        return _filled("label", [said])
    known = known or {}
    before = known.get("before", [] if known else [said])
    after = known.get("after", [])
    if known:
        something = known.get("something", [])
        clause = [f"it should be {word}" for word in something]
        clause += [f"it should be {with_article(word)}" for word in known.get("alone", [])]
        clause += [f"it should be {text}" for text in after if text.startswith(("for ", "from ", "by ", "about "))]
        clause = clause or [f"I'd like one {text}".replace("{it}", "it") for text in after]
        clause = clause or [f"I'd like it to be {with_article(word + ' one')}" for word in before[:1]]
    else:
        something, clause = [], [f"it should be {said}", f"I'd like it to be {said}", f"preferably {said}"]
    return {
        "before": before,
        "after": after,
        "alone": known.get("alone", []),
        "something": something,
        "key": known.get("key", [said]),
        "clause": clause,
    }


@dataclass(frozen=True)
class RequestPhrase:
    """A request in words, and what it says."""

    text: str
    conditions: tuple[Condition, ...]
    pattern: str


def noun_phrase(conditions: list[Condition], noun: Noun, dice: Dice, plural: bool = False) -> str:
    """A noun phrase with all of `conditions`, with its article: "a funny film from the 90s with Tom Hanks in it"."""
    conditions = _merged(conditions)
    fronts: list[str] = []
    sorts: list[str] = []
    backs: list[tuple[int, str]] = []
    adjective = alone = ""
    genres = [c for c in conditions if c.role in ("genre", "kind")]
    wants_something = not plural and (not noun.words or dice.chance(0.15))
    for condition in conditions:
        forms = forms_of(condition)
        sort = condition in genres
        if wants_something:
            if sort and forms.get("something") and not adjective:
                adjective = dice.pick(forms["something"])
                continue
            if sort and not forms["after"]:
                wants_something = not noun.words  # "something jazz" is nothing anyone says
        if sort and not wants_something and not alone and forms.get("alone") and dice.chance(0.4):
            alone = dice.pick(forms["alone"])
            continue
        # One condition that is not a sort may stand in front, and two sorts.
        in_front = len([c for c in conditions if c in genres]) if sort else 0.22 * (not fronts)
        if forms["before"] and (not forms["after"] or dice.chance(in_front and (0.8 if sort else in_front))):
            fronts.append(dice.pick(forms["before"]))
            if sort:
                sorts.append(fronts[-1])
        else:
            backs.append((_BACK_ORDER.get(condition.role, 2), dice.pick(_behind(forms, len(conditions), noun))))
    head = alone or (
        "something" if wants_something and not fronts else dice.pick(noun.words) if noun.words else "one"
    )
    something = head == "something"
    fronts.sort(key=lambda word: (not re.match(r"(?:early|mid|late)? ?\d", word), word not in _ADJECTIVES))
    if alone and alone in fronts:
        fronts.remove(alone)
    sorts = [word for word in fronts if word in sorts and word not in _ADJECTIVES]
    if len(sorts) > 1 and not alone and dice.chance(0.6):
        # "a pop and oldies album", "a sci-fi and horror film"
        fronts = [word for word in fronts if word not in sorts]
        fronts.append(f"{', '.join(sorts[:-1])} and {sorts[-1]}")
    if adjective and not something:
        if adjective.startswith("for "):
            backs.append((0, adjective))
        else:
            fronts.insert(0, adjective)
    core = f"something {adjective}".strip() if something else " ".join([*fronts, plural_of(head) if plural else head])
    if not something and not plural:
        core = with_article(core)
    tail = _joined([text for _, text in sorted(backs, key=lambda back: back[0])], dice)
    phrase = f"{core} {tail}".strip()
    words = ("them", "have", "are", "cost", "work") if plural else ("it", "has", "is", "costs", "works")
    for key, word in zip(("{it}", "{has}", "{is}", "{cost}", "{work}"), words, strict=True):
        phrase = phrase.replace(key, word)
    return phrase


def _merged(conditions: list[Condition]) -> list[Condition]:
    """Two people of one kind, or two things of a story, as one: "with Bill Murray and Chris Elliott"."""
    out: dict[object, Condition] = {}
    for condition in conditions:
        mergeable = condition.role in ("actor", "story", "writer", "director")
        key = condition.role if mergeable else condition
        if key in out:
            shown = f"{out[key].shown} and {condition.shown}"
            condition = replace(out[key], shown=shown, value=shown, plural=True)
        out[key] = condition
    return list(out.values())


def _behind(forms: Forms, conditions: int, noun: Noun) -> list[str]:
    """The forms behind a noun that suit a phrase of so many conditions: relative clauses pile up badly."""
    forms_after = forms["after"] or forms["before"]
    if noun.verb == "buy":  # an accessory is for a console, not on it
        forms_after = [text for text in forms_after if not text.startswith("on ")] or forms_after
    if conditions > 1:
        short = [text for text in forms_after if not text.startswith(("that ", "where "))]
        return short or forms_after
    return forms_after


_ADJECTIVES = frozenset(
    {
        *("funny", "scary", "dramatic", "romantic", "animated", "suspenseful", "action-packed", "comic", "strategic"),
        *("retro", "kid-friendly", "historical", "biographical", "modern country", "European", "British", "Irish"),
        *("Brazilian", "Cuban", "Caribbean", "Latin", "children's", "kids'", "electronic"),
    }
)
_BACK_ORDER = {"genre": 0, "kind": 0, "year": 1, "platform": 1, "director": 2, "story": 4, "actor": 3, "price": 3}


def _joined(parts: list[str], dice: Dice) -> str:
    if len(parts) < 2:
        return "".join(parts)
    alike = parts[-1].split()[0] == parts[-2].split()[0]
    link = " and " if alike or dice.chance(0.6) or parts[-1].startswith("that ") else ", "
    if len(parts) == 2 and parts[0].split()[0] in ("from", "for", "by") and not parts[1].startswith(("from", "that")):
        link = dice.pick((" ", " ", " and "))
    return (", ".join(parts[:-1]) if len(parts) > 2 else parts[0]) + link + parts[-1]


def _keywords(conditions: list[Condition], dice: Dice, before_noun: bool) -> str:
    """Bare keywords. Without marks between them, or before a noun, none that begins with "from" or "with"."""
    between = " " if before_noun else dice.pick((", ", ", ", " ", " / ", " + "))
    order = list(conditions)
    if dice.chance(0.5):
        order.reverse()
    keys = [forms_of(condition)["key"] for condition in order]
    if between == " ":
        keys = [[key for key in options if not _LED.match(key)] or options for options in keys]
    return between.join(dice.pick(options) for options in keys)


_LED = re.compile(r"(?:from|about|with|starring|by|for|on|in|directed|developed|written|under|below|rated|the|an?) ")


def keyword(condition: Condition, dice: Dice) -> str:
    """A keyword of one condition that does not begin with "from", "with" or the like, if it has one."""
    keys = forms_of(condition)["key"] or forms_of(condition)["before"]
    return dice.pick([key for key in keys if not _LED.match(key)] or keys)


def _clauses(conditions: list[Condition], dice: Dice) -> str:
    clauses = [dice.pick(forms_of(condition)["clause"] or ["it should be good"]) for condition in conditions]
    return " and ".join(clauses)


@dataclass(frozen=True)
class Voice:
    """How one kind of person asks: registers, each as often as it stands in `wheel`; "own" has its own patterns."""

    wheel: tuple[str, ...]
    own: tuple[str, ...] = ()


def compose(conditions: list[Condition], noun: Noun, dice: Dice, voice: Voice | None = None) -> RequestPhrase:
    """One request that says all of `conditions` of an item called `noun`, in the common voice or another."""
    wheel, total = _wheel() if voice is None else (voice.wheel, len(voice.wheel))
    if not conditions:
        pattern = dice.pick(phrase_book()["patterns"]["open"])
        return RequestPhrase(filled_in(pattern, {"verb": lambda: noun.verb}), (), pattern)
    register = wheel[dice.below(total)]
    if register == "two_sentences" and len(conditions) < 2:
        register = "ask"
    own = voice.own if voice is not None else ()
    pattern = dice.pick(own if register == "own" else phrase_book()["patterns"][register])
    fills: dict[str, Callable[[], str]] = {
        "keys": lambda: _keywords(conditions, dice, "{keys} {noun}" in pattern),
        "nps": lambda: noun_phrase(conditions, noun, dice, plural=bool(noun.words)),
        "np": lambda: noun_phrase(conditions, noun, dice),
        "one": lambda: noun_phrase(conditions[:1], noun, dice),
        "rest": lambda: _clauses(conditions[1:], dice),
        "noun": lambda: dice.pick(noun.words) if noun.words else "something" if "{noun}:" in pattern else "",
        "verb": lambda: noun.verb,
    }
    return RequestPhrase(filled_in(pattern, fills), tuple(conditions), pattern)


def filled_in(pattern: str, fills: dict[str, Callable[[], str]]) -> str:
    """`pattern` with its blanks filled, capitals where sentences begin (names bring their own full stops: "Jr.")."""

    def fill(match: re.Match[str]) -> str:
        words = fills[match.group(2)]()
        return match.group(1) + (words[:1].upper() + words[1:] if match.group(1) else words)

    text = re.sub(r"((?:[.!?] )?)\{(\w+)\}", fill, pattern).strip()
    return text[:1].upper() + text[1:]


def condition_fills(condition: Condition, noun: Noun, dice: Dice) -> dict[str, Callable[[], str]]:
    """The words of one condition said by itself, for the blanks of a pattern: key, after, clause, must, maybe, np,
    nps.

    Blanks for which it has no words are not there: a sort of item has nothing to say behind a noun.
    """
    forms = forms_of(condition)
    fills: dict[str, Callable[[], str]] = {
        "key": lambda: keyword(condition, dice),
        "np": lambda: noun_phrase([condition], noun, dice),
        "nps": lambda: noun_phrase([condition], noun, dice, plural=bool(noun.words)),
    }
    behind = [text for text in forms["after"] if not text.startswith(("that ", "where "))]
    if behind:
        fills["after"] = lambda: dice.pick(_behind({**forms, "after": behind}, 1, noun)).replace("{it}", "it")
    if forms["clause"]:
        fills["clause"] = lambda: dice.pick(forms["clause"])
    should = [text for text in forms["clause"] if " should " in text]
    if should:
        fills["must"] = lambda: dice.pick(should).replace(" should ", " must ", 1)
        fills["maybe"] = lambda: dice.pick(should).replace(" should ", " could ", 1)
    return fills


def noun_for(kind: str) -> Noun:
    """The noun of a key of `NOUNS`; any other word is taken for the noun itself."""
    return NOUNS.get(kind) or Noun((kind,), "get")
