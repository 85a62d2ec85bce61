"""The one service behind every way in (HTTP, OpenAI's format, MCP, the page): conversations, people, items."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from latentcrs.converse.bookkeeping import update
from latentcrs.converse.conversation import Conversation
from latentcrs.converse.events import EventKind
from latentcrs.converse.session import Session, Turn, Variant
from latentcrs.converse.store import AlreadyThere, ConversationStore, NoConversation, Stored, Summary, WentOn
from latentcrs.data.rules import Rule
from latentcrs.device import resolve_device
from latentcrs.errors import UserError
from latentcrs.language.chat import ChatModel
from latentcrs.language.chat.model import encodable
from latentcrs.language.extract import Heard, HeardRule
from latentcrs.recommend import Recommendation, Recommender, load
from latentcrs.serve.catalogue import CatalogueView
from latentcrs.serve.errors import Conflict, NotFound
from latentcrs.serve.extractors import Extractors
from latentcrs.serve.live import LiveConversations
from latentcrs.serve.people import People, named

BELIEVED = 8
ATTEMPTS = 3
"""How often a turn is tried where the conversation goes on in another process at the same moment."""


class BelievedIntent(BaseModel):
    """An intent that a conversation is believed to have. weight: 0..1 of all. titles: items that it stands for."""

    model_config = ConfigDict(frozen=True)

    label: str
    weight: float
    titles: list[str]


class Service:
    """A bundle that talks with many people at once. Threads may share it; processes may share its store.

    A conversation and what a user did belong to an owner ("" where there is only one); to others they do not exist.
    on_turn: called with every new turn, for figures; it must not raise.
    """

    def __init__(
        self,
        bundle: Path,
        store: ConversationStore,
        *,
        model: ChatModel | None = None,
        rules: Literal["lexical", "llm"] = "lexical",
        talks: bool = False,
        device: str = "auto",
        live: int = 1000,
        patience: float = 60.0,
    ) -> None:
        """`rules`: who hears the rules; `talks`: the model words the replies. `live`: conversations kept in memory.
        `patience`: seconds that a turn waits for another one of its conversation.

        Raises:
            UserError: no bundle there, or a language model is needed.
        """
        self.path = str(Path(bundle).resolve())
        self.bundle_name = Path(self.path).name
        self.store, self.model, self.rules, self.talks = store, model, rules, talks
        self.on_turn: Callable[[Turn], None] = lambda turn: None
        self.recommender: Recommender = load(bundle, resolve_device(device).type)
        self.catalogue = CatalogueView(self.recommender)
        self._live = LiveConversations(live, patience)
        self._growing, self._joined = Lock(), 0
        self._hearing = Lock()
        self._heard_by: Extractors | None = None
        self.people = People(store, self.recommender.bundle.info, self._is_known)
        self._catch_up()

    @property
    def dataset_name(self) -> str:
        """The data set that the bundle was trained on; its items are what events are about."""
        return self.recommender.bundle.info.dataset.name

    def live_conversations(self) -> int:
        """How many conversations are in memory."""
        return len(self._live)

    def warm(self) -> None:
        """Load what the first turn would otherwise wait for: the text encoder, and the people of the data set."""
        self.recommender.embed("hello")
        self._extractor()
        self.people.trained("")

    # Conversations.

    def begin(
        self,
        owner: str,
        *,
        user: str | None = None,
        history: Sequence[str] = (),
        variant: Variant | None = None,
        k: int | None = None,
        id: str | None = None,
    ) -> str:
        """Begin a conversation; its id. `history`: item ids, oldest first, behind those of `user`.

        Raises:
            Conflict: there is a conversation with this id.
            UserError: an item that does not exist, or variant v without a language model.
        """
        self._catch_up()
        user = user if user is None else named(user)
        session = Session(user=user, history=list(dict.fromkeys(map(str, history))), variant=variant or "f", k=k or 5)
        self.recommender.item_numbers(session.history)
        if session.variant == "v" and self.model is None:
            raise UserError("Variant v needs a language model, and this server has none.")
        if user is not None:
            past = self.people.trained(user)
            session.history = list(dict.fromkeys([*past, *session.history]))
            self.people.bring_in(owner, session)
        id = id or secrets.token_urlsafe(16)
        try:
            self.store.begin(id, session, self.path, owner)
        except AlreadyThere as error:
            raise Conflict(str(error)) from None
        return id

    def turn(
        self,
        owner: str,
        id: str,
        utterance: str,
        on_text: Callable[[str], None] | None = None,
        number: int | None = None,
    ) -> Turn:
        """The turn that answers `utterance`, stored before it is returned. `on_text`: see `Conversation.reply`.

        `number`: the turn that this is to be. If that one has been, and answered the same utterance, it is returned
        again and nothing happens.

        Raises:
            NotFound: this owner has no such conversation.
            Conflict: turn `number` answered something else, or one before it is missing.
            TooMany: other turns of this conversation take too long.
        """
        utterance = encodable(utterance)

        def reply(conversation: Conversation) -> Turn:
            found = self._been(conversation, owner, number, utterance)
            if found is None:
                return conversation.reply(utterance, on_text)
            if on_text is not None:
                on_text(found.text)
            return found

        return self._change(owner, id, reply)

    def like(self, owner: str, id: str, places: Sequence[int]) -> Turn:
        """Add items of the last list (from 0) to what is liked.

        Raises:
            UserError: the list has no such place. NotFound, Conflict, TooMany: as `turn`.
        """
        return self._mark(owner, id, "like", "liked", places)

    def refuse(self, owner: str, id: str, places: Sequence[int]) -> Turn:
        """Do not show items of the last list again: they are not wanted. Raises as `like`."""
        return self._mark(owner, id, "refuse", "refused", places)

    def seen(self, owner: str, id: str, places: Sequence[int]) -> Turn:
        """Do not show items of the last list again: they are known. Raises as `like`."""
        return self._mark(owner, id, "seen", "seen", places)

    def drop_rule(self, owner: str, id: str, place: int) -> Turn:
        """Take back the rule or wish with this number (from 0: rules, then wishes).

        Raises:
            UserError: there is none. NotFound, Conflict, TooMany: as `turn`.
        """
        return self._change(owner, id, lambda conversation: conversation.drop(place))

    def add_rule(self, owner: str, id: str, rule: Rule, soft: bool = False) -> Turn:
        """Put a rule in force (`soft`: a wish), as if it had been insisted on; it replaces what it contradicts.

        Raises:
            UserError: it does not fit the catalogue, or no item passes it. NotFound, Conflict, TooMany: as `turn`.
        """

        def adding(session: Session) -> None:
            if not self.recommender.mask(rule).any():
                raise UserError(f'No item of the catalogue passes the rule "{rule}".')
            new = HeardRule(rule=rule, insisted=not soft)
            update(self.recommender, session, Heard(wishes=(new,)) if soft else Heard(rules=(new,)))

        return self._change(owner, id, lambda conversation: conversation.command("rule", adding))

    def use(self, owner: str, id: str, variant: Variant) -> Turn:
        """Go on in another variant.

        Raises:
            UserError: variant v without a language model. NotFound, Conflict, TooMany: as `turn`.
        """
        return self._change(owner, id, lambda conversation: conversation.use(variant))

    def begin_again(self, owner: str, id: str) -> str:
        """Begin a conversation of the same person, in which nothing was said or shown yet; its id. The old one stays.

        Raises:
            NotFound: this owner has no such conversation.
        """
        old = self.conversation(owner, id).session
        return self.begin(owner, user=old.user, history=old.history, variant=old.variant, k=old.k)

    def conversation(self, owner: str, id: str) -> Stored:
        """A conversation with all its turns.

        Raises:
            NotFound: this owner has no such conversation.
        """
        try:
            return self.store.load(id, owner)
        except NoConversation as error:
            raise NotFound(str(error)) from None

    def conversations(self, owner: str, user: str | None = None) -> list[Summary]:
        """The conversations held with this bundle, the one that went on last first; of `user` where it is given."""
        user = user if user is None else named(user)
        return [found for found in self.store.summaries(owner, user) if found.bundle == self.path]

    def forget(self, owner: str, id: str) -> None:
        """Delete a conversation and all its words.

        Raises:
            NotFound: this owner has no such conversation.
        """
        if not self.store.forget(id, owner):
            raise NotFound(f"There is no conversation {id!r}; it was never begun here, or was forgotten.")
        self._live.drop(owner, id)

    def believed(self, owner: str, id: str) -> list[tuple[str, float]]:
        """The intents believed in most now, labels and weights (0..1 of all); see `intents`."""
        return [(intent.label, intent.weight) for intent in self.intents(owner, id)]

    def intents(self, owner: str, id: str) -> list[BelievedIntent]:
        """The intents believed in most now, strongest first; those of one label are counted together.

        Raises:
            NotFound, TooMany: as `turn`.
        """
        with self._alone(owner, id) as conversation:
            session, recommender = conversation.session, conversation.recommender
            query = recommender.read(
                recommender.item_numbers(session.past), session.request, recommender.embed(session.request)
            )
        intents = recommender.bundle.intents.with_columns(pl.Series("weight", query.f))
        merged = (
            intents.sort("weight", descending=True)
            .group_by("label", maintain_order=True)
            .agg(pl.col("weight").sum(), pl.col("titles").first())
            .sort("weight", descending=True, maintain_order=True)
        )
        return [BelievedIntent(**row) for row in merged.head(BELIEVED).iter_rows(named=True)]

    # People.

    def history(self, owner: str, user: str) -> list[str]:
        """Item ids, oldest first: the user's part of the data set, and what was reported since."""
        return self.people.history(owner, user)

    def remember(self, owner: str, user: str, item_id: str, kind: EventKind, at: datetime | None = None) -> None:
        """Keep what a user did with an item; conversations know it from their next turn on. `at`: now by default.

        Raises:
            NotFound: there is no such item.
        """
        self._catch_up()
        self.catalogue.number(item_id)
        self.people.remember(owner, user, item_id, kind, at)

    def forget_event(self, owner: str, user: str, item_id: str) -> None:
        """Take an item out of what a user did, wherever that is known from.

        Raises:
            NotFound: the user did nothing with it.
        """
        if not self.people.did(owner, user, item_id):
            raise NotFound(f"User {user!r} did nothing with an item {item_id!r}.")
        self.remember(owner, user, item_id, "removed")

    def export_user(self, owner: str, user: str) -> dict[str, Any]:
        """All that is kept of a user, ready for JSON: history, events, conversations with every word."""
        events = self.store.events(owner, named(user))
        conversations = [self.store.export(found.id, owner) for found in self.store.summaries(owner, user)]
        return {
            "user": user,
            "history": self.history(owner, user),
            "events": [event.model_dump(mode="json") for event in events],
            "conversations": conversations,
        }

    def forget_user(self, owner: str, user: str) -> int:
        """Delete a user's conversations and events; how many there were. The data set that was trained on stays."""
        ids = [found.id for found in self.store.summaries(owner, named(user))]
        count = self.store.forget_user(user, owner) + self.store.forget_events(owner, user)
        for id in ids:
            self._live.drop(owner, id)
        return count

    # Without a conversation.

    def recommend(
        self,
        *,
        history: Sequence[str] = (),
        user: str | None = None,
        owner: str = "",
        request: str = "",
        k: int = 5,
        where: Sequence[Rule] = (),
        exclude: Sequence[str] = (),
    ) -> list[Recommendation]:
        """The best k items that pass `where`; `history` (oldest first) comes behind that of `user`.

        Raises:
            UserError: an item that does not exist, or a rule that does not fit the catalogue.
        """
        self._catch_up()
        session = Session(user=user, history=[] if user is None else self.people.trained(named(user)))
        session.history = list(dict.fromkeys([*session.history, *map(str, history)]))
        if user is not None:
            self.people.bring_in(owner, session)
        left_out = [*exclude, *session.seen, *session.refused]
        return self.recommender.recommend(session.history, encodable(request), k, list(where), left_out)

    def similar(self, item_id: str, k: int = 5) -> list[Recommendation]:
        """Items like one. Raises `NotFound` where there is no such item; see `CatalogueView.similar`."""
        self._catch_up()
        return self.catalogue.similar(item_id, k)

    def search(self, words: str, where: Sequence[Rule] = (), k: int = 10) -> list[dict[str, Any]]:
        """Items (column -> value) by words of their titles and texts; see `CatalogueView.search`."""
        self._catch_up()
        return self.catalogue.search(encodable(words), where, k)

    def item(self, item_id: str) -> dict[str, Any]:
        """All that the catalogue says of an item. Raises `NotFound` where there is no such item."""
        self._catch_up()
        return self.catalogue.row(item_id)

    def add_items(self, rows: list[dict[str, Any]]) -> int:
        """Put new items into the catalogue for everyone, recommendable at once by their text; how many. They are in
        the store, so other processes and the next start have them too.

        Raises:
            Conflict: an id that the catalogue has already.
            UserError: a column that the catalogue does not have, a value of the wrong type, no id or title.
        """
        with self._growing:
            self._take_in_new_items()
            known = set(self.recommender.bundle.items["item_id"].to_list())
            ids = [str(row.get("item_id")) for row in rows]
            twice = next((id for place, id in enumerate(ids) if id in known or id in ids[:place]), None)
            if twice is not None:
                raise Conflict(f"The catalogue already has an item with the id {twice!r}.")
            grown = self._grown(rows)
            self.store.add_items(self.dataset_name, rows)
            self._joined += len(rows)
            self._swap(grown)
        return len(rows)

    # Within.

    def _change(self, owner: str, id: str, act: Callable[[Conversation], Turn]) -> Turn:
        for _ in range(ATTEMPTS):
            try:
                with self._alone(owner, id) as conversation:
                    before = conversation.session.turns
                    turn = act(conversation)
            except WentOn:
                self._live.drop(owner, id)
                continue
            if turn.number > before:
                self.on_turn(turn)
            return turn
        raise Conflict(f"Conversation {id!r} goes on elsewhere at this moment; load it and try again.")

    def _mark(
        self, owner: str, id: str, name: str, field: Literal["liked", "refused", "seen"], places: Sequence[int]
    ) -> Turn:
        def marking(session: Session) -> None:
            if any(not 0 <= place < len(session.listed) for place in places):
                raise UserError("The last list has no item with this number.")
            marked = [*getattr(session, field), *(session.listed[place] for place in places)]
            setattr(session, field, list(dict.fromkeys(marked)))

        return self._change(owner, id, lambda conversation: conversation.command(name, marking))

    def _been(self, conversation: Conversation, owner: str, number: int | None, utterance: str) -> Turn | None:
        """The turn of this number, where there has been one."""
        turns = conversation.session.turns
        if number is None or number == turns + 1:
            return None
        if not 1 <= number <= turns:
            raise Conflict(f"The next turn of conversation {conversation.id!r} is {turns + 1}, not {number}.")
        turn = self.conversation(owner, conversation.id).turns[number - 1]
        if turn.utterance != utterance:
            raise Conflict(f"Turn {number} of conversation {conversation.id!r} answered something else.")
        return turn

    @contextmanager
    def _alone(self, owner: str, id: str) -> Iterator[Conversation]:
        """The conversation as it stands in the store, with this catalogue and what its user did since."""

        def opened(found: Conversation | None) -> Conversation:
            head = self.store.head(id, owner)
            if head is None:
                raise NotFound(f"There is no conversation {id!r}; it was never begun here, or was forgotten.")
            if found is None or found.session.turns != head:
                found = self._loaded(owner, id)
            recommender, extractor = self.recommender, self._extractor()
            if found.recommender is not recommender:
                found.recommender, found.fallback = recommender, extractor.lexical
                found.extractor = extractor.of(found.model)
            if found.session.user is not None:
                session = found.session.model_copy(deep=True)
                self.people.bring_in(owner, session)
                found.session = session
            return found

        self._catch_up()
        with self._live.alone(owner, id, opened) as conversation:
            yield conversation

    def _loaded(self, owner: str, id: str) -> Conversation:
        stored = self.conversation(owner, id)
        session, extractor = stored.session, self._extractor()
        try:
            self.recommender.item_numbers([*session.past, *session.not_again, *session.listed])
        except UserError:
            raise Conflict(
                f"Conversation {id!r} was held with another catalogue, that of {Path(stored.bundle).name}; begin a "
                "new one."
            ) from None
        if session.variant == "v" and self.model is None:
            session = session.model_copy(update={"variant": "f"})
        conversation = Conversation(
            self.recommender,
            extractor.lexical,
            session,
            model=self.model,
            talks=self.talks,
            store=self.store,
            id=id,
        )
        conversation.extractor, conversation.recent = extractor.of(conversation.model), stored.turns[-10:]
        return conversation

    def _is_known(self, item_id: str) -> bool:
        try:
            return bool(len(self.recommender.item_numbers([item_id])))
        except UserError:
            return False

    def _extractor(self) -> Extractors:
        """Who hears the rules of the present catalogue."""
        with self._hearing:
            if self._heard_by is None or self._heard_by.recommender is not self.recommender:
                self._heard_by = Extractors(self.recommender, self.rules, self.model)
            return self._heard_by

    def _catch_up(self) -> None:
        """Take in the items that joined the catalogue in other processes."""
        if self.store.items_joined(self.dataset_name) > self._joined:
            with self._growing:
                self._take_in_new_items()

    def _take_in_new_items(self) -> None:
        joined = self.store.items_after(self.dataset_name, self._joined)
        rows = [row for _, row in joined if not self._is_known(str(row.get("item_id")))]
        if rows:
            self._swap(self._grown(rows))
        if joined:
            self._joined = joined[-1][0]

    def _grown(self, rows: list[dict[str, Any]]) -> Recommender:
        """A recommender of its own that has these items too; turns under way go on with the old one."""
        grown = Recommender(self.recommender.bundle, self.recommender.text_encoder)
        try:
            frame = pl.from_dicts(rows, infer_schema_length=None, strict=False)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"These items are no rows of a catalogue: {str(error).splitlines()[0]}.") from None
        grown.add_items(frame)
        return grown

    def _swap(self, grown: Recommender) -> None:
        self.recommender, self.catalogue = grown, CatalogueView(grown)
