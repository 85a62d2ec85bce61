"""The real server as a process of its own, over a store that outlives it."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2

from latentcrs.base.errors import UserError

PATIENCE = 300.0
"""Seconds that a server may take until it is ready."""
LOOKED_EVERY = 0.02
SAMPLED_EVERY = 0.2
COMMAND = (sys.executable, "-c", "from latentcrs.cli.main import main; main()")
OF_THE_USER = ("LATENTCRS_KEYS", "LATENTCRS_LLM_URL", "LATENTCRS_LLM_KEY", "LATENTCRS_COMPLETIONS")
"""Variables that would make it another server than the one that is measured."""


class ServerProcess:
    """`latentcrs serve` with one worker, no page and no keys, on a free port; store and log lie in `folder`."""

    def __init__(self, bundle: str | Path, folder: Path, options: Sequence[str] = ()) -> None:
        """Raises:
        UserError: psutil is missing.
        """
        try:
            import psutil
        except ImportError:
            raise UserError("the benchmark needs psutil: pip install 'latentcrs[dev]'.") from None
        self._observed, self._gone = psutil.Process, psutil.Error
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.store = folder / "store" / "conversations.sqlite"
        self.log = folder / "server.log"
        given = ["--port", str(port), "--workers", "1", "--no-page", "--db", str(self.store), *options]
        self._command = [*COMMAND, "serve", str(bundle), *given]
        kept = {name: value for name, value in os.environ.items() if name not in OF_THE_USER}
        own = {"LATENTCRS_LEDGER": str(folder / "ledger.sqlite"), "LATENTCRS_LLM_MODEL": "bench"}
        self._environment = kept | own | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        self._process: subprocess.Popen[bytes] | None = None
        self.peak_mib = 0.0

    async def start(self) -> tuple[float, float]:
        """Start it; seconds until it was live, and until it was ready.

        Raises:
            UserError: it ended, or took longer than `PATIENCE`.
        """
        began = time.perf_counter()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log, env=self._environment)
        live = await self._until("/health/live", began)
        return live, await self._until("/health/ready", began)

    async def _until(self, path: str, began: float) -> float:
        async with httpx2.AsyncClient(base_url=self.address, trust_env=False) as client:
            while True:
                try:
                    if (await client.get(path)).status_code == 200:
                        return time.perf_counter() - began
                except httpx2.HTTPError:
                    pass
                self.must_run()
                if time.perf_counter() - began > PATIENCE:
                    raise UserError(f"The server is not ready after {PATIENCE:.0f} seconds: {self._last_words()}")
                await asyncio.sleep(LOOKED_EVERY)

    def must_run(self) -> None:
        """Raises:
        UserError: it has ended.
        """
        if self._process is not None and self._process.poll() is not None:
            raise UserError(f"The server ended: {self._last_words()}")

    def _last_words(self) -> str:
        return "".join(self.log.read_text("utf-8", "replace").strip().splitlines()[-1:]) or "it said nothing."

    async def watch(self) -> None:
        """Keep `peak_mib`, its highest resident memory, until cancelled."""
        while True:
            try:
                if self._process is not None:
                    resident = self._observed(self._process.pid).memory_info().rss
                    self.peak_mib = max(self.peak_mib, resident / 2**20)
            except self._gone:  # it was killed
                pass
            await asyncio.sleep(SAMPLED_EVERY)

    @property
    def processor_seconds(self) -> float:
        """Processor time that it has taken since it was started, of all its threads."""
        if self._process is None:
            return 0.0
        times = self._observed(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def store_as_it_is(self, folder: Path) -> Path:
        """A copy of the store's files, with whatever is in them now; where it lies."""
        shutil.copytree(self.store.parent, folder)
        return folder / self.store.name
