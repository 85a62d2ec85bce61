"""The conversation store: what was said and shown, kept across processes, restarts and crashes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from latentcrs.base.errors import UserError
from latentcrs.store.database import explained, for_reading, open_engine, place, store_url, wipe
from latentcrs.store.events import (
    Event,
    delete_events,
    events_of,
    every_event,
    items_after,
    items_joined,
    put_event,
    put_items,
)
from latentcrs.store.migrations import migrate
from latentcrs.store.session import Session, Turn
from latentcrs.store.tables import CONVERSATIONS, TURNS, check_names, is_named, json_object, moment, raw

LOG = logging.getLogger("latentcrs.store")
LONGEST_WORDS = 80
"""Characters of the first words that a summary has."""


class NoConversation(UserError):
    """This owner has no such conversation."""


class UnreadableConversation(UserError):
    """A conversation is stored in a way that this version cannot read."""


class AlreadyThere(UserError):
    """There is a conversation with this id."""


class WentOn(UserError):
    """The conversation went on elsewhere since it was loaded."""


class Summary(BaseModel):
    """A conversation as it stands in a list. words: the first that were said. turns: how many. Times are UTC."""

    model_config = ConfigDict(frozen=True)

    id: str
    user: str | None
    bundle: str
    created: datetime
    updated: datetime
    turns: int
    words: str


class StoredConversation(BaseModel):
    """A whole conversation: the session after its last turn, and all turns in order. Times are UTC."""

    model_config = ConfigDict(frozen=True)

    id: str
    owner: str
    user: str | None
    bundle: str
    created: datetime
    updated: datetime
    session: Session
    turns: list[Turn]


class ConversationStore:
    """Conversations in an SQLite file or a PostgreSQL database, made and brought to this version when it is opened.

    Several threads and processes may use one store; what a method changed is on disk when it returns. A conversation
    belongs to an owner ("" where there is only one), and nobody else finds it.
    """

    def __init__(self, url: str = "") -> None:
        """`url`: a path or a URL; `LATENTCRS_STORE` by default, else a file in the platform's data folder.

        Raises:
            UserError: no such address, it cannot be read or written, it holds something else, or a newer version
                wrote it.
        """
        self.url = store_url(url)
        with explained(self.url):
            self._engine = open_engine(self.url)
        self._reader = for_reading(self._engine)
        self._left_out: set[str] = set()
        self.migrate()

    @property
    def unreadable(self) -> int:
        """How many rows were met that cannot be read, and were left out."""
        return len(self._left_out)

    def left_out(self, what: str, reason: str) -> None:
        """Count a row that cannot be read, and say so in the log, once. `what`: which, without anybody's words."""
        if what not in self._left_out:
            self._left_out.add(what)
            LOG.error("the store has a row that cannot be read, which is left out: %s (%s)", what, reason)

    def migrate(self) -> None:
        """Bring the tables to this version, as opening does.

        Raises:
            UserError: see `__init__`.
        """
        with explained(self.url):
            migrate(self._engine, place(self.url))

    def close(self) -> None:
        """Let go of the database; the next call opens it again."""
        self._engine.dispose()

    def begin(self, id: str, session: Session, bundle: str, owner: str = "") -> None:
        """Start a conversation that has no turn yet.

        Raises:
            UserError: there is one with this id, or an id or a name cannot be kept.
        """
        check_names(id, owner, session.user, bundle)
        if session.turns:
            raise ValueError(f"a conversation begins before its first turn, not after turn {session.turns}")
        now = _now()
        row = {
            "id": id,
            "owner": owner,
            "user_id": session.user,
            "bundle": bundle,
            "created": now,
            "updated": now,
            "words": "",
            "turns": 0,
            "session": session.model_dump(mode="json"),
        }
        with self._writing() as connection:
            try:
                connection.execute(insert(CONVERSATIONS), row)
            except IntegrityError:
                raise AlreadyThere(f"There is a conversation {id!r} already; give the new one another id.") from None

    def commit(self, id: str, turn: Turn, session: Session) -> None:
        """Add a turn, and put the session after it in the place of the one before, both or neither.

        The turn after the last one is added. The last one again, or one before it, changes nothing when it is the
        same.

        Raises:
            UserError: no such conversation, it has another turn of this number, one is missing before it, or the name
                of its user cannot be kept.
        """
        check_names(session.user)
        if session.turns != turn.number:
            raise ValueError(f"this is turn {turn.number}, but the session is that after turn {session.turns}")
        said, state = turn.model_dump(mode="json"), session.model_dump(mode="json")
        here = is_named(CONVERSATIONS.c.id, id)
        last = select(CONVERSATIONS.c.turns, CONVERSATIONS.c.words, CONVERSATIONS.c.session).where(here)
        with self._writing() as connection:
            row = connection.execute(last.with_for_update()).one_or_none()
            if row is None:
                raise _missing(id)
            if turn.number > row.turns + 1:
                raise WentOn(
                    f"Conversation {id!r} has {row.turns} turns, so its next is turn {row.turns + 1}, not "
                    f"{turn.number}; load it again and go on from there."
                )
            if turn.number <= row.turns:
                found = select(TURNS.c.turn).where(TURNS.c.conversation == id, TURNS.c.number == turn.number)
                same = connection.execute(found).scalar() == said
                if not same or (turn.number == row.turns and row.session != state):
                    raise WentOn(
                        f"Conversation {id!r} has another turn {turn.number} already: it went on elsewhere. Load it "
                        "again and go on from there."
                    )
                return
            now = _now()
            connection.execute(insert(TURNS), {"conversation": id, "number": turn.number, "at": now, "turn": said})
            changed = {"updated": now, "turns": turn.number, "session": state, "user_id": session.user}
            if not row.words and turn.kind != "command":
                changed["words"] = _first_words(turn.utterance)
            connection.execute(update(CONVERSATIONS).where(here).values(changed))

    def load(self, id: str, owner: str = "", after: int = 0) -> StoredConversation:
        """A conversation with all its turns, or with those after turn `after`.

        Raises:
            UserError: this owner has no such conversation, or it cannot be read.
        """
        here = is_named(TURNS.c.conversation, id) & (TURNS.c.number > after)
        turns = select(TURNS.c.turn).where(here).order_by(TURNS.c.number)
        with self._readable(id), self._reading() as connection:
            row = connection.execute(select(CONVERSATIONS).where(_one(id, owner))).one_or_none()
            if row is None:
                raise _missing(id)
            stored = StoredConversation(
                id=id,
                owner=owner,
                user=row.user_id,
                bundle=row.bundle,
                created=row.created.replace(tzinfo=UTC),
                updated=row.updated.replace(tzinfo=UTC),
                session=Session.model_validate(row.session),
                turns=[Turn.model_validate(turn) for turn in connection.execute(turns).scalars()],
            )
        numbers = [turn.number for turn in stored.turns]
        if numbers != list(range(after + 1, row.turns + 1)) or stored.session.turns != row.turns:
            raise self._unreadable(id, f"it should have {row.turns} turns and has {after + len(numbers)}")
        return stored

    def turn(self, id: str, number: int, owner: str = "") -> Turn:
        """One turn of a conversation.

        Raises:
            UserError: this owner has no such conversation or it no such turn, or it cannot be read.
        """
        joined = TURNS.join(CONVERSATIONS, TURNS.c.conversation == CONVERSATIONS.c.id)
        found = select(TURNS.c.turn).select_from(joined).where(_one(id, owner), TURNS.c.number == number)
        with self._readable(id), self._reading() as connection:
            row = connection.execute(found).one_or_none()
            if row is None:
                raise _missing(id)
            return Turn.model_validate(row.turn)

    def bundle_of(self, id: str, owner: str = "") -> str | None:
        """The path of the bundle that a conversation is held with; None where this owner has no such one."""
        with self._reading() as connection:
            bundle: str | None = connection.execute(select(CONVERSATIONS.c.bundle).where(_one(id, owner))).scalar()
            return bundle

    def head(self, id: str, owner: str = "") -> int | None:
        """The number of a conversation's last turn, 0 before the first; None where this owner has no such one."""
        found = select(CONVERSATIONS.c.turns).where(_one(id, owner))
        with self._reading() as connection:
            turns: int | None = connection.execute(found).scalar()
            return turns

    def standing(self, id: str, owner: str = "") -> tuple[int, datetime] | None:
        """The number of a conversation's last turn, and when it began: of two with one id, which one it is. None
        where this owner has no such one.
        """
        found = select(CONVERSATIONS.c.turns, raw(CONVERSATIONS.c.created)).where(_one(id, owner))
        with self._readable(id), self._reading() as connection:
            row = connection.execute(found).one_or_none()
            return None if row is None else (row.turns, moment(row.created))

    def summaries(self, owner: str = "", user: str | None = None) -> list[Summary]:
        """The conversations of an owner, the one that went on last first; only those of `user` where it is given."""
        columns = CONVERSATIONS.c
        wanted = (columns.id, columns.user_id, columns.bundle, raw(columns.created), raw(columns.updated))
        found = select(*wanted, columns.turns, columns.words).where(_of(owner, user))
        found = found.order_by(columns.updated.desc(), columns.id)

        summaries = []
        with self._reading() as connection:
            for row in connection.execute(found):
                with self._leaving_out(f"conversation {row.id!r}"):
                    summaries.append(
                        Summary(
                            id=row.id,
                            user=row.user_id,
                            bundle=row.bundle,
                            created=moment(row.created),
                            updated=moment(row.updated),
                            turns=row.turns,
                            words=row.words,
                        )
                    )
        return summaries

    def forget(self, id: str, owner: str = "") -> int:
        """Delete a conversation, its turns and words; how many there were: 1, or 0 where this owner has none."""
        return self._delete(_one(id, owner))

    def forget_user(self, user: str, owner: str = "") -> int:
        """Delete all conversations of a user, their turns and words; how many there were."""
        return self._delete(_of(owner, user))

    def turns_since(
        self, since: datetime, owner: str | None = None
    ) -> Iterator[tuple[str, str, str | None, str, datetime, dict[str, Any]]]:
        """(conversation, owner, user, bundle, time in UTC, turn as JSON) of every turn since then, in no order; of
        one owner where it is given.
        """
        columns, start = CONVERSATIONS.c, since.astimezone(UTC).replace(tzinfo=None)
        found = (
            select(columns.id, columns.owner, columns.user_id, columns.bundle, raw(TURNS.c.at), raw(TURNS.c.turn))
            .join_from(CONVERSATIONS, TURNS)
            .where(columns.updated >= start, TURNS.c.at >= start)
        )
        if owner is not None:
            found = found.where(is_named(columns.owner, owner))
        with self._reading() as connection:
            for row in connection.execution_options(yield_per=1000).execute(found):
                turn = json_object(row.turn)
                if turn is None:
                    self.left_out(f"a turn of conversation {row.id!r}", "it is no JSON object")
                else:
                    yield row.id, row.owner, row.user_id, row.bundle, moment(row.at), turn

    def add_event(self, owner: str, catalogue: str, user: str, event: Event) -> None:
        """Keep what a user did with an item of a catalogue, in the place of what they did with it before.

        Raises:
            UserError: an id or a name that cannot be kept, or a time outside the calendar.
        """
        with self._writing() as connection:
            put_event(connection, owner, catalogue, user, event)

    def events(self, owner: str, user: str, catalogue: str | None = None) -> list[Event]:
        """What a user did, oldest first; with the items of every catalogue where none is named."""
        with self._reading() as connection:
            return events_of(connection, owner, user, catalogue, self._leaving_out)

    def every_event(
        self, owner: str | None = None, since: datetime | None = None
    ) -> list[tuple[str, str, str, str, str, datetime]]:
        """(catalogue, owner, user, item, kind, time in UTC) of every event, oldest first."""
        with self._reading() as connection:
            return every_event(connection, owner, self._leaving_out, since)

    def forget_events(self, owner: str, user: str, catalogue: str | None = None, item_id: str | None = None) -> int:
        """Delete a user's events, or those of one catalogue or one item; how many there were."""
        with self._writing() as connection:
            count = delete_events(connection, owner, user, catalogue, item_id)
        self._wiped(count)
        return count

    def add_items(self, catalogue: str, rows: Sequence[dict[str, Any]]) -> None:
        """Keep items (rows with an `item_id`) that joined a catalogue after training.

        Raises:
            UserError: one has the id of another that joined, or one that cannot be kept; then none is.
        """
        with self._writing() as connection:
            put_items(connection, catalogue, rows)

    def change_items(self, catalogue: str, rows: Sequence[dict[str, Any]]) -> None:
        """Keep what is new of items (rows with an `item_id`), in the place of what was kept of them before.

        Raises:
            UserError: an id that cannot be kept; then nothing is.
        """
        with self._writing() as connection:
            put_items(connection, catalogue, rows, changes=True)

    def items_joined(self, catalogue: str) -> int:
        """The number of the last item that joined a catalogue or changed after training; 0 where none did."""
        with self._reading() as connection:
            return items_joined(connection, catalogue)

    def items_after(self, catalogue: str, number: int) -> list[tuple[int, dict[str, Any] | None]]:
        """The items that joined a catalogue or changed after this number, in order: number and row, None where that
        is no JSON object.
        """
        with self._reading() as connection:
            return items_after(connection, catalogue, number)

    def export(self, id: str, owner: str = "") -> dict[str, Any]:
        """All that is kept of a conversation, ready for JSON.

        Raises:
            UserError: as `load`.
        """
        return self.load(id, owner).model_dump(mode="json")

    @contextmanager
    def _leaving_out(self, what: str) -> Iterator[None]:
        """What cannot be read inside is left out."""
        try:
            yield
        except (ValueError, TypeError, ArithmeticError) as error:
            self.left_out(what, type(error).__name__)

    def _delete(self, which: ColumnElement[bool]) -> int:
        with self._writing() as connection:
            count = connection.execute(delete(CONVERSATIONS).where(which)).rowcount  # their turns go with them
        self._wiped(count)
        return count

    def _wiped(self, count: int) -> None:
        if count:
            with explained(self.url):
                wipe(self._engine)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with explained(self.url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with explained(self.url), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def _readable(self, id: str) -> Iterator[None]:
        try:
            yield
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise self._unreadable(id, f"{error.title}: {where}: {first['msg']}") from None
        except (ValueError, TypeError) as error:  # no JSON, no time
            raise self._unreadable(id, str(error)) from None

    def _unreadable(self, id: str, reason: str) -> UnreadableConversation:
        self.left_out(f"conversation {id!r}", reason)
        return UnreadableConversation(
            f"Conversation {id!r} in {place(self.url)} cannot be read ({reason}): it is damaged, or another version "
            "of LatentCRS wrote it. Start a new one."
        )


def _of(owner: str, user: str | None = None) -> ColumnElement[bool]:
    mine = is_named(CONVERSATIONS.c.owner, owner)
    return mine if user is None else mine & is_named(CONVERSATIONS.c.user_id, user)


def _one(id: str, owner: str) -> ColumnElement[bool]:
    return _of(owner) & is_named(CONVERSATIONS.c.id, id)


def _missing(id: str) -> NoConversation:
    return NoConversation(f"There is no conversation {id!r}; it was never begun here, or was forgotten.")


def _first_words(utterance: str) -> str:
    # Text that a database takes: JSON escapes a zero byte and half a surrogate pair, a column of words cannot.
    words = " ".join(utterance.replace("\0", " ").encode("utf-8", "replace").decode("utf-8").split())
    return words if len(words) <= LONGEST_WORDS else f"{words[: LONGEST_WORDS - 1].rstrip()}…"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
