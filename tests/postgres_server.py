"""Databases on a real PostgreSQL server: the one that `LATENTCRS_TEST_POSTGRES` names, started by `.ci/postgres`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, create_engine, make_url

VARIABLE = "LATENTCRS_TEST_POSTGRES"


@contextmanager
def new_database(options: str = "") -> Iterator[str]:
    """The URL of an empty database, which is gone afterwards. `options`: of `CREATE DATABASE`.

    Without a server the test is skipped on a developer's machine and fails in CI (the variable `CI` is set), where a
    silent skip would hide that nothing was tested.
    """
    server = os.environ.get(VARIABLE)
    if not server:
        reason = f"there is no PostgreSQL server: run this as '.ci/postgres pytest …', or set {VARIABLE} to its URL"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    name = f"test_{uuid.uuid4().hex}"
    engine = administered(server)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} {options}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")  # whoever is still connected
        engine.dispose()


def administered(url: str) -> Engine:
    """Connections for statements that stand outside every transaction."""
    driver = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(driver, isolation_level="AUTOCOMMIT")
