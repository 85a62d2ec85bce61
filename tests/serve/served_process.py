"""The command `latentcrs serve` as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2

PATIENCE = 120.0


class Served:
    """A server process over one store, on a port that is free."""

    def __init__(self, bundle: Path, db: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-c", "from latentcrs.cli.main import main; main()", "serve", str(bundle)]
        where = ["--port", str(port), "--db", str(db), "--no-page"]
        self.address = f"http://127.0.0.1:{port}"
        self.log = db.with_name(f"{port}.log").open("wb")
        self.process = subprocess.Popen(
            [*command, *where, *options], stderr=self.log, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        deadline = time.monotonic() + PATIENCE
        while not self._ready():
            assert self.process.poll() is None and time.monotonic() < deadline, Path(self.log.name).read_text()
            time.sleep(0.1)

    def _ready(self) -> bool:
        try:
            return httpx2.get(f"{self.address}/health/ready").status_code == 200
        except httpx2.HTTPError:
            return False

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.log.close()
