"""The one service behind every way in (HTTP, OpenAI's format, MCP, the page): conversations, people, items."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from latentcrs.base.device import resolve_device
from latentcrs.base.errors import UserError
from latentcrs.converse.bookkeeping import MOST_IN_FORCE, update
from latentcrs.converse.conversation import Conversation, Mark
from latentcrs.data.rules import Rule
from latentcrs.hear import Heard, HeardRule
from latentcrs.hear.open import Extractors, RulesBy
from latentcrs.llm import ChatModel
from latentcrs.llm.model import encodable
from latentcrs.recommend import Recommender
from latentcrs.recommend.policy import Policies
from latentcrs.serve.bounds import bounded
from latentcrs.serve.errors import Conflict, NotFound
from latentcrs.serve.item_service import ItemService
from latentcrs.serve.live import LiveConversations, as_it_stands, turn_that_was
from latentcrs.serve.people import named
from latentcrs.serve.served import BelievedIntent, ServedBundle, believed_intents
from latentcrs.serve.tracing import ServerTracer
from latentcrs.store.conversations import (
    AlreadyThere,
    ConversationStore,
    NoConversation,
    StoredConversation,
    Summary,
    UnreadableConversation,
    WentOn,
)
from latentcrs.store.events import EventKind
from latentcrs.store.session import Session, Turn, Variant

ATTEMPTS = 3
"""How often a turn is tried where the conversation goes on in another process at the same moment."""


class Service(ItemService):
    """A bundle that talks with many people at once. Threads may share it; processes may share its store.

    A conversation and what a user did belong to an owner ("" where there is only one); to others they do not exist.
    on_turn: called with every new turn, for figures; it must not raise. tracing: where turns are traced.
    """

    def __init__(
        self,
        bundle: Path,
        store: ConversationStore,
        *,
        model: ChatModel | None = None,
        rules: RulesBy = "lexical",
        talks: bool = False,
        device: str = "auto",
        live: int = 1000,
        patience: float = 60.0,
        policies: Policies | None = None,
        lends: ServedBundle | None = None,
        asks: bool = False,
    ) -> None:
        """`rules`: who hears the rules; `talks`: the model words the replies. `live`: conversations kept in memory.
        `patience`: seconds that a turn waits for another one of its conversation. `policies`: what the operator says.
        `lends`: a bundle whose text encoder serves here too. `asks`: conversations ask back.

        Raises:
            UserError: no bundle there, or one that the policies do not fit, or a language model is needed.
        """
        check_model(model, rules, talks)
        self.path = str(Path(bundle).resolve())
        self.bundle_name = Path(self.path).name
        self.store, self.model, self.rules, self.talks, self.asks = store, model, rules, talks, asks
        self.on_turn: Callable[[Turn], None] = lambda turn: None
        self.tracing = ServerTracer()
        self.folder = Path(bundle).absolute()  # where a new bundle is put; a link may lead elsewhere by then
        self._device = resolve_device(device).type
        self._live = LiveConversations(live, patience)
        self.policies = policies or Policies()
        self.served = ServedBundle(self.folder, store, self._hearing, self._device, lends, self.policies)
        self.beside: Service | None = None
        self._beside_share = 0.0
        self.served.growing.catch_up()

    def try_beside(self, bundle: Path, share: float) -> None:
        """Hold this share of the new conversations with another bundle; a user's are all held with one of the two.

        Raises:
            UserError: no bundle there, or one of other items.
        """
        other = Service(
            bundle, self.store,
            model=self.model, rules=self.rules, talks=self.talks, device=self._device, live=self._live.most,
            patience=self._live.patience, policies=self.policies, lends=self.served, asks=self.asks,
        )  # fmt: skip
        ids, others = (set(one.recommender.bundle.items["item_id"]) for one in (self, other))
        if ids != others or other.path == self.path:
            raise UserError(
                f"{bundle} is not another bundle of the same items as {self.path}; try none other beside it."
            )
        self.beside, self._beside_share = other, share

    def _holder(self, owner: str, id: str) -> Service:
        """Who holds a conversation: this service, or the one beside it."""
        if self.beside is not None and self.store.bundle_of(id, owner) == self.beside.path:
            return self.beside
        return self

    def live_conversations(self) -> int:
        """How many conversations are in memory."""
        return len(self._live)

    def warm(self) -> None:
        """Load what the first turn would otherwise wait for."""
        self.served.warm()

    # The bundle.

    def open_bundle(self) -> ServedBundle:
        """The bundle that lies at the path now, ready for `take_up`. What is served stays what it is.

        Raises:
            UserError: no bundle there, or a damaged one.
            OSError: it went away while it was read.
        """
        return ServedBundle(self.folder, self.store, self._hearing, self._device, self.served, self.policies)

    def take_up(self, served: ServedBundle) -> None:
        """Serve another bundle: turns under way end with the old one; conversations go on with the new."""
        self.served = served
        self._live.renew()

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
        always: Sequence[Rule] = (),
    ) -> str:
        """Begin a conversation; its id. `history`: item ids or titles, oldest first, behind those of `user`.
        `always`: rules that hold throughout, whatever is said.

        Raises:
            Conflict: there is a conversation with this id.
            UserError: an item that does not exist, or variant v without a language model.
        """
        id, user = id or secrets.token_urlsafe(16), user if user is None else named(user)
        if self.beside is not None and _place(owner, user or id) < self._beside_share:
            return self.beside.begin(owner, user=user, history=history, variant=variant, k=k, id=id, always=always)
        served = self.current()
        ids = served.recommender.bundle.items["item_id"]
        past = [str(item_id) for item_id in ids.gather(served.recommender.find_items(history).tolist())]
        session = Session(user=user, history=list(dict.fromkeys(past)), variant=variant or "f", k=k or 5)
        session.always = bounded(always)
        for rule in session.always:
            served.recommender.mask(rule)
        if session.variant == "v" and self.model is None:
            raise UserError("Variant v needs a language model, and this server has none.")
        if user is not None:
            past = served.people.trained(owner, user)
            session.history = list(dict.fromkeys([*past, *session.history]))
            served.people.bring_in(owner, session)
        with _answered():
            self.store.begin(id, session, self.path, owner)
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
            found = turn_that_was(self, conversation, owner, number, utterance)
            if found is None:
                return conversation.reply(utterance, on_text)
            if on_text is not None:
                on_text(found.text)
            return found

        return self._change(owner, id, reply)

    def mark(self, owner: str, id: str, kind: Mark, places: Sequence[int]) -> Turn:
        """Say of items of the last list (from 0) that they are liked, not wanted, or known: the latter two disappear.

        Raises:
            UserError: the list has no such place. NotFound, Conflict, TooMany: as `turn`.
        """
        return self._change(owner, id, lambda conversation: conversation.mark(kind, places))

    def drop_rule(self, owner: str, id: str, place: int) -> Turn:
        """Take back the rule or wish with this number (from 0: rules, then wishes).

        Raises:
            UserError: there is none. NotFound, Conflict, TooMany: as `turn`.
        """
        return self._change(owner, id, lambda conversation: conversation.drop(place))

    def undo(self, owner: str, id: str) -> Turn:
        """Put back what was in force before it was changed last.

        Raises:
            UserError: nothing was changed. NotFound, Conflict, TooMany: as `turn`.
        """
        return self._change(owner, id, lambda conversation: conversation.undo())

    def add_rule(self, owner: str, id: str, rule: Rule, soft: bool = False) -> Turn:
        """Put a rule in force (`soft`: a wish), as if it had been insisted on; it replaces what it contradicts.

        Raises:
            UserError: it does not fit the catalogue, or no item passes it. NotFound, Conflict, TooMany: as `turn`.
        """

        (rule,) = bounded([rule])

        def act(conversation: Conversation) -> Turn:
            recommender = conversation.recommender
            if len(conversation.session.rules) + len(conversation.session.wishes) >= MOST_IN_FORCE:
                raise UserError(
                    f"There are {MOST_IN_FORCE} rules and wishes in force, the most; take one back first."
                )
            if not recommender.mask(rule).any():
                raise UserError(f'No item of the catalogue passes the rule "{rule}".')
            new = HeardRule(rule=rule, insisted=not soft)

            def adding(session: Session) -> None:
                if soft:  # pressed, not said in passing: what was a rule is a wish from now on
                    session.rules = [found for found in session.rules if found.rule != rule]
                update(recommender, session, Heard(wishes=(new,)) if soft else Heard(rules=(new,)))

            return conversation.command("rule", adding)

        return self._change(owner, id, act)

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
        return self.begin(owner, user=old.user, history=old.history, variant=old.variant, k=old.k, always=old.always)

    def conversation(self, owner: str, id: str, after: int = 0) -> StoredConversation:
        """A conversation with all its turns, or with those after turn `after`.

        Raises:
            NotFound: this owner has no such conversation.
        """
        with _answered():
            return self.store.load(id, owner, after)

    def turn_of(self, owner: str, id: str, number: int) -> Turn:
        """One turn of a conversation.

        Raises:
            NotFound: this owner has no such conversation, or it no such turn.
        """
        with _answered():
            return self.store.turn(id, number, owner)

    def conversations(self, owner: str, user: str | None = None) -> list[Summary]:
        """The conversations held with this bundle, the one that went on last first; of `user` where it is given."""
        user = user if user is None else named(user)
        paths = {self.path} if self.beside is None else {self.path, self.beside.path}
        return [found for found in self.store.summaries(owner, user) if found.bundle in paths]

    def forget(self, owner: str, id: str) -> None:
        """Delete a conversation and all its words.

        Raises:
            NotFound: this owner has no such conversation.
        """
        if not self.store.forget(id, owner):
            raise NotFound(f"There is no conversation {id!r}; it was never begun here, or was forgotten.")
        self._drop(owner, id)

    def intents(self, owner: str, id: str) -> list[BelievedIntent]:
        """The intents believed in most now, strongest first; those of one label are counted together.

        Raises:
            NotFound, TooMany: as `turn`.
        """
        with self._holder(owner, id)._alone(owner, id) as conversation:
            session, recommender = conversation.session, conversation.recommender
        return believed_intents(recommender, session)

    # People.

    def history(self, owner: str, user: str) -> list[str]:
        """Item ids, oldest first: the user's part of the data set, and what was reported since."""
        return self.people.history(owner, user)

    def remember(self, owner: str, user: str, item_id: str, kind: EventKind, at: datetime | None = None) -> None:
        """Keep what a user did with an item; conversations know it from their next turn on. `at`: now by default.

        Raises:
            NotFound: there is no such item.
        """
        served = self.current()
        served.catalogue.number(item_id)
        served.people.remember(owner, user, item_id, kind, at)

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
        conversations = []
        for found in self.store.summaries(owner, user):
            try:
                conversations.append(self.store.export(found.id, owner))
            except UnreadableConversation as error:  # the others are theirs all the same
                conversations.append({"id": found.id, "unreadable": str(error)})
            except NoConversation:  # forgotten meanwhile
                continue
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
            self._drop(owner, id)
        return count

    # Within.

    def _hearing(self, recommender: Recommender) -> Extractors:
        return Extractors(recommender, self.rules, self.model)

    def _change(self, owner: str, id: str, act: Callable[[Conversation], Turn]) -> Turn:
        holder = self._holder(owner, id)
        if holder is not self:
            holder.on_turn, holder.tracing = self.on_turn, self.tracing
            return holder._change(owner, id, act)
        for _ in range(ATTEMPTS):
            try:
                with _answered(), self.tracing.turn() as told, self._alone(owner, id) as conversation:
                    before, people = conversation.session, self.people  # another bundle may be taken up meanwhile
                    turn = act(conversation)
                    told(turn)
                    people.bring_back(owner, before, conversation.session)
            except WentOn:
                self._live.drop(owner, id)
                continue
            if turn.number > before.turns:
                self.on_turn(turn)
            return turn
        raise Conflict(f"Conversation {id!r} goes on elsewhere at this moment; load it and try again.")

    def _drop(self, owner: str, id: str) -> None:
        """Forget what is in memory of a conversation."""
        self._live.drop(owner, id)
        if self.beside is not None:
            self.beside._drop(owner, id)

    @contextmanager
    def _alone(self, owner: str, id: str) -> Iterator[Conversation]:
        """The conversation as it stands, with nobody else in it."""
        with self._live.alone(owner, id, lambda found: as_it_stands(self, owner, id, found)) as conversation:
            yield conversation


def check_model(model: ChatModel | None, rules: RulesBy, talks: bool) -> None:
    """Refuse what only a language model can do, where there is none.

    Raises:
        UserError: it is to hear the rules, or to word the replies.
    """
    wanted = f"--rules {rules}" if rules != "lexical" else "--talks" if talks else ""
    if wanted and model is None:
        raise UserError(f"{wanted} needs a language model; name one with --llm, or set LATENTCRS_LLM_URL.")


def _place(owner: str, whose: str) -> float:
    """A number from 0 to 1 that somebody keeps."""
    return int.from_bytes(hashlib.sha256(f"{owner}/{whose}".encode()).digest()[:8], "big") / 2**64


@contextmanager
def _answered() -> Iterator[None]:
    """What the store says of conversations that are gone, or there already, as requests are answered."""
    try:
        yield
    except NoConversation as error:
        raise NotFound(str(error)) from None
    except AlreadyThere as error:
        raise Conflict(str(error)) from None
