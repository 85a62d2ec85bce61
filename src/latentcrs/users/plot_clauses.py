"""What a plot or description tells, as clauses that name nobody: cut out of its sentences, names put into words."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.roles import roles_of
from latentcrs.users.plot_names import PeopleInText
from latentcrs.users.plot_unsayable import Unsayable
from latentcrs.users.plot_words import STANDING_IN, STOPS, TOKEN, WordHabits, bare, words

FEWEST, MOST = 6, 18  # words of a clause
_ENOUGH = 4  # clauses of a text, below which it is also told what the text speaks of
_NARRATIVE = r"plot|synopsis|overview|storyline|summary"

_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’]?\s+(?=[\"'“‘]?[A-ZÀ-Þ0-9])")
_ABBREVIATION = re.compile(r"\b(Mrs?|Ms|Dr|St|Ft|Jr|Sr|Prof|Rev|Capt|Lt|Col|Gen|Sgt|Gov|vs|[A-Z])\.")
_LOST = re.compile(
    r"\b(?:someone|man|woman) (?:he|she|they|it|my|his|her|someone|an?|is someone)\b|"
    r"\b(?:an?|the) (?:an?|the|someone)\b|[.?!] |"
    r"\b(?:someone|man|woman), (?:then|and|but|he|she|they|it|things)\b"
)
_SHOUTED = re.compile(r"[A-Z]{4,}$")


@dataclass(frozen=True)
class Clause:
    """One thing that a text tells. `noun_phrase`: "a boy who finds a dragon" rather than "a boy finds a dragon".
    `alone`: it can be understood before anything else was said.
    """

    text: str
    noun_phrase: bool
    alone: bool


class ClauseReader:
    """Reads the free text of one data set's items."""

    def __init__(self, dataset: PreparedDataset) -> None:
        roles = roles_of(dataset.info.columns)
        stories = [column for column, role in roles.items() if role == "story"]
        # A description that stands beside a plot speaks about the item, not of what happens in it.
        stories = [column for column in stories if re.search(_NARRATIVE, column.lower())] or stories
        self._texts: list[list[str | None]] = [dataset.items[column].to_list() for column in stories]
        self._unsayable = Unsayable(dataset, roles)
        self._habits = WordHabits(dataset.items, next(iter(stories), None))  # read for nearly every item
        self._read: dict[int, tuple[Clause, ...]] = {}

    def clauses(self, item: int) -> tuple[Clause, ...]:
        """What the first free text of `item` tells, in its order; a description only where there is no plot."""
        if item not in self._read:
            found: tuple[Clause, ...] = ()
            for texts in self._texts:
                found = tuple(self._clauses(texts[item] or "", self._unsayable.makers_of(item)))
                if found:
                    break
            self._read[item] = found
        return self._read[item]

    def _clauses(self, text: str, makers: frozenset[str]) -> Iterable[Clause]:
        sentences = _sentences(text)
        names = PeopleInText(self._habits, sentences)
        seen: set[str] = set()
        for sentence in sentences:
            rest = _led_off(sentence)
            while len(rest) >= FEWEST:
                for end in _ends(rest):
                    clause = self._clause(rest[:end], names, makers)
                    if clause is not None:
                        break
                if clause is not None and clause.text not in seen:
                    seen.add(clause.text)
                    yield clause
                rest = _continued(rest[end:])
        if len(seen) < _ENOUGH:
            yield from self._things(sentences)

    def _things(self, sentences: list[list[str]]) -> Iterable[Clause]:
        """What a text speaks of, two at a time, where it tells too little: "a lonely plumber and a parrot"."""
        ends = (
            words("clauses", "boundaries") | words("clauses", "before_name") | words("clauses", "places") | {"have"}
        )
        found: list[str] = []
        for tokens in sentences:
            for at, token in enumerate(tokens):
                if token.lower() not in ("a", "an"):
                    continue
                end = at + 1
                while end < len(tokens) and tokens[end].isalpha() and tokens[end] not in ends:
                    end += 1
                thing = tokens[at + 1 : end]
                ended = end < len(tokens) and (tokens[end] in ends or not tokens[end][0].isalnum())
                plain = all(word.islower() and word not in words("clauses", "dangling") for word in thing)
                telling = not any(word in words("clauses", "about_work") for word in thing)
                text = " ".join(self._unsayable.otherwise([token.lower(), *thing]))
                if 2 <= len(thing) <= 4 and ended and plain and telling and not self._unsayable.in_(text):
                    found.append(text)
        found = list(dict.fromkeys(found))
        for first, second in zip(found[::2], [*found[1::2], ""], strict=False):
            yield Clause(f"{first} and {second}" if second else first, noun_phrase=True, alone=True)

    def _clause(self, tokens: list[str], names: PeopleInText, makers: frozenset[str]) -> Clause | None:
        """One clause in words, None where it would read badly or say what may not be said."""
        if any(bare(token.lower()) in words("clauses", "about_work") or _SHOUTED.match(token) for token in tokens):
            return None
        named = names.put_intowords(list(tokens))
        if named is None:
            return None
        said, noun_phrase = _phrase(self._without_comma(named))
        said = self._ended(said)
        if said[:2] == ["someone", "who"] and len(said) > 2 and _plural(said[2]):
            said = ["some", "people", *said[1:]]
        length = sum(token[:1].isalnum() for token in said)
        if not (4 if noun_phrase else FEWEST) <= length <= MOST + 4 or self._headless(said):
            return None
        if not noun_phrase and not self._has_verb(said):
            noun_phrase = self._is_noun_phrase(said)
            if not noun_phrase:
                return None
        text = _joined(self._unsayable.otherwise(said))
        if self._unsayable.in_(text) or _LOST.search(text) or not makers.isdisjoint(TOKEN.findall(text)):
            return None
        return Clause(text, noun_phrase, noun_phrase or said[0].lower() not in words("clauses", "pronouns"))

    def _ended(self, said: list[str]) -> list[str]:
        """Without a beginning or an end that hangs in the air."""
        while said and said[0] in ("and", "but", ",", ";"):
            said = said[1:]
        length = 0
        while length != len(said):
            length = len(said)
            last = max((at for at, token in enumerate(said) if token in words("clauses", "open_ended")), default=0)
            if last and not any(self._habits.is_verb(token) for token in said[last + 1 :]):
                said = said[:last]
            if said[-1:] == ["someone"] and said[-2:-1] in (["and"], [","]):
                said = said[:-2]
            dangling = said and said[-1].lower() in words("clauses", "dangling")
            adverb = said and said[-1].endswith("ly") and said[-1] not in words("clauses", "not_adverbs")
            if said and (dangling or adverb or not said[-1][-1:].isalnum()):
                said = said[:-1]
        return said

    def _headless(self, said: list[str]) -> bool:
        """Whether it begins in the middle of something."""
        first = said[0].lower()
        hangs = any(first in words("clauses", name) for name in ("hanging", "leading", "loose"))
        if (hangs and first not in ("one", "early", "late")) or first.endswith("ing"):
            behind = [said[at + 1] for at, token in enumerate(said[:-1]) if token == ","]
            return not any(word in words("clauses", "subjects") for word in behind)
        return first in ("that", "which", "whose", "not", "or") or first in self._habits.verbs

    def _has_verb(self, said: list[str]) -> bool:
        """Whether a verb is left for the clause itself when each word that hangs another clause on took one."""
        hanging = sum(token in words("clauses", "hanging") for token in said)
        # Behind a pronoun that begins a clause stands its verb, known or not.
        led = said[0].lower() in ("he", "she", "they", "someone", "it")
        verbs = (led or self._habits.is_verb(said[1])) + sum(self._habits.is_verb(token) for token in said[2:])
        # An unknown one in its plainest place: "a man wanders out of the desert".
        verbs += sum(
            token.endswith("s") and not self._habits.is_verb(token) and before in STANDING_IN
            for before, token in pairwise(said)
        )
        verbs += bool(re.search(r"['’](?:s|re)$", said[0]) and not led)
        return verbs > hanging

    def _is_noun_phrase(self, said: list[str]) -> bool:
        """Whether it is somebody with something said of them: no verb but behind "who" or the like."""
        relative = next(
            (at for at, token in enumerate(said) if token in ("who", "that", "whose", "which")), len(said)
        )
        bound = relative < len(said) or any(token.endswith(("ed", "ing")) for token in said)
        return bound and said[0] in ("a", "an", "two") and not any(map(self._habits.is_verb, said[:relative]))

    def _without_comma(self, said: list[str]) -> list[str]:
        """Without the comma that an apposition whose name was dropped leaves before the verb."""
        commas = [at for at, token in enumerate(said[:-1]) if token == ","]
        if len(commas) == 1 and self._habits.is_verb(said[commas[0] + 1]) and said[0] in ("a", "an", "the"):
            return said[: commas[0]] + said[commas[0] + 1 :]
        return said


