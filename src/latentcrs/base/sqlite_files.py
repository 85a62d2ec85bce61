"""SQLite files that several processes write at once."""

from sqlite3 import Connection

from tenacity import retry, retry_if_exception_message, stop_after_delay, wait_random

BUSY_SECONDS = 30.0
"""How long one process waits for another."""
# Two processes that make a file at once: SQLite reports these locks at once, without waiting its time-out.
patiently = retry(
    retry=retry_if_exception_message(match=r"(?s).*(locked|already exists)"),
    stop=stop_after_delay(BUSY_SECONDS),
    wait=wait_random(0.01, 0.05),
    reraise=True,
)


@patiently
def enter_wal(connection: Connection) -> None:
    """Have what is written go to a log ahead of the file, so that others read meanwhile."""
    connection.execute("PRAGMA journal_mode = WAL")
