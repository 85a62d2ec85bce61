"""The state of a conversation and the record of its turns: all that is stored, and all that the next turn needs."""

import re
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from latentcrs.data.rules import Rule
from latentcrs.hear import HeardRule
from latentcrs.recommend import Reason

Variant = Literal["b", "f", "v"]
"""b: words and behaviour only. f: hard rules filter. v: f, then a language model judges and reranks (section 4.3)."""
VARIANTS: tuple[Variant, ...] = get_args(Variant)
LONGEST_REQUEST = 1000
"""Characters of what was said that are kept. Encoders cut a long text at its end, where the newest words are."""


class InForce(BaseModel):
    """What was in force before a turn changed it: what `Conversation.undo` puts back."""

    model_config = ConfigDict(extra="forbid")

    said: list[str] = Field(default_factory=list)
    rules: list[HeardRule] = Field(default_factory=list)
    wishes: list[HeardRule] = Field(default_factory=list)


class Session(BaseModel):
    """What a conversation has come to. Item ids throughout; `history` is oldest first."""

    model_config = ConfigDict(extra="forbid")

    user: str | None = None
    history: list[str] = Field(default_factory=list)
    variant: Variant = "f"
    k: int = 5
    turns: int = 0
    said: list[str] = Field(default_factory=list)  # the sentences that ask for something, less what was taken back
    rules: list[HeardRule] = Field(default_factory=list)  # in force
    wishes: list[HeardRule] = Field(default_factory=list)  # in force
    denied: list[str] = Field(default_factory=list)  # what was denied in words that no column says
    listed: list[str] = Field(default_factory=list)  # the last list
    it: str | None = None  # of it, the item spoken of last
    told: str = ""  # the role of which the last reply told the value ("who directed it?")
    shown: list[str] = Field(default_factory=list)
    liked: list[str] = Field(default_factory=list)
    liked_before: int = 0  # how many of them were before what is asked for now
    seen: list[str] = Field(default_factory=list)
    refused: list[str] = Field(default_factory=list)
    accepted: list[str] = Field(default_factory=list)
    named: list[str] = Field(default_factory=list)  # spoken of: not to be recommended back
    before: InForce | None = None  # what was in force before it changed last
    asked: list[str] = Field(default_factory=list)  # columns that were asked about
    asked_at: int = 0  # the turn of the last question, 0 before the first
    always: list[Rule] = Field(default_factory=list)  # what holds throughout, whatever is said

    @property
    def past(self) -> list[str]:
        """The history with what was liked or taken since, oldest first."""
        return list(dict.fromkeys([*self.history, *self.liked, *self.accepted]))

    @property
    def alike(self) -> list[str]:
        """What was said to be liked since this is asked for: it is to be like that."""
        return self.liked[self.liked_before :]

    @property
    def request(self) -> str:
        """x^u: the soft description, all that was asked for so far as one text (Intent-Demonstration)."""
        return joined(without(self.said, [*self.denied, *self._refused]))

    @property
    def wording(self) -> str:
        """The request word by word, without words of numbers that filter ("the nineties" is in no plot)."""
        numbers = [found.words for found in self.rules if not isinstance(np.ravel(found.rule.value)[0], str)]
        return joined(without(self.said, [*self.denied, *self._refused, *(numbers if self.variant != "b" else [])]))

    @property
    def _refused(self) -> list[str]:
        """Words of what is refused: asking for it no more than words that are not there."""
        return [found.words for found in [*self.rules, *self.wishes] if found.rule.op == "not"]

    @property
    def it_at(self) -> int:
        """The place of "it" in the last list; the first where nothing was spoken of since."""
        return self.listed.index(self.it) if self.it in self.listed else 0

    @property
    def unliked(self) -> list[str]:
        """What is no sign of a liking where the request names it: refused, or only known."""
        return [item_id for item_id in [*self.refused, *self.seen] if item_id not in self.past]

    @property
    def not_again(self) -> list[str]:
        """What must not be recommended beside the past: shown, seen elsewhere, refused, named."""
        return list(dict.fromkeys([*self.shown, *self.unwanted]))

    @property
    def unwanted(self) -> list[str]:
        """What is left out of an order ("the newest"), too: seen elsewhere, refused, named; not what was shown."""
        return [*self.seen, *self.refused, *self.named]


