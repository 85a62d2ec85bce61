"""Starts and ends PySpark for preparing: its session, its settings, its workspace, and why it cannot start."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.places import file_system, is_url
from latentcrs.data.engine import Engine
from latentcrs.data.spark import SparkEngine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WANTED = "--engine spark wants"
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.log.level": "ERROR",
}
LOCAL = {"spark.driver.host": "127.0.0.1", "spark.sql.shuffle.partitions": "8"}
"""Laid below what the user sets; `LOCAL` where there is no cluster."""


@contextmanager
def spark_engine(master: str, work: str | None = None, settings: Mapping[str, str] | None = None) -> Iterator[Engine]:
    """PySpark with a session of its own, and a folder in `work` that is removed at the end.

    Args:
        master: local[N], or the URL of a cluster.
        work: a URL or path that this process and every worker can reach; None is a temporary folder, which is
            enough for a local master.
        settings: of Spark, over `SETTINGS`.

    Raises:
        UserError: PySpark or Java is missing, or the session cannot be started.
    """
    if work is None and not master.startswith("local"):
        raise UserError(f"{WANTED} --work URL with --master {master}: a folder that every worker can reach.")
    with tempfile.TemporaryDirectory(prefix="latentcrs-spark-") as home:
        session = open_session(master, Path(home), settings or {})
        place = f"{(work or home).rstrip('/')}/latentcrs-{uuid.uuid4().hex[:12]}"
        if not is_url(place):
            place = str(Path(place).absolute())
        try:
            yield SparkEngine(session, place)
        finally:
            session.stop()
            system, path = file_system(place)
            if system.exists(path):
                system.rm(path, recursive=True)


def open_session(master: str, home: Path, settings: Mapping[str, str]) -> SparkSession:
    """A session of Spark whose own log goes to a file in `home`."""
    try:
        import pandas  # noqa: F401
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise UserError(f"{WANTED} the package {error.name}: pip install 'latentcrs[spark]'.") from None
    # Only Arrow passes through it here.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else None
    if shutil.which(str(java) if java else "java") is None:
        where = f"JAVA_HOME ({java.parent.parent})" if java else "the PATH"
        raise UserError(f"{WANTED} Java 17 or later, and {where} has none.")
    for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        os.environ.setdefault(name, sys.executable)
    builder = SparkSession.builder.master(master).appName("latentcrs")
    local = LOCAL if master.startswith("local") else {}
    for key, value in {**SETTINGS, **local, **settings}.items():
        builder = builder.config(key, value)
    log = home / "spark.log"
    with quiet(log):
        try:
            session = builder.getOrCreate()
        except Exception as error:
            raise UserError(f"Spark cannot be started with --master {master}: {reason(error, log)}.") from None
    return session


@contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Standard error goes to `log`, for the processes that are started meanwhile too: Java is talkative."""
    sys.stderr.flush()
    kept = os.dup(2)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def reason(error: Exception, log: Path) -> str:
    """Why Spark did not start: the first thing that went wrong by its own log, else the error itself."""
    lines = log.read_text("utf-8", "replace").splitlines()
    said = [line for line in lines if re.search(r" ERROR |[Ee]xception|^Error", line)]
    # Without the date and the level before the message.
    words = re.sub(r"^\S+ \S+ ERROR ", "", said[0]) if said else first_line(error)
    return words.strip().rstrip(".!")
