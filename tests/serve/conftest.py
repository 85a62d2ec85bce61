"""A service over the small bundle of real people, and servers in this process: open ones, and ones with keys."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
import structlog
from listening import listening
from starlette.testclient import TestClient

from latentcrs.base.files import sha256_of
from latentcrs.serve.app import create_app
from latentcrs.serve.keys import new_key
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.store.conversations import ConversationStore

Serve = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def _brief_log() -> None:
    """Errors in the log as Python shows them: by default structlog writes out all that a frame holds, for seconds."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


@pytest.fixture(scope="session")
def service(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """One service for all tests that only begin conversations of their own."""
    opened = Service(bundle, ConversationStore(str(tmp_path_factory.mktemp("store") / "conversations.sqlite")))
    opened.warm()
    return opened


@pytest.fixture(scope="session")
def shop(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with a price of 10, a stock of 1, a picture and a page for each item."""
    out = shutil.copytree(bundle, tmp_path_factory.mktemp("shop") / "movies")
    items = pl.read_parquet(out / "items.parquet").with_columns(
        price=pl.lit(10.0),
        stock=pl.lit(1.0),
        cover=pl.format("https://img.example.org/{}.jpg", "item_id"),
        page=pl.format("https://shop.example.org/{}", "item_id"),
    )
    items.write_parquet(out / "items.parquet")
    manifest = json.loads((out / "bundle.json").read_text())
    manifest["dataset"]["columns"] |= {"price": "number", "stock": "number", "cover": "link", "page": "link"}
    manifest["checksums"]["items.parquet"] = sha256_of(out / "items.parquet")
    (out / "bundle.json").write_text(json.dumps(manifest))
    return out


@pytest.fixture
def fresh(bundle: Path, tmp_path: Path) -> Service:
    """A service with a store of its own."""
    return Service(bundle, ConversationStore(str(tmp_path / "conversations.sqlite")))


@pytest.fixture(scope="session")
def serve(bundle: Path) -> Iterator[Serve]:
    """Starts a server over a service in this process: `serve(service, turn_rate="2/minute")`; its client."""
    started: list[TestClient] = []

    def start(service: Service, raises: bool = True, **given: object) -> TestClient:
        settings = Settings.model_validate({"bundle": bundle, "page": False, **given})
        app = create_app(settings, service)
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=raises)
        client.__enter__()
        started.append(client)
        return client

    yield start
    for client in started:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def http(serve: Serve, service: Service) -> TestClient:
    """The client of an open server."""
    return serve(service, raises=False)


@pytest.fixture(scope="session")
def keyed(
    serve: Serve, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TestClient, dict[str, dict[str, str]]]:
    """The client of a server with keys, and the headers of two owners, alice and bob."""
    file = tmp_path_factory.mktemp("keys") / "keys.txt"
    headers = {name: {"Authorization": f"Bearer {new_key(file, name)}"} for name in ("alice", "bob")}
    return serve(service, raises=False, keys_file=file, turn_rate="off", request_rate="off"), headers


@pytest.fixture(scope="session")
def address(bundle: Path, service: Service) -> Iterator[str]:
    """The address of an open server that is reached over the network."""
    app = create_app(Settings(bundle=bundle, page=False, openai=False), service)
    with listening(app) as port:
        yield f"http://localhost:{port}"