class TurnItem(BaseModel):
    """One recommended item with why: labels of intents, titles of past items, the user's words that are true of it,
    `fails`: the rules it does not pass, where they were relaxed; `promoted`: why the operator's policy moved it up;
    `image`, `link`: addresses of its picture and its page.
    """

    model_config = ConfigDict(extra="forbid")

    item_id: str
    title: str
    score: float
    intents: list[str] = Field(default_factory=list)
    because_of: list[str] = Field(default_factory=list)
    words: list[str] = Field(default_factory=list)
    fails: list[str] = Field(default_factory=list)
    promoted: str = ""
    image: str = ""
    link: str = ""

    @property
    def why(self) -> str:
        """The reason in one line."""
        reason = str(Reason(self.intents, self.because_of, self.words, self.promoted))
        return f"not {', '.join(self.fails)} · {reason}" if self.fails else reason


class Question(BaseModel):
    """What is asked back: a column, how it is asked, and answers that can be said as they stand."""

    model_config = ConfigDict(extra="forbid")

    column: str
    text: str
    answers: list[str]


class Turn(BaseModel):
    """One utterance and what came of it.

    kind: what sort of utterance it was taken for (`acts.Kind`, or "command"). items: empty where it recommends
    nothing. question: what is asked back, behind them. rules, wishes: in force after it. relaxed: rules that some
    item shown does not pass. unknown: conditions that this catalogue cannot decide. nearest: nothing passes what the
    user insisted on, these are the nearest. notes: what was done without the language model, and the kind of its
    failure. tokens: input and output. milliseconds: by step.
    """

    model_config = ConfigDict(extra="forbid")

    number: int
    utterance: str
    kind: str
    variant: Variant
    text: str = ""
    request: str = ""
    items: list[TurnItem] = Field(default_factory=list)
    question: Question | None = None
    rules: list[str] = Field(default_factory=list)
    wishes: list[str] = Field(default_factory=list)
    relaxed: list[str] = Field(default_factory=list)
    unknown: list[str] = Field(default_factory=list)
    taken_back: list[str] = Field(default_factory=list)
    needs: list[str] = Field(default_factory=list)
    sorted_by: str = ""
    nearest: bool = False
    notes: list[str] = Field(default_factory=list)
    tokens: tuple[int, int] = (0, 0)
    milliseconds: dict[str, float] = Field(default_factory=dict)


def without(said: Sequence[str], phrases: Sequence[str]) -> list[str]:
    """Sentences less these phrases, wherever they stand."""
    sentences = list(said)
    for words in (phrase.split() for phrase in phrases if phrase.strip()):
        as_said = r"\s+".join(map(re.escape, words))
        pattern = re.compile(rf"(?<!\w){as_said}(?!\w)", re.IGNORECASE)
        sentences = [" ".join(pattern.sub(" ", sentence).split()) for sentence in sentences]
    return sentences


def joined(said: Sequence[str]) -> str:
    """Sentences as one text, the oldest left out where it would be longer than `LONGEST_REQUEST`."""
    if not said:
        return ""
    newest = said[-1][-LONGEST_REQUEST:]
    ended = [sentence if sentence[-1:] in ".!?…" else f"{sentence}." for sentence in said[:-1]]
    parts, room = [newest], LONGEST_REQUEST - len(newest)
    for sentence in reversed(ended):
        room -= len(sentence) + 1
        if room < 0:
            break
        parts.append(sentence)
    return " ".join(reversed(parts))
