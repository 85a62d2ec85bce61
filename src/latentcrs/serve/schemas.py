"""What the native API reads and answers, beside what conversations and rules are themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from latentcrs.base.errors import UserError
from latentcrs.converse.conversation import Mark
from latentcrs.data.roles import addresses
from latentcrs.data.rules import Operator, Rule
from latentcrs.llm.model import encodable
from latentcrs.recommend import Bundle, Recommendation
from latentcrs.recommend.policy import Boost, Policy
from latentcrs.serve import bounds
from latentcrs.store.session import Variant

LONGEST_CELL = 20_000
LONGEST_UTTERANCE = 100_000


def _encodable(text: str) -> str:
    if encodable(text) != text:
        raise ValueError("text must be Unicode, without half a surrogate pair")
    return text


Text = Annotated[str, AfterValidator(_encodable)]
Id = Annotated[Text, Field(min_length=1, max_length=200)]
Ids = Annotated[list[Id], Field(max_length=bounds.MOST_IDS)]
Places = Annotated[list[Annotated[int, Field(ge=0, le=999)]], Field(min_length=1, max_length=50)]
Few = Annotated[int, Field(ge=1, le=50)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Cell = (
    Annotated[Text, Field(max_length=LONGEST_CELL)]
    | Number
    | Annotated[list[Annotated[Text, Field(max_length=bounds.LONGEST_VALUE)]], Field(max_length=bounds.MOST_VALUES)]
    | None
)


class Body(BaseModel):
    """A request's body: what is not known is refused, for it would be ignored."""

    model_config = ConfigDict(extra="forbid")


WORDS = {"type": "string", "maxLength": bounds.LONGEST_VALUE}
Value = Annotated[
    str | float | list[str] | list[float],
    WithJsonSchema(
        {
            "anyOf": [
                WORDS,
                {"type": "number"},
                {"type": "array", "items": WORDS, "maxItems": bounds.MOST_VALUES},
                {"type": "array", "items": {"type": "number"}, "maxItems": bounds.MOST_VALUES},
            ]
        }
    ),
]


class Predicate(Body):
    """One rule: a column of the catalogue, an operator that its kind has, a value or several."""

    column: Id
    op: Operator
    value: Value

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for value in self.value if isinstance(self.value, list) else [self.value]:
            if isinstance(value, str):
                _encodable(value)
            elif not math.isfinite(value):
                raise ValueError("a number must be finite")
        _within([self])
        return self

    @property
    def rule(self) -> Rule:
        """What it demands."""
        return Rule(column=self.column, op=self.op, value=self.value)


def _within(where: list[Predicate]) -> list[Predicate]:
    try:
        bounds.bounded([one.rule for one in where])
    except UserError as error:
        raise ValueError(str(error)) from None
    return where


Where = Annotated[
    list[Predicate],
    Field(
        max_length=bounds.MOST_RULES,
        description=f"Rules that all must hold, with at most {bounds.MOST_VALUES_IN_ALL} values and "
        f"{bounds.LONGEST_VALUES:,} characters in them together.",
    ),
    AfterValidator(_within),
]


class BoostRule(Predicate):
    """by: how many standard deviations of the scores what passes is ranked higher; lower where below 0."""

    by: Annotated[float, Field(ge=-1000, le=1000)]


class SortOrder(Body):
    """A column of numbers or years that orders what passes."""

    column: Id
    descending: bool = False


class NewConversation(Body):
    """user: an id of yours; of the data set that was trained on, if it is one of its ids. history: item ids, oldest
    first. likes: titles, or parts of them. always: rules that hold throughout, whatever is said.
    """

    always: Where = Field(default_factory=list)

    user: Id | None = None
    history: Ids = Field(default_factory=list)
    likes: Annotated[list[Id], Field(max_length=bounds.MOST_LIKES)] = Field(default_factory=list)
    variant: Variant | None = None
    k: Few | None = None


class ConversationStart(BaseModel):
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

    kind: Mark
    places: Places


class NewRule(Body):
    """soft: a wish, which ranks and does not filter."""

    rule: Predicate
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


class Deletion(BaseModel):
    """How many conversations and events were deleted."""

    forgotten: int


class RecommendationRequest(Body):
    """A recommendation without a conversation. where: rules that all must hold. boost: what ranks higher, or lower.
    pin: items that come first where they pass. most: column -> how many items may share a value of it. sort: by a
    column in place of scores.
    """

    user: Id | None = None
    history: Ids = Field(default_factory=list)
    request: Annotated[Text, Field(max_length=LONGEST_UTTERANCE)] = ""
    k: Few = 5
    where: Where = Field(default_factory=list)
    exclude: Ids = Field(default_factory=list)
    boost: Annotated[list[BoostRule], Field(max_length=bounds.MOST_RULES)] = Field(default_factory=list)
    pin: Annotated[list[Id], Field(max_length=bounds.MOST_LIKES)] = Field(default_factory=list)
    most: Annotated[dict[Id, Annotated[int, Field(ge=1, le=50)]], Field(max_length=5)] = Field(default_factory=dict)
    sort: SortOrder | None = None

    @property
    def policy(self) -> Policy:
        """What goes first."""
        boost = tuple(Boost(**one.rule.model_dump(), by=one.by) for one in self.boost)
        return Policy(boost=boost, pin=tuple(self.pin), most=dict(self.most))


class Search(Body):
    """Items by words of their titles and texts, those that pass `where`."""

    words: Annotated[Text, Field(max_length=bounds.LONGEST_SEARCH)] = ""
    where: Where = Field(default_factory=list)
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
    promoted: str
    image: str
    link: str

    @classmethod
    def of(cls, found: Recommendation, bundle: Bundle, row: Mapping[str, Any]) -> RecommendedItem:
        """A recommendation as it is answered; `row`: the item's in the catalogue."""
        image, link = addresses(row, bundle.columns)
        told = {**vars(found), **vars(found.reason), "why": str(found.reason), "image": image, "link": link}
        return cls.model_validate(told)


class NewItem(BaseModel):
    """A new item; further columns are those of the catalogue."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Cell]

    item_id: Id
    title: Annotated[Text, Field(min_length=1, max_length=1000)]


class Change(BaseModel):
    """What is new of an item: columns of the catalogue, null for nothing any more. hidden: it is not recommended."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Cell]

    title: Annotated[Text, Field(min_length=1, max_length=1000)] | None = None
    hidden: bool | None = None


class ChangedItem(Change):
    """An item by its id, with what is new of it; all of it where the catalogue does not have it."""

    item_id: Id


class NewItems(Body):
    """Items that join the catalogue, for everyone."""

    items: Annotated[list[NewItem], Field(min_length=1, max_length=bounds.MOST_NEW_ITEMS)]


class ItemsAdded(BaseModel):
    """How many items joined the catalogue, and how many changed."""

    added: int
    changed: int = 0
