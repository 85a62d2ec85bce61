"""How different people talk: the personas of `talk.toml`, and what haste does to a sentence."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from latentcrs.base.draws import Dice
from latentcrs.users.phrases import Fills, blanks, capital, filled_in, talk

PERSONAS = ("plain", "terse", "chatty", "vague", "picky", "typos")
_WORD = re.compile(r"[A-Za-z]{4,}")


@dataclass(frozen=True)
class Persona:
    """How one kind of person talks; `talk.toml` says what they are. words: a part of a sentence -> patterns."""

    name: str
    words: dict[str, list[str]]
    registers: list[str]  # of an opening, each as often as it is used
    share: int
    three: float
    lower: float
    slips: float
    complains: float
    bare: float
    greets: float
    led: float = 0.0
    ended: float = 0.0

    def opening(self, conditions: int, dice: Dice) -> str:
        """A pattern that says so many conditions; those of the register `own` are the persona's."""
        register = dice.pick(self.registers)
        if not conditions or (conditions < 2 and register == "two"):
            register = "ask" if conditions else "open"
        return dice.pick(self.words[register])

    def pattern(self, part: str, fills: Fills, dice: Dice, used: Collection[str] = ()) -> str:
        """A pattern for `part` of which every blank can be filled, one that was not `used` if there is any."""
        choices = [text for text in self.words[part] if blanks(text) <= fills.keys()]
        return dice.pick([text for text in choices if text not in used] or choices)

    def sentence(self, pattern: str, fills: Fills, dice: Dice, first: bool = False) -> str:
        """`pattern` with its blanks filled and what this person puts before and behind it. first: it opens."""
        text = filled_in(pattern, fills)
        if dice.chance(self.greets if first else self.led):
            lead = dice.pick(self.words["greetings" if first else "leads"])
            text = f"{lead} {capital(text) if lead[-1] in '!.' else text}"
        text = capital(text if text[-1] in ".!?" else f"{text}.")
        if dice.chance(self.ended):
            end = dice.pick(self.words["ends"])
            text = f"{text[:-1]}{end}{text[-1]}" if end.startswith(",") else f"{text} {end}"
        return text

    def typed(self, text: str, dice: Dice) -> str:
        """`text` as this person types it: perhaps in lower case and without its stop, perhaps with typing slips."""
        if dice.chance(self.lower):
            text = text.lower().rstrip(".") if dice.chance(0.5) else text.lower()
        if dice.chance(self.slips):
            for _ in range(2 if self.slips == 1 or dice.chance(0.25) else 1):
                text = _slipped(text, dice)
        return text


def _slipped(text: str, dice: Dice) -> str:
    """`text` with a typing slip (letters swapped, dropped or doubled) in a word of four letters or more."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    word = words[dice.below(len(words))]
    at = word.start() + 1 + dice.below(len(word.group()) - 2)
    left, right = text[at], text[at + 1]
    return text[:at] + dice.pick((right + left, right, left + left + right)) + text[at + 2 :]


@cache
def persona_called(name: str) -> Persona:
    """The persona of this name, one of `PERSONAS`."""
    book, plain = talk(), talk()["personas"]["plain"]
    own = {**plain, **book["personas"][name]}
    registers = [register for register, share in own["registers"].items() for _ in range(share)]
    habits = {**plain["habits"], **own["habits"]}
    return Persona(name, {**book["openings"], **book["turns"], **own}, registers, **habits)
