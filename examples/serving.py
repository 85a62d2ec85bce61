"""Starts `latentcrs serve` for a script, and ends it with the script."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2


@contextmanager
def serving(bundle: str) -> Iterator[str]:
    """The address of a server of this bundle, on a free port, with a store of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--db", f"{folder}/conversations.db", "--no-page"]
        server = subprocess.Popen(["latentcrs", "serve", bundle, *options])
        try:
            while not ready(address):
                if server.poll() is not None:
                    raise SystemExit(server.returncode)
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            server.wait()


def ready(address: str) -> bool:
    """Whether the server has loaded its models."""
    try:
        return httpx2.get(f"{address}/health/ready").status_code == 200
    except httpx2.TransportError:
        return False
