"""What people do between turns, and items that joined the catalogue: the part of the store beside conversations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from latentcrs.converse.tables import EVENTS, ITEMS

EventKind = Literal["like", "purchase", "click", "seen", "refuse", "removed"]
"""like, purchase, click: joins the history. seen, refuse: is not recommended. removed: leaves the history, where the
data set that was trained on has it.
"""


class Event(BaseModel):
    """The last thing that a user did with an item. at: UTC."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    kind: EventKind
    at: datetime


def put_event(connection: Connection, owner: str, catalogue: str, user: str, event: Event) -> None:
    """Add an event in the place of the one before on the same item."""
    row = {
        "owner": owner,
        "catalogue": catalogue,
        "user_id": user,
        "item_id": event.item_id,
        "kind": event.kind,
        "at": event.at.astimezone(UTC).replace(tzinfo=None),
    }
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    changed = {"kind": row["kind"], "at": row["at"]}
    statement = dialect.insert(EVENTS).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=list(EVENTS.primary_key), set_=changed))


def events_of(connection: Connection, owner: str, user: str, catalogue: str | None = None) -> list[Event]:
    """A user's events, oldest first; with the items of every catalogue where none is named."""
    here = (EVENTS.c.owner == owner) & (EVENTS.c.user_id == user)
    if catalogue is not None:
        here &= EVENTS.c.catalogue == catalogue
    rows = connection.execute(select(EVENTS).where(here).order_by(EVENTS.c.at, EVENTS.c.item_id))
    return [Event(item_id=row.item_id, kind=row.kind, at=row.at.replace(tzinfo=UTC)) for row in rows]


def delete_events(
    connection: Connection, owner: str, user: str, catalogue: str | None = None, item_id: str | None = None
) -> int:
    """Delete a user's events, or those of one catalogue or one item; how many there were."""
    here = (EVENTS.c.owner == owner) & (EVENTS.c.user_id == user)
    if catalogue is not None:
        here &= EVENTS.c.catalogue == catalogue
    if item_id is not None:
        here &= EVENTS.c.item_id == item_id
    return connection.execute(delete(EVENTS).where(here)).rowcount


def put_items(connection: Connection, catalogue: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add items behind those that joined before."""
    first = items_joined(connection, catalogue) + 1
    values = [{"catalogue": catalogue, "number": first + place, "item": row} for place, row in enumerate(rows)]
    connection.execute(insert(ITEMS), values)


def items_joined(connection: Connection, catalogue: str) -> int:
    """How many items joined a catalogue: the number of the last one."""
    return connection.execute(select(func.max(ITEMS.c.number)).where(ITEMS.c.catalogue == catalogue)).scalar() or 0


def items_after(connection: Connection, catalogue: str, number: int) -> list[tuple[int, dict[str, Any]]]:
    """The items that joined after the `number`-th, in order: number and row."""
    here = (ITEMS.c.catalogue == catalogue) & (ITEMS.c.number > number)
    found = connection.execute(select(ITEMS.c.number, ITEMS.c.item).where(here).order_by(ITEMS.c.number))
    return [(row.number, row.item) for row in found]
