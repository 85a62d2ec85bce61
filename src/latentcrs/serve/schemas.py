"""What the native API reads and answers, beside what conversations and rules are themselves."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from latentcrs.converse.session import Variant
from latentcrs.data.rules import Rule
from latentcrs.language.chat.model import encodable
from latentcrs.recommend import Recommendation

MOST_ITEMS = 1000
"""Item ids, or new items, in one request."""
LONGEST_UTTERANCE = 100_000


def _encodable(text: str) -> str:
    if encodable(text) != text:
        raise ValueError("text must be Unicode, without half a surrogate pair")
    return text


def _sound(rule: Rule) -> Rule:
    _encodable(rule.column)
    for value in rule.value if isinstance(rule.value, list) else [rule.value]:
        if isinstance(value, str):
            _encodable(value)
        elif not math.isfinite(value):
            raise ValueError("a number must be finite")
    return rule


Text = Annotated[str, AfterValidator(_encodable)]
Id = Annotated[Text, Field(min_length=1, max_length=200)]
Ids = Annotated[list[Id], Field(max_length=MOST_ITEMS)]
Where = Annotated[Rule, AfterValidator(_sound)]
Places = Annotated[list[Annotated[int, Field(ge=0, le=999)]], Field(min_length=1, max_length=50)]
Few = Annotated[int, Field(ge=1, le=50)]
Cell = Text | Annotated[float, Field(allow_inf_nan=False)] | list[Text] | None


class Body(BaseModel):
    """A request's body: what is not known is refused, for it would be ignored."""

    model_config = ConfigDict(extra="forbid")


class NewConversation(Body):
    """user: an id of yours; of the data set that was trained on, if it is one of its ids. history: item ids, oldest
    first. likes: titles, or parts of them.
    """

    user: Id | None = None
    history: Ids = Field(default_factory=list)
    likes: Annotated[list[Id], Field(max_length=50)] = Field(default_factory=list)
    variant: Variant | None = None
    k: Few | None = None


class Begun(BaseModel):
    """A conversation that was begun."""

    id: str


class Utterance(Body):
    """number: the turn that this is to be (the first is 1). Sent again with the same number, an utterance is not
    answered twice.
    """

    utterance: Annotated[Text, Field(max_length=LONGEST_UTTERANCE)]
    number: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Marks(Body):
    """Items of the last list, by place from 0: liked, not wanted, or known already."""

    kind: Literal["like", "refuse", "seen"]
    places: Places


class NewRule(Body):
    """soft: a wish, which ranks and does not filter."""

    rule: Where
    soft: bool = False


class ChosenVariant(Body):
    """b: words and behaviour only. f: rules filter. v: f, then a language model judges."""

    variant: Variant


class NewEvent(Body):
    """like, purchase, click: joins the history. seen, refuse: is not recommended. at: now by default."""

    item_id: Id
    kind: Literal["like", "purchase", "click", "seen", "refuse"] = "like"
    at: datetime | None = None


class HistoryItem(BaseModel):
    """An item that a user did something with."""

    item_id: str
    title: str


class Forgotten(BaseModel):
    """How many conversations and events were deleted."""

    forgotten: int


class Wanted(Body):
    """A recommendation without a conversation. where: rules that all must hold."""

    user: Id | None = None
    history: Ids = Field(default_factory=list)
    request: Annotated[Text, Field(max_length=LONGEST_UTTERANCE)] = ""
    k: Few = 5
    where: Annotated[list[Where], Field(max_length=50)] = Field(default_factory=list)
    exclude: Ids = Field(default_factory=list)


class Search(Body):
    """Items by words of their titles and texts, those that pass `where`."""

    words: Annotated[Text, Field(max_length=500)] = ""
    where: Annotated[list[Where], Field(max_length=50)] = Field(default_factory=list)
    k: Few = 10


class RecommendedItem(BaseModel):
    """An item with why, in one line and in parts; see `TurnItem`."""

    item_id: str
    title: str
    score: float
    why: str
    intents: list[str]
    because_of: list[str]
    words: list[str]

    @classmethod
    def of(cls, found: Recommendation) -> RecommendedItem:
        """A recommendation as it is answered."""
        reason = found.reason
        return cls(
            item_id=found.item_id,
            title=found.title,
            score=found.score,
            why=str(reason),
            intents=reason.intents,
            because_of=reason.because_of,
            words=reason.words,
        )


class NewItem(BaseModel):
    """A new item; further columns are those of the catalogue."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Cell]

    item_id: Id
    title: Annotated[Text, Field(min_length=1, max_length=1000)]


class NewItems(Body):
    """Items that join the catalogue, for everyone."""

    items: Annotated[list[NewItem], Field(min_length=1, max_length=MOST_ITEMS)]


class Added(BaseModel):
    """How many items joined the catalogue."""

    added: int
