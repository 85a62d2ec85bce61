"""The conversation store: what was said and shown, kept across processes, restarts and crashes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from latentcrs.base.errors import UserError
from latentcrs.store.database import place
from latentcrs.store.events import EventStore
from latentcrs.store.items import ItemStore
from latentcrs.store.session import Session, Turn
from latentcrs.store.tables import CONVERSATIONS, TURNS, check_names, is_named, json_object, moment, raw

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


class ConversationStore(EventStore, ItemStore):
    """Conversations, events and items in an SQLite file or a PostgreSQL database.

    Several threads and processes may use one store; what a method changed is on disk when it returns. A conversation
    belongs to an owner ("" where there is only one), and nobody else finds it.
    """

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

        The turn after the last one is added. The last one again, or one before it, if the same, is no change.

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
        """The number of the last turn, and when the conversation began: of two with one id, which. None: no such."""
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
        """(conversation, owner, user, bundle, UTC time, turn as JSON) of every turn since then, in no order."""
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

    def export(self, id: str, owner: str = "") -> dict[str, Any]:
        """All that is kept of a conversation, ready for JSON.

        Raises:
            UserError: as `load`.
        """
        return self.load(id, owner).model_dump(mode="json")

    def _delete(self, which: ColumnElement[bool]) -> int:
        with self._writing() as connection:
            count = connection.execute(delete(CONVERSATIONS).where(which)).rowcount  # their turns go with them
        self._wiped(count)
        return count

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
