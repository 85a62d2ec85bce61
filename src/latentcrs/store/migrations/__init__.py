"""How a conversation store of an older version becomes one of this version, with Alembic."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from sqlalchemy import Connection, Engine, column, func, inspect, select, table

from latentcrs.base.errors import UserError
from latentcrs.store.tables import SCHEMA, VERSIONS

if TYPE_CHECKING:
    from alembic.config import Config

POSTGRESQL_LOCK = 0x1A7E_C425
"""The advisory lock that a process holds while it migrates a PostgreSQL database."""


def migrate(engine: Engine, place: str) -> None:
    """Bring the tables of a database to this version in one transaction; nothing happens where they are. Several
    processes may do so at once.

    Raises:
        UserError: a newer version made them, they are something else's, or the database takes no Unicode.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be read or written.
    """
    with engine.execution_options(begin="BEGIN").connect() as connection:
        if version_of(connection) == SCHEMA:
            return
    # Foreign keys rest meanwhile: SQLite changes a table by replacing it, which would delete all that refers to it.
    with engine.execution_options(foreign_keys=False).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(POSTGRESQL_LOCK)))
        _upgrade(connection, place)


def version_of(connection: Connection) -> str | None:
    """The migration a database is at; None where it is empty or was made by no migration."""
    if not inspect(connection).has_table(VERSIONS):
        return None
    return connection.execute(select(column("version_num")).select_from(table(VERSIONS))).scalar()


def configuration(connection: Connection | None = None, dialect: str = "", output: TextIO | None = None) -> Config:
    """Alembic's configuration: for a connection, or without one for the SQL of a dialect, written to `output`."""
    from alembic.config import Config

    config = Config(output_buffer=output, stdout=sys.stdout)  # by default what it was when Alembic was imported
    config.set_main_option("script_location", "latentcrs.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, dialect=dialect)
    return config


def _upgrade(connection: Connection, place: str) -> None:
    from alembic import command  # half a second, and needed only where something is to be done
    from alembic.script import ScriptDirectory

    config, version = configuration(connection), version_of(connection)
    if version is None:
        others = [name for name in inspect(connection).get_table_names() if name != VERSIONS]
        if others:
            raise UserError(
                f"{place} holds something else (a table {others[0]!r}), no conversations; give the conversation "
                "store a file or a database of its own."
            )
        _check_encoding(connection, place)
    elif version not in {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}:
        raise UserError(
            f"{place} was written by a newer version of LatentCRS (its tables are at {version!r}, this version knows "
            f"{SCHEMA!r}); upgrade LatentCRS, or name another conversation store."
        )
    command.upgrade(config, "head")


def _check_encoding(connection: Connection, place: str) -> None:
    """What people say is Unicode; a PostgreSQL that was set up without a locale keeps bytes of no known encoding."""
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise UserError(
            f"{place} is a database in {encoding}, and conversations are kept in UTF8; make another: createdb "
            "--encoding UTF8 --template template0 NAME"
        )