def _sentences(text: str) -> list[list[str]]:
    """The sentences of `text` as tokens: no parentheses, no quotation marks, no full stops inside abbreviations."""
    plain = html.unescape(text)
    plain = re.sub(r"[\"“][A-Z][^\"”]*[\"”]", " QUOTED ", plain)  # a title, mostly: no clause takes it
    plain = re.sub(r"\([^()]*\)|\[[^\[\]]*\]|<[^>]*>", " ", plain)
    plain = _ABBREVIATION.sub(r"\1", plain)
    plain = re.sub(r"\s-+\s|-{2,}|[–—]|\.{3,}|…", " ; ", plain)
    plain = re.sub(r"(?<!\w)['‘\"“]|[\"”“*]|(?<!s)['’](?!\w)", "", plain)
    return [tokens for sentence in _SENTENCE.split(plain) if len(tokens := TOKEN.findall(sentence)) >= 4]


def _ends(rest: list[str]) -> list[int]:
    """Where a clause at the beginning of `rest` may end, the best first: never empty."""
    boundaries = words("clauses", "boundaries")
    whole = [len(rest)] if len(rest) <= MOST + 1 else []
    cuts = [
        at
        for at in range(FEWEST, min(MOST + 1, len(rest) - 1))
        if rest[at] in STOPS or (rest[at] in boundaries and rest[at - 1] not in boundaries)
    ]
    # Rather before a conjunction than at a comma, which may stand within a list.
    strong = [at for at in cuts if rest[at] not in "," or rest[at + 1] in boundaries]
    weak = [at for at in cuts if at not in strong]
    return whole + strong[::-1] + weak[::-1] or [min(len(rest), MOST)]


