"""The tools that an agent has over MCP: what each takes and gives, and what it does with the service."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from latentcrs.base.errors import UserError
from latentcrs.data.rules import Rule
from latentcrs.recommend import Reason
from latentcrs.recommend.catalogue_text import CatalogueText, plain_text
from latentcrs.serve.conditions import CatalogueConditions, inlined
from latentcrs.serve.service import Service
from latentcrs.store.events import EventKind

Value = str | int | float | list[str]
Reference = Annotated[str, Field(min_length=1, max_length=300)]
References = Annotated[list[Reference], Field(default_factory=list, max_length=200)]
Named = Annotated[Reference, Field(description="The item: its item id or its title.")]
User = Annotated[str, Field(min_length=1, max_length=200)]
LONGEST_TEXT = 600
"""Characters of a long text that an answer quotes."""


class Item(BaseModel):
    """One item. facts: what the catalogue says of it, long texts apart. why: empty where nothing was recommended."""

    item_id: str
    title: str
    facts: dict[str, Value]
    why: str = ""
    score: float | None = None


class Items(BaseModel):
    """Items, the best first. note: what is to be known of the list as a whole."""

    items: list[Item]
    note: str = ""


class Explanation(BaseModel):
    """Why an item fits a person and a request, or does not. rank: 1 is the best of `of` items.

    matches: the request's words that are true of it. because_of: titles of what the person did that are like it.
    intents: what the person is believed to be after, as far as the item serves it. about: its longest text.
    """

    item: Item
    rank: int
    of: int
    matches: list[str]
    because_of: list[str]
    intents: list[str]
    about: str


class HistorySummary(BaseModel):
    """What is known of the user now. history: how many items."""

    user: str
    item_id: str
    title: str
    kind: str
    history: int


class ItemRow(BaseModel):
    """An item of the catalogue: its id, and any of the catalogue's columns."""

    model_config = ConfigDict(extra="allow")

    item_id: Annotated[str, Field(min_length=1, max_length=200)]


class ItemCounts(BaseModel):
    """How many items joined the catalogue, and how many of it changed."""

    added: int
    changed: int


@dataclass(frozen=True)
class CatalogueTool:
    """One tool. takes: its arguments; gives: its structured answer; run: does it and says it in words too."""

    name: str
    title: str
    description: str
    takes: type[BaseModel]
    gives: type[BaseModel]
    run: Callable[[Any], tuple[BaseModel, str]]
    changes: bool = False

    @property
    def input_schema(self) -> dict[str, Any]:
        return inlined(self.takes.model_json_schema())

    @property
    def output_schema(self) -> dict[str, Any]:
        return inlined(self.gives.model_json_schema(mode="serialization"))

    def call(self, arguments: Mapping[str, object]) -> tuple[BaseModel, str]:
        """The answer, structured and in words.

        Raises:
            UserError: arguments that do not fit, in a sentence that says which.
        """
        try:
            said = self.takes.model_validate(_given(arguments))
        except ValidationError as error:
            wrong = [_sentence(one["loc"], one["type"], one["msg"]) for one in error.errors(include_url=False)[:3]]
            raise UserError(f"These arguments do not fit {self.name}: {' '.join(wrong)}") from None
        return self.run(said)


