"""Where conversations are kept: the address of an SQLite file or a PostgreSQL database, and how each is opened."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import platformdirs
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from latentcrs.base.errors import UserError
from latentcrs.base.sqlite_files import BUSY_SECONDS, enter_wal

VARIABLE = "LATENTCRS_STORE"
CONNECTION = {"connect_timeout": 10, "client_encoding": "utf8"}
"""What PostgreSQL's driver is told unless the URL says otherwise. connect_timeout: seconds."""
WANTED = "a path, sqlite:///conversations.sqlite, or postgresql+psycopg://user:password@host/database"


class StoreUnavailable(UserError):
    """The database does not answer, or its file cannot be used: no fault of what was asked of it."""


def store_url(address: str = "") -> URL:
    """The address of a store: a URL, or a path of SQLite's. By default `LATENTCRS_STORE`, else in the data folder.

    Raises:
        UserError: no such kind of database, or no readable URL.
    """
    address = address or os.environ.get(VARIABLE, "")
    if not address:
        address = str(Path(platformdirs.user_data_dir("latentcrs")) / "conversations.sqlite")
    if "://" not in address:
        return _file(address)
    scheme = address.split("://")[0]
    if scheme in ("sqlite", "sqlite+pysqlite"):
        return _file(_parsed(address).database or "")
    if scheme not in ("postgresql", "postgresql+psycopg"):
        raise UserError(f"Conversations cannot be kept in {scheme!r}; give {WANTED} (or set {VARIABLE} to it).")
    url = _parsed(address)
    if "@" in f"{url.host}{url.database}":
        raise UserError(
            "The URL of the conversation store cannot be read: special characters in its password are written as "
            "in %40 for @ and %2F for /."
        )
    return url.set(drivername="postgresql+psycopg")


def place(url: URL) -> str:
    """A store's address in words, without user and password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"postgresql://{url.host or 'localhost'}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def open_engine(url: URL) -> Engine:
    """Connections to a store. A transaction in SQLite takes the file for writing when it begins, unless the
    connection's option `begin` says otherwise (`"BEGIN"` for one that reads, `""` for none).

    Raises:
        UserError: the driver of PostgreSQL is missing.
        OSError: the folder or the file cannot be made.
    """
    if url.get_backend_name() != "sqlite":
        try:
            given = {name: value for name, value in CONNECTION.items() if name not in url.query}
            return create_engine(url, connect_args=given, pool_pre_ping=True, hide_parameters=True)
        except ImportError:
            raise UserError(
                "Conversations in PostgreSQL need the package psycopg; install it: pip install 'latentcrs[postgres]'"
            ) from None
    path = Path(str(url.database))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)  # what people said is for nobody else on this machine
    # A file that was removed is not made again: what is kept in it would be in another than all others read.
    there = f"file:{quote(str(path))}?mode=rw"

    def connected() -> sqlite3.Connection:
        return sqlite3.connect(there, timeout=BUSY_SECONDS, check_same_thread=False, uri=True)

    engine = create_engine(url, creator=connected, hide_parameters=True)
    files = _Files(path)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "begin", files.check)
    event.listen(engine, "engine_disposed", files.closed)
    return engine


def for_reading(engine: Engine) -> Engine:
    """`engine` with transactions that see one state of the database and keep nobody from writing."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(begin="BEGIN")
    return engine.execution_options(isolation_level="REPEATABLE READ")


def wipe(engine: Engine) -> None:
    """Take what was deleted out of SQLite's write-ahead log, too."""
    if engine.dialect.name == "sqlite":
        with engine.execution_options(begin="").connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """What goes wrong with the database inside becomes a `StoreUnavailable` that says where."""
    try:
        yield
    except (SQLAlchemyError, OSError, UnicodeEncodeError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0].rstrip(".")
        if url.password:
            reason = reason.replace(str(url.password), "***")
        if "database is locked" in reason:
            remedy = "another process is writing it; try again when that is done"
        elif url.get_backend_name() == "sqlite":
            remedy = f"check the file and its folder, or name another file (or set {VARIABLE} to one)"
        else:
            remedy = "check that the server runs, and the user, password and database in the URL"
        raise StoreUnavailable(f"The conversation store {place(url)} cannot be used ({reason}); {remedy}.") from None


class _Files:
    """The files of an SQLite database, as the system knows them: their names may lead to others by and by, while what
    is open stays the same. The log that is written ahead is there as long as anybody has the database open.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._log_path = path, Path(f"{path}-wal")
        self._main = _known_as(path)
        self._log: tuple[int, int] | None = None

    def check(self, connection: Connection) -> None:
        """Find that what is open is still what lies there.

        Raises:
            OSError: it was removed, or another was put in its place.
        """
        log = _known_as(self._log_path)
        self._log = self._log or log
        if _known_as(self._path) != self._main or log != self._log:
            raise OSError("its file was removed or replaced while it was open")

    def closed(self, engine: Engine) -> None:
        """Nothing is open any longer; the next to open makes a log of its own."""
        self._log = None


def _known_as(path: Path) -> tuple[int, int] | None:
    """Device and number of a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _file(path: str) -> URL:
    if path in ("", ":memory:") or path.startswith("file:"):
        raise UserError(f"A conversation store in SQLite wants a file, not {path!r}; give {WANTED}.")
    return URL.create("sqlite", database=str(Path(path).expanduser().absolute()))


def _parsed(address: str) -> URL:
    try:
        return make_url(address)
    except (ArgumentError, ValueError):  # whose words may repeat the password
        raise UserError(f"The URL of the conversation store cannot be read; give {WANTED}.") from None


def _prepare(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions begin in `_begin`, so that they hold changes of tables too
    enter_wal(connection)
    connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA foreign_keys = {'ON' if options.get('foreign_keys', True) else 'OFF'}")
    begin = options.get("begin", "BEGIN IMMEDIATE")
    if begin:
        connection.exec_driver_sql(begin)