def _continued(rest: list[str]) -> list[str]:
    """What is left of a sentence, from where it can stand alone; nothing where it cannot."""
    while rest and (rest[0] in STOPS or rest[0] in ("and", "but", "so", "then", "yet", ".")):
        rest = rest[1:]
    if len(rest) > 1 and rest[0] == "who":
        return [*(["some", "people"] if _plural(rest[1]) else ["someone"]), *rest]
    able = rest and (rest[0] in words("clauses", "starts") or rest[0][0].isupper() or rest[0] == "when")
    return rest if able else []


def _plural(verb: str) -> bool:
    singular = verb.endswith(("s", "ed", "'s")) or verb in (
        "had",
        "could",
        "would",
        "will",
        "must",
        "can",
        "may",
        "once",
    )
    return verb in ("are", "were", "have") or not (
        singular or verb.endswith(("ly", "t", "ught", "ook", "ame", "ent"))
    )


def _led_off(sentence: list[str]) -> list[str]:
    """`sentence` without what leads up to its subject: "In 1995, ..."."""
    while len(sentence) > 1 and sentence[0].lower() in ("and", "but", "so", "then", "also", ","):
        sentence = sentence[1:]
    first = sentence[0].lower()
    if first in words("clauses", "leading") or first.isdigit():
        commas = [at for at, token in enumerate(sentence[:10]) if token in (",", ":")]
        if commas and len(sentence) - commas[0] > FEWEST:
            return sentence[commas[0] + 1 :]
    adverb = len(sentence) > FEWEST + 2 and sentence[1] == ","
    return sentence[2:] if adverb and (first.endswith("ly") or first in ("however", "now", "meanwhile")) else sentence


def _phrase(tokens: list[str]) -> tuple[list[str], bool]:
    """What a clause is about where it only says that: "someone is a boy who ...", "the story of a boy who ..."."""
    line = " ".join(tokens)
    for pattern in (
        r"^(?:someone|a man|a woman|he|she|it) (?:is|was) ((?:an?|the) .+)$",
        r"^(?:.* (?:is|was) )?(?:the|a|an)? ?(?:\w+ )?(?:story|tale|saga|account|portrait) (?:of|about) (.+)$",
        r"^(?:.{0,30} (?:is|was) )about (?!to\b)(.+)$",
        r"^(?:follows|tells of|concerns|depicts|chronicles|explores) (.+)$",
    ):
        found = re.match(pattern, line, re.IGNORECASE)
        if found and not re.match(r"(?:how|what|why|when)\b", found.group(1)):
            return found.group(1).split(" "), True
    if tokens[:2] == ["someone", "who"] or tokens[:3] == ["some", "people", "who"]:
        return tokens, True
    return tokens, False


def _joined(tokens: Sequence[str]) -> str:
    text = " ".join(tokens)
    text = re.sub(r" ([,;:.!?])", r"\1", text)
    return re.sub(r"[;:]\s*$|,\s*$", "", re.sub(r"\s*;\s*", ", ", text)).strip()
