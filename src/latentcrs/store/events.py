"""What people do between turns, and items that joined the catalogue: the part of the store beside conversations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from latentcrs.base.errors import UserError
from latentcrs.store.tables import EVENTS, ITEMS, check_names, is_named, json_object, moment, raw

EventKind = Literal["like", "purchase", "click", "seen", "refuse", "removed"]
"""like, purchase, click: joins the history. seen, refuse: is not recommended. removed: leaves the history, where the
data set that was trained on has it.
"""


AT_ONCE = 500  # ids that are looked for in one statement: SQLite takes only so many


class Event(BaseModel):
    """The last thing that a user did with an item. at: UTC."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    kind: EventKind
    at: datetime


class DuplicateItem(UserError):
    """An item of this id joined the catalogue before."""


def put_event(connection: Connection, owner: str, catalogue: str, user: str, event: Event) -> None:
    """Add an event in the place of the one before on the same item.

    Raises:
        UserError: an id or a name that cannot be kept, or a time outside the calendar.
    """
    check_names(owner, catalogue, user, event.item_id)
    row = {
        "owner": owner,
        "catalogue": catalogue,
        "user_id": user,
        "item_id": event.item_id,
        "kind": event.kind,
        "at": _utc(event.at),
    }
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    changed = {"kind": row["kind"], "at": row["at"]}
    statement = dialect.insert(EVENTS).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=list(EVENTS.primary_key), set_=changed))


def events_of(
    connection: Connection,
    owner: str,
    user: str,
    catalogue: str | None,
    leaving_out: Callable[[str], AbstractContextManager[None]],
) -> list[Event]:
    """A user's events, oldest first; with the items of every catalogue where none is named. `leaving_out`: makes the
    block around each that is named to it, out of which what cannot be read is left.
    """
    columns, here, events = EVENTS.c, _of(owner, user, catalogue), []
    found = select(columns.catalogue, columns.item_id, columns.kind, raw(columns.at)).where(here)
    for row in connection.execute(found.order_by(columns.at, columns.item_id)):
        with leaving_out(f"what somebody did with item {row.item_id!r} of {row.catalogue}"):
            events.append(Event(item_id=row.item_id, kind=row.kind, at=moment(row.at)))
    return events


def every_event(
    connection: Connection,
    owner: str | None,
    leaving_out: Callable[[str], AbstractContextManager[None]],
    since: datetime | None = None,
) -> list[tuple[str, str, str, str, str, datetime]]:
    """(catalogue, owner, user, item, kind, time in UTC) of every event, oldest first; of one owner and since a time,
    where they are given.
    """
    columns, events = EVENTS.c, []
    found = select(columns.catalogue, columns.owner, columns.user_id, columns.item_id, columns.kind, raw(columns.at))
    if owner is not None:
        found = found.where(is_named(columns.owner, owner))
    if since is not None:
        found = found.where(columns.at >= _utc(since))
    for row in connection.execute(found.order_by(columns.at, columns.user_id, columns.item_id)):
        with leaving_out(f"what somebody did with item {row.item_id!r} of {row.catalogue}"):
            events.append((row.catalogue, row.owner, row.user_id, row.item_id, row.kind, moment(row.at)))
    return events


def delete_events(
    connection: Connection, owner: str, user: str, catalogue: str | None = None, item_id: str | None = None
) -> int:
    """Delete a user's events, or those of one catalogue or one item; how many there were."""
    here = _of(owner, user, catalogue)
    if item_id is not None:
        here &= is_named(EVENTS.c.item_id, item_id)
    return connection.execute(delete(EVENTS).where(here)).rowcount


def put_items(connection: Connection, catalogue: str, rows: Sequence[dict[str, Any]], changes: bool = False) -> None:
    """Keep rows of items (each with an `item_id`) behind those that are there: all of them, or none. `changes`: what
    a row says takes the place of what was kept of its item, and the rest of that stays.

    Raises:
        AlreadyJoined: one has the id of another, or of one that joined before, and is no change.
        UserError: an id that cannot be kept.
    """
    if connection.dialect.name == "postgresql":
        # SQLite has one writer at a time. Here two would take the same number, or a later one be seen first, and
        # whoever follows the numbers would miss the earlier. Readers go on meanwhile.
        connection.exec_driver_sql(f"LOCK TABLE {ITEMS.name} IN SHARE ROW EXCLUSIVE MODE")
    ids = [str(row.get("item_id")) for row in rows]
    check_names(*ids)
    kept: dict[str, dict[str, Any]] = {}
    last, ours = items_joined(connection, catalogue), ITEMS.c.catalogue == catalogue
    for start in range(0, len(ids), AT_ONCE):
        same = ours & ITEMS.c.item_id.in_(ids[start : start + AT_ONCE])
        kept |= {
            id: json_object(item) or {}
            for id, item in connection.execute(select(ITEMS.c.item_id, raw(ITEMS.c.item)).where(same))
        }
        if changes:
            connection.execute(delete(ITEMS).where(same))
    for id, row in zip(ids, rows, strict=True):
        if id in kept and not changes:
            raise DuplicateItem(f"The catalogue already has an item with the id {id!r}.")
        kept[id] = kept.pop(id, {}) | row
    values = [
        {"catalogue": catalogue, "number": last + place, "item": row, "item_id": id}
        for place, (id, row) in enumerate(kept.items(), 1)
    ]
    if values:
        connection.execute(insert(ITEMS), values)


def items_joined(connection: Connection, catalogue: str) -> int:
    """The number of the last item that joined a catalogue or changed; 0 where none did."""
    return connection.execute(select(func.max(ITEMS.c.number)).where(ITEMS.c.catalogue == catalogue)).scalar() or 0


def items_after(connection: Connection, catalogue: str, number: int) -> list[tuple[int, dict[str, Any] | None]]:
    """The items that joined or changed after this number, in order: number and row, None where that is no object."""
    here = (ITEMS.c.catalogue == catalogue) & (ITEMS.c.number > number)
    found = connection.execute(select(ITEMS.c.number, raw(ITEMS.c.item)).where(here).order_by(ITEMS.c.number))
    return [(row.number, json_object(row.item)) for row in found]


def _of(owner: str, user: str, catalogue: str | None) -> ColumnElement[bool]:
    mine = is_named(EVENTS.c.owner, owner) & is_named(EVENTS.c.user_id, user)
    return mine if catalogue is None else mine & is_named(EVENTS.c.catalogue, catalogue)


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise UserError(f"{at.isoformat()} is no time that can be kept: in UTC it is outside the calendar.") from None
