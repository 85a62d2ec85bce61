"""One sentence of a simulated user over turns, put together from its persona's patterns, and the user's notes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial

from latentcrs.users.complaints import Complaint
from latentcrs.users.dialogue import Dialogue
from latentcrs.users.draws import Dice
from latentcrs.users.nouns import Noun
from latentcrs.users.personas import Persona, persona_book
from latentcrs.users.phrases import filled_in, plural_of

Fills = dict[str, Callable[[], str]]


@dataclass
class Notes:
    """What a dialogue's user remembers: conditions are indices into `ConditionTable.conditions`."""

    order: list[int]  # in which the conditions of the target are told
    told: list[int] = field(default_factory=list)
    taken_back: list[int] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    used: list[str] = field(default_factory=list)  # patterns: nobody says the same thing the same way twice


@dataclass
class Sentence:
    """A sentence that is being made: its parts, and what it says."""

    dialogue: Dialogue
    notes: Notes
    persona: Persona
    noun: Noun
    dice: Dice
    attempt: int
    parts: list[str] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    taken_back: list[int] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    used: list[str] = field(default_factory=list)

    def say(self, part: str, fills: Mapping[str, Callable[[], str]]) -> None:
        """Add one of the persona's patterns for `part` of which every blank can be filled."""
        words = {**_noun_fills(self.noun), **fills}
        patterns = [text for text in self.persona.words[part] if _blanks(text) <= words.keys()]
        if len(self.dialogue.shown[-1].items) == 1:
            patterns = [text for text in patterns if not re.search(r"\b(?:all|others)\b", text)] or patterns
        pattern = self.dice.pick([text for text in patterns if text not in self.notes.used] or patterns)
        self.used.append(pattern)
        self.parts.append(filled_in(pattern, words))

    @property
    def text(self) -> str:
        return " ".join(
            [part if part.endswith((".", "!", "?", ",")) else f"{part}." for part in self.parts[:-1]]
            + self.parts[-1:]
        )


@lru_cache(maxsize=10_000)
def _blanks(pattern: str) -> frozenset[str]:
    return frozenset(re.findall(r"\{(\w+)\}", pattern))


def _noun_fills(noun: Noun) -> Fills:
    seen, past, base = persona_book()["seen"].get(noun.verb, persona_book()["seen"]["get"])
    word = noun.words[0] if noun.words else "thing"
    texts = {
        "verb": noun.verb,
        "noun": word,
        "nouns": plural_of(word),
        "seen": seen,
        "seen_past": past,
        "seen_base": base,
    }
    return {name: partial(str, text) for name, text in texts.items()}
