"""SQLite files that several processes write at once: the token ledger and the completion cache."""

import logging
import threading
from pathlib import Path

from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.pool import NullPool

from latentcrs.base.sqlite_files import BUSY_SECONDS, patiently

LOG = logging.getLogger(__name__)


class SharedFile:
    """The SQLite file at `path`, opened at first use, shared by threads and processes; warns once that it fails."""

    tables: MetaData
    name: str

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine: Engine | None = None
        self._lock, self._warned = threading.Lock(), False

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = open_database(self.path, self.tables)
            return self._engine

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            LOG.warning("The %s %s cannot be used: %s", self.name, self.path, reason(error))


def reason(error: Exception) -> str:
    """What went wrong, without the statement that SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error)


def open_database(path: Path, tables: MetaData) -> Engine:
    """The SQLite file at `path` in WAL mode, made with its folder and `tables` where it is missing.

    Raises:
        OSError, sqlalchemy.exc.SQLAlchemyError: it cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A connection per transaction: nothing is shared by threads or inherited by a child process.
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS}, poolclass=NullPool)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = NORMAL"))
    _create(engine, tables)
    return engine


@patiently
def _create(engine: Engine, tables: MetaData) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    tables.create_all(engine)
