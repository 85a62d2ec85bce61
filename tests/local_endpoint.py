"""A language model of this process, served as an OpenAI-compatible endpoint to tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latentcrs.llm.local_model import start_server


@contextmanager
def serve_local(path: Path) -> Iterator[str]:
    """Serve the model in the file `path` at a free port of this machine within the block: yields its base URL."""
    server = start_server(path)
    yield f"{server.listening_address}/v1"
    del server  # stops it
