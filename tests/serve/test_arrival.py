"""Requests that do not arrive, and answers that nobody reads: each is let go, and nobody else waits for it."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI, WebSocket
from listening import listening
from starlette.responses import StreamingResponse

from latentcrs.serve import arrival, run
from latentcrs.serve.app import create_app
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings

POST = b"POST /api/v1/conversations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALVES = {
    "nothing": b"",
    "a method": b"PO",
    "no end of the headers": POST,
    "no end of a header": POST + b"X-Long: aaaa",
    "no body": POST + b"Content-Length: 10\r\n\r\n",
    "half a body": POST + b"Content-Length: 10\r\n\r\n{",
    "half a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
    "chunks without end": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    "a body that nobody reads": WHOLE[:-2] + b"Content-Length: 10\r\n\r\n{",
    "a body too large": POST + b"Content-Length: 99999999\r\n\r\n{",
    "half of a second request": WHOLE + b"GET /health HTT",
}
GIVEN_UP = 20.0
LARGE = 48 << 20


@pytest.fixture(scope="module")
def port(bundle: Path, service: Service) -> Iterator[int]:
    app = create_app(Settings(bundle=bundle, page=False), service)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrival, "SECONDS", 0.3)
        patch.setattr(run, "KEEP_ALIVE_SECONDS", 2)
        with listening(app) as at:
            yield at


@pytest.fixture
def connect(port: int) -> Iterator[Callable[[], socket.socket]]:
    with ExitStack() as opened:
        yield lambda: opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=GIVEN_UP))


def rest(connection: socket.socket) -> bytes:
    """What is answered until the server closes; an error where it never does."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionError:
        pass
    return found


def dribble(connection: socket.socket) -> None:
    """Send a little now and then, as long as the server takes it."""
    for _ in range(int(GIVEN_UP / 0.05)):
        connection.sendall(b"a")
        time.sleep(0.05)


@pytest.mark.parametrize("half", HALVES)
def test_half_a_request_is_let_go(connect: Callable[[], socket.socket], half: str) -> None:
    for dribbles in (False, True):
        connection = connect()
        connection.sendall(HALVES[half])
        if dribbles:
            with pytest.raises(OSError):
                dribble(connection)
        else:
            answered = rest(connection)
            assert b" 408 " in answered or b" 413 " in answered or b" 200 " in answered


def test_headers_without_end_are_refused(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    try:
        for _ in range(100):
            connection.sendall(b"X" * 65536)
        pytest.fail("six megabytes of a header were taken")
    except OSError:
        pass


def test_many_half_requests_keep_nobody_out(connect: Callable[[], socket.socket], port: int) -> None:
    halves = [connect() for _ in range(300)]
    for connection, half in zip(halves, list(HALVES.values()) * 300, strict=False):
        connection.sendall(half)
    with httpx2.Client(base_url=f"http://localhost:{port}") as client:
        assert client.get("/health/live").status_code == 200
        assert client.post("/api/v1/conversations", json={}).status_code == 201
        for connection in halves:
            rest(connection)
        assert client.get("/health/live").status_code == 200


def test_a_connection_that_is_kept_and_a_turn_that_takes_long_are_not_let_go(
    connect: Callable[[], socket.socket], port: int
) -> None:
    connection = connect()
    for _ in range(3):
        connection.sendall(WHOLE)
        answered = connection.recv(65536)
        assert b" 200 " in answered and b" 408 " not in answered
        time.sleep(2 * arrival.SECONDS)
    with httpx2.Client(base_url=f"http://localhost:{port}", timeout=GIVEN_UP) as client:
        at = f"/api/v1/conversations/{client.post('/api/v1/conversations', json={}).json()['id']}/turns"
        parts = [b'{"utterance": ', b'"a comedy"', b"}"]
        slow = (time.sleep(0.4 * arrival.SECONDS / len(parts)) or part for part in parts)
        answer = client.post(at, content=slow, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200 and answer.json()["utterance"] == "a comedy"


def test_a_websocket_is_not_let_go(port: int) -> None:
    client = pytest.importorskip("websockets.sync.client")
    app = FastAPI()

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text(await websocket.receive_text())

    with listening(app) as at, client.connect(f"ws://127.0.0.1:{at}/echo") as connection:
        for words in ("one", "two"):
            connection.send(words)
            assert connection.recv(timeout=GIVEN_UP) == words
            time.sleep(2 * arrival.SECONDS)


def got_after(read: Callable[[socket.socket], int]) -> int:
    """How many bytes a client gets of an answer of `LARGE` bytes, when `read` has got the first of them."""
    app = FastAPI()

    @app.get("/large")
    async def much() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(LARGE >> 16):
                yield bytes(1 << 16)

        return StreamingResponse(pieces())

    with pytest.MonkeyPatch.context() as patch, listening(app) as at:
        patch.setattr(arrival, "UNREAD_SECONDS", 3.0)
        with socket.create_connection(("127.0.0.1", at), timeout=GIVEN_UP) as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return read(connection) + len(rest(connection))


def test_an_answer_that_nobody_reads_is_let_go_and_one_that_is_read_slowly_is_not() -> None:
    def nothing(connection: socket.socket) -> int:
        time.sleep(4)
        return 0

    def slowly(connection: socket.socket) -> int:
        got, until = 0, time.monotonic() + 4
        while time.monotonic() < until:
            got += len(connection.recv(1 << 18))
            time.sleep(0.05)
        return got

    assert got_after(nothing) < LARGE <= got_after(slowly)
