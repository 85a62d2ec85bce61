"""What an extractor hears in one utterance (Extract-Rules, section 4.3), and what it must be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from latentcrs.data.rules import Rule
from latentcrs.language.chat import Call


class HeardRule(BaseModel):
    """A predicate over the catalogue that was said.

    certainty: 0..1, how sure it is that this was meant; the least certain is relaxed first. insisted: the user said
    that it must be so ("only", "has to", "definitely"); it is relaxed last. words: the words it was heard in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Rule
    certainty: float = Field(default=1.0, ge=0, le=1)
    insisted: bool = False
    words: str = ""


class Heard(BaseModel):
    """Everything one utterance says about the catalogue.

    rules: hard, they filter. wishes: soft ("ideally", "maybe"), they only rank. dropped: predicates that the user
    takes back ("drop the 90s thing"). unknown: conditions on a column or a value that this catalogue does not have,
    in the user's words; they are not applied, and the turn says so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[HeardRule, ...] = ()
    wishes: tuple[HeardRule, ...] = ()
    dropped: tuple[Rule, ...] = ()
    unknown: tuple[str, ...] = ()


class Extractor(Protocol):
    """Turns words into predicates over one catalogue."""

    name: str

    def extract(self, utterance: str, before: Sequence[str] = (), call: Call | None = None) -> Heard:
        """What `utterance` says; `before` are the user's earlier utterances in the conversation, oldest first. `call`
        is where the cost of a model is booked.

        Never raises because of what was said.
        """
        ...
