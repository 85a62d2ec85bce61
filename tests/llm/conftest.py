"""The embedded language model, in this process and served on loopback; and a server that misbehaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from misbehaving_server import MisbehavingServer

from latentcrs.llm.local_model import LocalModel
from local_endpoint import serve_local


@pytest.fixture(scope="session")
def local_model(smollm2: Path) -> LocalModel:
    """The embedded model in this process, loaded once."""
    return LocalModel(smollm2, timeout=300)


@pytest.fixture(scope="session")
def served(smollm2: Path) -> Iterator[str]:
    """The address of the embedded model, served as an OpenAI-compatible endpoint."""
    with serve_local(path=smollm2) as url:
        yield url


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    """A server that answers as the test tells it."""
    with MisbehavingServer() as running:
        yield running
