"""What is heard in one utterance (Extract-Rules, section 4.3, and more), and what a hearer must be able to do."""

from typing import Literal, Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field

from latentcrs.data.rules import Rule
from latentcrs.llm import Call

Act = Literal[
    "request", "answer", "inform", "more", "accept", "reject", "seen", "question", "thanks", "greeting", "other",
]  # fmt: skip
"""What an utterance does;
often several at once. answer: to what the recommender asked. inform: a taste, in passing."""
ACTS: tuple[Act, ...] = get_args(Act)
Stance = Literal[
    "liked", "disliked", "seen", "wants_similar", "asked_about", "accepted", "rejected", "not_seen", "named",
]  # fmt: skip
"""How an utterance stands to an item that it names or points at."""
STANCES: tuple[Stance, ...] = get_args(Stance)
Continues = Literal["continues", "corrects", "turns"]
"""continues: what was in force stays, and what is said narrows it. corrects: what is said replaces what was in force
on
its column. turns: something new, what was in force ends."""


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
    in the user's words; they are not applied, and the turn says so. continues: how it goes on from what is in force.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[HeardRule, ...] = ()
    wishes: tuple[HeardRule, ...] = ()
    dropped: tuple[Rule, ...] = ()
    unknown: tuple[str, ...] = ()
    continues: Continues = "continues"


class HeardTitle(BaseModel):
    """An item that was named, or pointed at in the last list ("that one").

    number: its row in the catalogue. stance: how the speaker stands to it. certainty: of both, 0..1. pointed: it was
    not named but pointed at.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    stance: Stance
    words: str = ""
    certainty: float = Field(default=1.0, ge=0, le=1)
    pointed: bool = False


class Sort(BaseModel):
    """ "cheapest", "newest": an order by a column. listed: over the last list, else over the catalogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    descending: bool = False
    listed: bool = False
    words: str = ""


class Reading(Heard):
    """All that one utterance says: `Heard`, and the items it speaks of, what it does and how it goes on.

    acts: the likeliest first, of which the first `sure` are acted upon. needs: words that ask for something and that
    no column can say; they rank. denied: phrases that deny such words, which must not rank; unwanted: those words.
    about: the column, or "plot", that a question asks for. language: ISO code of the utterance where it is not one
    that the encoder knows (half heard: such an utterance never filters), else "". notes: what the reply has to say of
    it ("100 is taken as price").
    """

    titles: tuple[HeardTitle, ...] = ()
    acts: tuple[Act, ...] = ("request",)
    sure: int = Field(default=1, ge=0)
    needs: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    sort: Sort | None = None
    about: str = ""
    language: str = ""
    notes: tuple[str, ...] = ()


class Context(BaseModel):
    """What an utterance is heard in. listed: rows of the items of the last list. reply: what the recommender said
    last. it: the place in the list of what was spoken of last, which "it" is. before: the user's earlier utterances,
    oldest first. asking: whether rules or wishes are in force. rules: the wishes, then the rules, that are. asked:
    the column that the recommender has just asked about; a value of it is an answer, which filters. told: the role
    (`data.roles`) whose value the last reply told ("who directed it?").
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    listed: tuple[int, ...] = ()
    reply: str = ""
    before: tuple[str, ...] = ()
    asking: bool = False
    rules: tuple[Rule, ...] = ()
    asked: str = ""
    told: str = ""
    it: int = Field(default=0, ge=0)


class Extractor(Protocol):
    """Turns words into predicates over one catalogue."""

    name: str

    def extract(self, utterance: str, context: Context | None = None, call: Call | None = None) -> Heard:
        """What `utterance` says in `context`. `call` is where the cost of a model is booked.

        Never raises because of what was said.
        """
        ...
