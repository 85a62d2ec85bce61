"""What people do between turns, as the store keeps it."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from latentcrs.base.errors import UserError
from latentcrs.store.access import OpenedStore
from latentcrs.store.tables import EVENTS, check_names, is_named, moment, raw

EventKind = Literal["like", "purchase", "click", "seen", "refuse", "removed"]
"""like, purchase, click: joins the history. seen, refuse: is not recommended. removed: leaves the trained history."""


class Event(BaseModel):
    """The last thing that a user did with an item. at: UTC."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    kind: EventKind
    at: datetime


class EventStore(OpenedStore):
    """What people do between turns, in a store."""

    def add_event(self, owner: str, catalogue: str, user: str, event: Event) -> None:
        """Keep what a user did with an item of a catalogue, in the place of what they did with it before.

        Raises:
            UserError: an id or a name that cannot be kept, or a time outside the calendar.
        """
        check_names(owner, catalogue, user, event.item_id)
        key = {"owner": owner, "catalogue": catalogue, "user_id": user, "item_id": event.item_id}
        changed = {"kind": event.kind, "at": _utc(event.at)}
        with self._writing() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            statement = dialect.insert(EVENTS).values(key | changed)
            connection.execute(statement.on_conflict_do_update(index_elements=list(EVENTS.primary_key), set_=changed))

    def events(self, owner: str, user: str, catalogue: str | None = None) -> list[Event]:
        """What a user did, oldest first; with the items of every catalogue where none is named."""
        columns, here, events = EVENTS.c, _of(owner, user, catalogue), []
        found = select(columns.catalogue, columns.item_id, columns.kind, raw(columns.at)).where(here)
        with self._reading() as connection:
            for row in connection.execute(found.order_by(columns.at, columns.item_id)):
                with self._leaving_out(f"what somebody did with item {row.item_id!r} of {row.catalogue}"):
                    events.append(Event(item_id=row.item_id, kind=row.kind, at=moment(row.at)))
        return events

    def every_event(
        self, owner: str | None = None, since: datetime | None = None
    ) -> list[tuple[str, str, str, str, str, datetime]]:
        """(catalogue, owner, user, item, kind, time in UTC) of every event, oldest first; of one owner."""
        columns, events = EVENTS.c, []
        wanted = (columns.catalogue, columns.owner, columns.user_id, columns.item_id, columns.kind, raw(columns.at))
        found = select(*wanted).order_by(columns.at, columns.user_id, columns.item_id)
        if owner is not None:
            found = found.where(is_named(columns.owner, owner))
        if since is not None:
            found = found.where(columns.at >= _utc(since))
        with self._reading() as connection:
            for row in connection.execute(found):
                with self._leaving_out(f"what somebody did with item {row.item_id!r} of {row.catalogue}"):
                    events.append((row.catalogue, row.owner, row.user_id, row.item_id, row.kind, moment(row.at)))
        return events

    def forget_events(self, owner: str, user: str, catalogue: str | None = None, item_id: str | None = None) -> int:
        """Delete a user's events, or those of one catalogue or one item; how many there were."""
        here = _of(owner, user, catalogue)
        if item_id is not None:
            here &= is_named(EVENTS.c.item_id, item_id)
        with self._writing() as connection:
            count = connection.execute(delete(EVENTS).where(here)).rowcount
        self._wiped(count)
        return count


def _of(owner: str, user: str, catalogue: str | None) -> ColumnElement[bool]:
    mine = is_named(EVENTS.c.owner, owner) & is_named(EVENTS.c.user_id, user)
    return mine if catalogue is None else mine & is_named(EVENTS.c.catalogue, catalogue)


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise UserError(f"{at.isoformat()} is no time that can be kept: in UTC it is outside the calendar.") from None
