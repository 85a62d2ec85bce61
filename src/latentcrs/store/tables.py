"""The tables of the conversation store. Whoever changes them adds a migration, see `migrations/env.py`."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    false,
    type_coerce,
)

from latentcrs.base.errors import UserError

SCHEMA = "0003"
"""The migration that makes exactly these tables, the last one."""
VERSIONS = "latentcrs_schema"
"""The table that says which migration a database is at."""

# Every constraint has a name of its own, by which a later migration can change it in PostgreSQL.
TABLES = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
CONVERSATIONS = Table(
    "conversations",
    TABLES,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("user_id", String),
    Column("bundle", String, nullable=False),
    Column("created", DateTime, nullable=False),  # UTC, as all times
    Column("updated", DateTime, nullable=False),
    Column("words", String, nullable=False),  # the first that were said
    Column("turns", Integer, nullable=False),  # the number of the last one
    Column("session", JSON, nullable=False),  # `Session` after it
    Index(None, "owner", "updated"),
    Index(None, "owner", "user_id"),
)
TURNS = Table(
    "turns",
    TABLES,
    Column("conversation", String, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", DateTime, nullable=False),
    Column("turn", JSON, nullable=False),  # `Turn`
)
EVENTS = Table(
    "events",
    TABLES,
    Column("owner", String, primary_key=True),
    Column("catalogue", String, primary_key=True),  # the name of the data set whose item this is
    Column("user_id", String, primary_key=True),
    Column("item_id", String, primary_key=True),  # the last thing that happened with it counts
    Column("kind", String, nullable=False),  # `events.EventKind`
    Column("at", DateTime, nullable=False),
)
ITEMS = Table(
    "items",
    TABLES,
    Column("catalogue", String, primary_key=True),
    Column(
        "number", Integer, primary_key=True, autoincrement=False
    ),  # 1, 2, ...; who changes gets a new one, the last
    Column("item", JSON, nullable=False),  # column -> value: all of an item that joined, of others what changed
    Column("item_id", String),
    Index(None, "catalogue", "item_id"),
)


def check_names(*names: str | None) -> None:
    """Refuse ids and names that not every database takes: PostgreSQL has no zero byte, and none has half a pair.

    Raises:
        UserError: one of these is such a name.
    """
    for name in names:
        if name is not None and not _is_text(name):
            raise UserError(f"{name!r} cannot be kept: an id or a name is Unicode without zero bytes.")


def is_named(column: Column[str], name: str) -> ColumnElement[bool]:
    """Rows where `column` is `name`: none for a name that `check_names` refuses, whatever the database."""
    return column == name if _is_text(name) else false()


def raw(column: Column[Any]) -> ColumnElement[Any]:
    """`column` as the driver has it, in the same name: one value that cannot be read spoils no other row."""
    return type_coerce(column, String).label(column.name)


def moment(found: object) -> datetime:
    """A raw time of this database, in UTC.

    Raises:
        ValueError, TypeError: it is none.
    """
    at = found if isinstance(found, datetime) else datetime.fromisoformat(found)  # type: ignore[arg-type]
    return at.replace(tzinfo=UTC)


def json_object(found: object) -> dict[str, Any] | None:
    """A raw JSON object; None for what is none."""
    try:
        value = json.loads(found) if isinstance(found, (str, bytes)) else found
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_text(name: str) -> bool:
    return "\0" not in name and not any("\ud800" <= character <= "\udfff" for character in name)