class CatalogueTools:
    """All tools over one service. owner: whose users and events they see; manages: whether they change items."""

    def __init__(self, service: Service, owner: str = "", manages: bool = False) -> None:
        self.service, self.owner, self.manages = service, owner, manages
        bundle = service.recommender.bundle
        self.conditions = CatalogueConditions(bundle.items, bundle.columns)

    def all(self) -> list[CatalogueTool]:
        """The tools, in the order in which they are listed."""
        tools = [self.recommend(), self.search_items(), self.explain(), self.remember_event()]
        return [*tools, self.put_items()] if self.manages else tools

    def recommend(self) -> CatalogueTool:
        """Recommendations for a person, a request, conditions."""

        takes = _arguments(
            "recommend",
            **self._about_a_person(),
            exclude=(Annotated[References, Field(description="Not these: item ids or titles.")], ...),
            where=self._where(),
            k=(Annotated[int, Field(ge=1, le=50, description="How many.")], 5),
        )

        def run(given: Any) -> tuple[BaseModel, str]:
            where = self._rules(given.where)
            found = self.service.recommend(
                history=self._ids(given.likes),
                user=given.user,
                owner=self.owner,
                request=given.request,
                k=given.k,
                where=where,
                exclude=self._ids(given.exclude),
            )
            note = _note(len(found), given.k, where)
            items = [self._item(one.item_id, str(one.reason), one.score) for one in found]
            return Items(items=items, note=note), self._listed(items, note)

        told = (
            f"Recommends items of this catalogue ({self._catalogue()}) for what someone liked and asks for, each "
            "with why. `request` is matched by meaning and only ranks; put what must hold in `where`. Give `likes` "
            "or `user` whenever they are known."
        )
        return CatalogueTool("recommend", "Recommend items", told, takes, Items, run)

    def search_items(self) -> CatalogueTool:
        """Items by words and conditions, for nobody in particular."""

        words = "Words of the title or text; all must be there."
        takes = _arguments(
            "search_items",
            words=(Annotated[str, Field(max_length=300, description=words)], ""),
            where=self._where(),
            k=(Annotated[int, Field(ge=1, le=50, description="How many.")], 10),
        )

        def run(given: Any) -> tuple[BaseModel, str]:
            where = self._rules(given.where)
            rows = self.service.search(given.words, where, given.k, self.owner)
            items = [self._item(str(row["item_id"])) for row in rows]
            note = "" if items else "No item has all these words and passes the conditions; try fewer."
            return Items(items=items, note=note), self._listed(items, note)

        told = (
            f"Looks items of this catalogue ({self._catalogue()}) up by words and conditions, titles first, the most "
            "popular first among equals. Without words: the most popular items that pass the conditions."
        )
        return CatalogueTool("search_items", "Search the catalogue", told, takes, Items, run)

    def explain(self) -> CatalogueTool:
        """Why one item fits, and how well."""

        takes = _arguments("explain", item=(Named, ...), **self._about_a_person())

        def run(given: Any) -> tuple[BaseModel, str]:
            item_id = self.service.recommender.meant(given.item)
            explained = self._explained(item_id, given.user, self._ids(given.likes), given.request)
            rank = f"It ranks {explained.rank:,} of {explained.of:,} for this."
            lines = (self._line(explained.item), rank, plain_text(explained.about))
            return explained, "\n".join(filter(None, lines))

        told = (
            "Says how well one item fits what someone liked and asks for (its rank among all items), what speaks for "
            "it, and what it is about. Works for any item, recommended or not."
        )
        return CatalogueTool("explain", "Explain an item", told, takes, Explanation, run)

    def remember_event(self) -> CatalogueTool:
        """What a user did with an item."""
        kind = (
            "like, purchase, click: it joins what the user likes. seen, refuse: it is not recommended again. "
            "removed: it leaves what the user likes."
        )
        takes = _arguments(
            "remember_event",
            user=(Annotated[User, Field(description="Whose; any name you like, the same one each time.")], ...),
            item=(Named, ...),
            kind=(Annotated[EventKind, Field(description=kind)], "like"),
        )

        def run(given: Any) -> tuple[BaseModel, str]:
            item_id = self.service.recommender.meant(given.item)
            self.service.remember(self.owner, given.user, item_id, given.kind)
            history = self.service.history(self.owner, given.user)
            titled, count = plain_text(self.display.titled(item_id)), len(history)
            remembered = HistorySummary(
                user=given.user, item_id=item_id, title=titled, kind=given.kind, history=count
            )
            known = "1 item is" if count == 1 else f"{count} items are"
            return remembered, f"Remembered for {given.user}: {given.kind} {titled}. {known} in the history now."

        told = (
            "Keeps what a user did with an item, across restarts; recommend and explain use it when they are given "
            "the same user."
        )
        return CatalogueTool("remember_event", "Remember what a user did", told, takes, HistorySummary, run, True)

    def put_items(self) -> CatalogueTool:
        """Items that join the catalogue, change or are hidden."""
        columns = ", ".join(f"{name} ({kind})" for name, kind in self.service.recommender.bundle.columns.items())
        row = f"item_id, and what is new of title, {columns}; null: nothing any more; hidden true: not recommended"
        rows = Annotated[list[ItemRow], Field(min_length=1, max_length=200, description=row)]
        takes = _arguments("put_items", items=(rows, ...))

        def run(given: Any) -> tuple[BaseModel, str]:
            added, changed = self.service.put_items([row.model_dump() for row in given.items])
            return ItemCounts(added=added, changed=changed), f"Joined the catalogue: {added}. Changed: {changed}."

        told = (
            "Changes items of the catalogue for everyone, hides them, and adds those that it does not have; an item "
            "that is new wants a title. Only where the person asked for it."
        )
        return CatalogueTool("put_items", "Change the catalogue", told, takes, ItemCounts, run, True)

    # What they share.

    @property
    def display(self) -> CatalogueText:
        """How items are written."""
        return self.service.catalogue.display

    def _about_a_person(self) -> dict[str, Any]:
        """The arguments that say who asks for what."""
        said = "What is asked for, in words: mood, plot, theme, anything."
        liked = "What the person likes, oldest first: item ids or titles."
        who = "A user whose events were remembered, or a user of the data set it was trained on."
        return {
            "request": (Annotated[str, Field(max_length=2000, description=said)], ""),
            "likes": (Annotated[References, Field(description=liked)], ...),
            "user": (Annotated[User, Field(description=who)], None),
        }

    def _where(self) -> tuple[Any, None]:
        about = "Conditions that every item must pass. Leave out what was not asked for."
        conditions: Any = self.conditions.model
        return Annotated[conditions, Field(description=about)], None

    def _rules(self, where: BaseModel | None) -> list[Rule]:
        return [] if where is None else self.conditions.rules(where)

    def _ids(self, references: Sequence[str]) -> list[str]:
        return [self.service.recommender.meant(reference) for reference in references]

    def _item(self, item_id: str, why: str = "", score: float | None = None) -> Item:
        row, columns = self.display.facts(item_id), self.service.recommender.bundle.columns
        facts = {name: row[name] for name, kind in columns.items() if kind != "text" and row[name] is not None}
        return Item(item_id=item_id, title=str(row["title"]), facts=facts, why=why, score=score)

    def _explained(self, item_id: str, user: str | None, likes: Sequence[str], request: str) -> Explanation:
        recommender = self.service.recommender
        known = self.service.history(self.owner, user) if user is not None else []
        past = recommender.item_numbers(dict.fromkeys([*known, *likes]))
        query = recommender.read(past, request, recommender.embed(request))
        number = recommender.item_numbers([item_id])
        scores = query.scores()
        (explained,) = recommender.with_reasons(query, number, scores[number])
        reason: Reason = explained.reason
        row, columns = self.display.facts(item_id), recommender.bundle.columns
        texts = [str(row[name]) for name, kind in columns.items() if kind == "text" and row[name] is not None]
        return Explanation(
            item=self._item(item_id, str(reason), explained.score),
            rank=int((scores > scores[number]).sum()) + 1,
            of=len(scores),
            matches=reason.words,
            because_of=reason.because_of,
            intents=reason.intents,
            about=_shortened(max(texts, key=len, default="")),
        )

    def _listed(self, items: Sequence[Item], note: str) -> str:
        lines = [f"{place}. {self._line(item)}" for place, item in enumerate(items, 1)]
        return "\n".join([*lines, note] if note else lines)

    def _line(self, item: Item) -> str:
        """An item in one line, with the id by which the other tools know it."""
        said = [f"{self.display.titled(item.item_id)} [item id {item.item_id}]", self.display.values(item.item_id)]
        return plain_text(" — ".join(part for part in [*said, item.why] if part))

    def _catalogue(self) -> str:
        bundle = self.service.recommender.bundle
        return f"{self.service.bundle_name}: {len(bundle.items):,} items with {', '.join(bundle.columns)}"


def _arguments(tool: str, **fields: Any) -> type[BaseModel]:
    """What a tool takes; an argument that it does not know is an error, for it was meant to do something."""
    return create_model(tool, __config__=ConfigDict(extra="forbid"), **fields)


def _note(found: int, k: int, where: Sequence[Rule]) -> str:
    """What is to be said of a list that is shorter than what was asked for."""
    if found >= k:
        return ""
    rules = "; ".join(map(str, where))
    if not found:
        return f"Nothing that is left passes all of: {rules}. Leave one out." if rules else "Nothing is left."
    return f"Only {found} pass all of: {rules}." if rules else f"Only {found} are left."


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1].rsplit(' ', 1)[0]}…"


def _given(arguments: Any) -> Any:
    """Arguments without those that are null: many agents write null for what they leave out."""
    if not isinstance(arguments, Mapping):
        return arguments
    return {name: _given(value) for name, value in arguments.items() if value is not None}


def _sentence(place: Sequence[str | int], kind: str, message: str) -> str:
    """What pydantic has to say, as a sentence that begins with where."""
    where = ".".join(map(str, place)) or "the arguments"
    if kind == "extra_forbidden":
        return f"{where}: there is no such property."
    return f"{where}: {message[:1].lower()}{message[1:]}."
