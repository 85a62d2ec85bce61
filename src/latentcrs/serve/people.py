"""What people did: their part of the data set that a bundle was trained on, and the events reported since."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property

from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs.recommend.bundle import BundleInfo
from latentcrs.recommend.catalogue_text import is_printable
from latentcrs.recommend.users import trained_dataset, user_history
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.events import Event, EventKind
from latentcrs.store.session import Session

LOG = logging.getLogger("latentcrs.serve")
LIKED: frozenset[EventKind] = frozenset({"like", "purchase", "click"})
"""Kinds of events that join the history."""
GONE: frozenset[EventKind] = frozenset({"removed", "refuse"})
"""Kinds of events that take an item out of it, and out of what was liked in conversations."""
LONGEST_NAME = 200
"""Characters of a user's id."""


class People:
    """The users of one bundle; what they did belongs to an owner, as conversations do.

    knows_dataset: whether an owner may have the histories of the data set that was trained on; everyone by default.
    """

    def __init__(self, store: ConversationStore, info: BundleInfo, is_known: Callable[[str], bool]) -> None:
        """is_known: whether the catalogue has an item by now."""
        self._store, self._info, self._is_known = store, info, is_known
        self._name = info.dataset.name
        self.knows_dataset: Callable[[str], bool] = lambda owner: True

    def trained(self, owner: str, user: str) -> list[str]:
        """The user's history in the trained data set; nothing for others, or where `knows_dataset` says no."""
        try:
            dataset = self._dataset if self.knows_dataset(owner) else None
            return [] if dataset is None else user_history(dataset, user)
        except UserError:
            return []

    def history(self, owner: str, user: str) -> list[str]:
        """Item ids, oldest first: the user's part of the data set, and what was reported since."""
        session = Session(user=named(user), history=self.trained(owner, user))
        self.bring_in(owner, session)
        return session.history

    def remember(self, owner: str, user: str, item_id: str, kind: EventKind, at: datetime | None = None) -> None:
        """Keep what a user did with an item. `at`: now by default."""
        at = at or datetime.now(UTC)
        event = Event(item_id=item_id, kind=kind, at=at if at.tzinfo else at.replace(tzinfo=UTC))
        self._store.add_event(owner, self._name, named(user), event)

    def did(self, owner: str, user: str, item_id: str) -> bool:
        """Whether the user did anything with an item, in the data set or since."""
        known = {event.item_id for event in self._store.events(owner, named(user), self._name)}
        return item_id in known or item_id in self.trained(owner, user)

    def bring_in(self, owner: str, session: Session) -> None:
        """Bring what the session's user did since into it."""
        events = self._store.events(owner, named(str(session.user)), self._name)
        events = [event for event in events if self._is_known(event.item_id)]
        told = {event.item_id for event in events}
        liked = [event.item_id for event in events if event.kind in LIKED]
        session.history = [*(item for item in session.history if item not in told), *liked]
        gone = {event.item_id for event in events if event.kind in GONE}
        session.liked_before -= sum(item in gone for item in session.liked[: session.liked_before])
        session.liked = [item for item in session.liked if item not in gone]
        session.accepted = [item for item in session.accepted if item not in gone]
        for kind, marked in (("seen", session.seen), ("refuse", session.refused)):
            marked += [event.item_id for event in events if event.kind == kind and event.item_id not in marked]

    def bring_back(self, owner: str, before: Session, after: Session) -> None:
        """Keep that what was taken out of the history was liked or taken again: it would be missing later."""
        new = {*after.liked, *after.accepted} - {*before.liked, *before.accepted}
        if after.user is not None and new:
            for event in self._store.events(owner, after.user, self._name):
                if event.item_id in new and event.kind in GONE:
                    self.remember(owner, after.user, event.item_id, "like")

    @cached_property
    def _dataset(self) -> PreparedDataset | None:
        try:
            return trained_dataset(self._info)
        except UserError as error:
            LOG.warning("nobody of the data set is known here: %s", error)
            return None


def named(user: str) -> str:
    """A user's name that every database takes.

    Raises:
        UserError: it is empty, too long, nothing but blanks or dots (which no path holds), or has characters that
            cannot be printed.
    """
    if not 0 < len(user) <= LONGEST_NAME or not user.strip(" .") or not is_printable(user):
        raise UserError(f"A user's id has 1 to {LONGEST_NAME} printable characters, not blanks or dots alone.")
    return user
