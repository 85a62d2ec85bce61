"""Conversations that are being held now: one lock each, and those not heard of for long make room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from latentcrs.converse.conversation import Conversation
from latentcrs.serve.errors import TooMany

Key = tuple[str, str]
"""Owner and id of a conversation."""


class _Place:
    """Where one conversation is while somebody uses or remembers it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.stale = False  # forgotten while somebody was in it
        self.conversation: Conversation | None = None


class LiveConversations:
    """The conversations in memory, at most `most` (more while more are in use at once). What is dropped is in the
    store, and read again when it goes on.
    """

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
