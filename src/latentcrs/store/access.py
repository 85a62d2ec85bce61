"""Access to a store's database: opened, brought to this version, read and written in transactions of their own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from latentcrs.store.database import explained, for_reading, open_engine, place, store_url, wipe
from latentcrs.store.migrations import migrate

LOG = logging.getLogger("latentcrs.store")


class OpenedStore:
    """An SQLite file or a PostgreSQL database, made and brought to this version when it is opened."""

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

    @contextmanager
    def _leaving_out(self, what: str) -> Iterator[None]:
        """What cannot be read inside is left out."""
        try:
            yield
        except (ValueError, TypeError, ArithmeticError) as error:
            self.left_out(what, type(error).__name__)

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
