"""How different people talk: the personas of `personas.toml`, and the words they have for each part of a sentence."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from latentcrs.base.errors import UserError
from latentcrs.users.draws import Dice
from latentcrs.users.phrases import Voice
from latentcrs.users.typos import hurried

PERSONAS = ("plain", "terse", "chatty", "vague", "picky", "typos")


@dataclass(frozen=True)
class Persona:
    """How one kind of person talks; shares are of sentences."""

    name: str
    share: int  # of dialogues, against those of the other personas
    three: float  # openings with three conditions rather than two
    lower: float  # in lower case throughout
    slips: float  # with a typing slip
    complains: float  # refusals that say what is wrong, where something is
    bare: float  # without a word on what was shown
    talks: float  # with small talk beside
    voice: Voice | None  # of the opening; None: that of the one-turn user
    words: dict[str, tuple[str, ...]]  # part of a sentence -> patterns

    def typed(self, text: str, dice: Dice, before: Sequence[str] = ()) -> str:
        """`text`, perhaps with small talk beside it, as this person types it; `before`: what they said before."""
        if self.talks and dice.chance(self.talks):
            talks = self.words["small_talk_later" if before else "small_talk"]
            earlier = " ".join(before).lower()
            talk = dice.pick([talk for talk in talks if talk.lower() not in earlier] or talks)
            text = text if text.endswith((".", "!", "?")) else f"{text}."
            text = f"{talk} {text}" if before and dice.chance(0.3) else f"{text} {talk}"
        text = hurried(text, dice, self.lower, self.slips)
        return hurried(text, dice, 0.0, self.slips) if self.slips > 0.5 else text


@lru_cache(maxsize=1)
def persona_book() -> dict[str, Any]:
    """The data of `personas.toml`."""
    return tomllib.loads(resources.files("latentcrs.users").joinpath("personas.toml").read_text("utf-8"))


@lru_cache(maxsize=1)
def _all() -> dict[str, Persona]:
    book = persona_book()
    return {name: _persona(name, book[name], book["plain"]) for name in PERSONAS}


def _persona(name: str, own: dict[str, Any], plain: dict[str, Any]) -> Persona:
    words = {part: tuple(texts) for part, texts in {**plain, **own}.items() if isinstance(texts, list)}
    wheel = tuple(register for register, share in own.get("registers", {}).items() for _ in range(share))
    return Persona(
        name,
        share=own["share"],
        three=own["three"],
        lower=own["lower"],
        slips=own["slips"],
        complains=own["complains"],
        bare=own["bare"],
        talks=own.get("talks", 0.0),
        voice=Voice(wheel, words["openings"]) if wheel else None,
        words=words,
    )


def personas_called(names: Sequence[str] | None) -> list[Persona]:
    """The personas of these names, all for None.

    Raises:
        UserError: there is none of that name.
    """
    for name in names if names is not None else ():
        if name not in PERSONAS:
            raise UserError(f"There is no persona {name!r}; personas are {', '.join(PERSONAS)}.")
    if names is not None and not names:
        raise UserError(f"Name at least one persona of {', '.join(PERSONAS)}.")
    return [_all()[name] for name in (PERSONAS if names is None else names)]
