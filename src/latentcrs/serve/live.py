"""Conversations that are being held now: one lock each, and those not heard of for long make room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from latentcrs.converse.conversation import Conversation
from latentcrs.converse.open import fits
from latentcrs.hear.open import Extractors
from latentcrs.serve.errors import Conflict, NotFound, TooMany
from latentcrs.store.session import Turn

if TYPE_CHECKING:
    from latentcrs.serve.service import Service

Key = tuple[str, str]
"""Owner and id of a conversation."""


class _Place:
    """Where one conversation is while somebody uses or remembers it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.stale = False  # forgotten while somebody was in it
        self.conversation: Conversation | None = None


class LiveConversations:
    """The conversations in memory, at most `most`, and those in use. What is dropped is read from the store again."""

    def __init__(self, most: int = 1000, patience: float = 60.0) -> None:
        """`patience`: seconds that a turn waits for another one of its conversation."""
        self.most, self.patience = most, patience
        self._places: OrderedDict[Key, _Place] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def alone(
        self, owner: str, id: str, opened: Callable[[Conversation | None], Conversation]
    ) -> Iterator[Conversation]:
        """The conversation, with nobody else in it. `opened` is handed what is in memory, and says what is in force.

        Raises:
            TooMany: others are in it for longer than `patience`.
        """
        place = self._entered(owner, id)
        try:
            try:
                place.conversation = opened(place.conversation)
            except BaseException:
                self.drop(owner, id)
                raise
            yield place.conversation
        finally:
            with self._lock:
                if place.stale and self._places.get((owner, id)) is place:
                    del self._places[owner, id]
            place.lock.release()

    def _entered(self, owner: str, id: str) -> _Place:
        """The conversation's place, locked."""
        while True:
            with self._lock:
                place = self._places.setdefault((owner, id), _Place())
                self._places.move_to_end((owner, id))
                self._make_room()
            if not place.lock.acquire(timeout=self.patience):
                raise TooMany(
                    "This conversation is still busy with other turns; try again when they are answered.", 5
                )
            with self._lock:
                if self._places.get((owner, id)) is place:
                    return place
            place.lock.release()  # it was dropped meanwhile, and may be open in another place

    def drop(self, owner: str, id: str) -> None:
        """Forget what is in memory of a conversation."""
        with self._lock:
            self._places.pop((owner, id), None)

    def renew(self) -> None:
        """Forget what is in memory of every conversation; where somebody is in one, when they leave."""
        with self._lock:
            for key, place in list(self._places.items()):
                if place.lock.locked():
                    place.stale = True
                else:
                    del self._places[key]

    def __len__(self) -> int:
        return len(self._places)

    def _make_room(self) -> None:
        # A place in use stays: its conversation would otherwise be opened a second time beside it.
        surplus = len(self._places) - self.most
        if surplus > 0:
            newest = next(reversed(self._places))
            idle = [key for key, place in self._places.items() if key != newest and not place.lock.locked()]
            for key in idle[:surplus]:
                del self._places[key]


RECENT = 10
"""Turns whose reasons are remembered."""


def as_it_stands(service: Service, owner: str, id: str, found: Conversation | None) -> Conversation:
    """The conversation as it stands in the store; `found` is what is in memory of it.

    Raises:
        NotFound: this owner has no such conversation.
        Conflict: it was held with another catalogue.
    """
    head = service.store.head(id, owner)
    if head is None:
        raise NotFound(f"There is no conversation {id!r}; it was never begun here, or was forgotten.")
    served = service.current()
    extractors = served.extractors()
    recommender = extractors.recommender
    if found is None or found.session.turns != head or found.recommender.bundle.info is not recommender.bundle.info:
        found = _loaded(service, owner, id, max(0, head - RECENT), extractors)
    if found.recommender is not recommender:  # items joined or changed
        found.recommender, found.hearer, found.extractor = recommender, extractors.lexical, extractors.chosen
    found.policy, found.asks = service.policies.of(owner), service.asks
    if found.session.user is not None:
        session = found.session.model_copy(deep=True)
        served.people.bring_in(owner, session)
        found.session = session
    return found


def turn_that_was(
    service: Service, conversation: Conversation, owner: str, number: int | None, utterance: str
) -> Turn | None:
    """The turn of this number, where there has been one; it answered `utterance`.

    Raises:
        Conflict: it answered something else, or one before it is missing.
    """
    turns = conversation.session.turns
    if number is None or number == turns + 1:
        return None
    if not 1 <= number <= turns:
        raise Conflict(f"The next turn of conversation {conversation.id!r} is {turns + 1}, not {number}.")
    turn = service.turn_of(owner, conversation.id, number)
    if turn.utterance != utterance:
        raise Conflict(f"Turn {number} of conversation {conversation.id!r} answered something else.")
    return turn


def _loaded(service: Service, owner: str, id: str, after: int, extractors: Extractors) -> Conversation:
    """The conversation out of the store, with its turns after turn `after`."""
    stored = service.conversation(owner, id, after)
    session, recommender = stored.session, extractors.recommender
    if not fits(session, recommender):
        name = Path(stored.bundle).name
        raise Conflict(f"Conversation {id!r} was held with another catalogue, that of {name}; begin a new one.")
    if session.variant == "v" and service.model is None:
        session = session.model_copy(update={"variant": "f"})
    conversation = Conversation(
        recommender, extractors.chosen, session, model=service.model, talks=service.talks, store=service.store, id=id
    )
    conversation.recent = stored.turns[-RECENT:]
    return conversation
