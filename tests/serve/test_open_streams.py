"""Streams that are opened in great number and not read: nobody else waits, no turn is lost, nothing stays open.

`LATENTCRS_STREAMS` says how many are opened (40 by default).
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from typing import cast

import httpx2
import psutil
import pytest
from served_process import Served

from latentcrs.serve.client import Client
from latentcrs.serve.keys import new_key

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows counts no open files")
STREAMS = int(os.environ.get("LATENTCRS_STREAMS", "40"))
KEYS = 4
"""Who open the streams."""
KEPT = 10
"""Files that its connections to the store may have open beside those of the first turn."""
PATIENCE = 120.0
END = b"0\r\n\r\n"
"""Of an answer in chunks."""


def stream(port: int, path: str, key: str, body: object) -> socket.socket:
    """A connection over which a stream is asked for, of which the client's system takes a few thousand bytes."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nAccept: text/event-stream\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection


def read_slowly(connections: list[socket.socket]) -> list[bytes]:
    """What comes on each connection until its answer's end, a few bytes at a time."""
    found = dict.fromkeys(connections, b"")
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        until = time.monotonic() + PATIENCE
        while selector.get_map():
            assert time.monotonic() < until, f"{len(selector.get_map())} streams never end"
            for key, _ in selector.select(1):
                connection = cast(socket.socket, key.fileobj)
                piece = connection.recv(512)
                found[connection] += piece
                if not piece or found[connection].endswith(END):
                    selector.unregister(connection)
            time.sleep(0.01)
    return list(found.values())


def test_streams_that_nobody_reads_hold_up_nobody_lose_no_turn_and_leave_nothing_open(
    bundle: Path, tmp_path: Path
) -> None:
    file = tmp_path / "keys.txt"
    keys = [new_key(file, f"crowd-{number}") for number in range(KEYS)]
    other = new_key(file, "other")
    server = Served(
        bundle, tmp_path / "conversations.sqlite", f"--keys-file={file}", "--turn-rate=off", "--request-rate=off"
    )
    try:
        crowd = [Client(server.address, key) for key in keys]
        person = Client(server.address, other, timeout=PATIENCE)
        talk = person.begin()
        person.say(talk, "a comedy")
        open_before = psutil.Process(server.process.pid).num_fds()
        port = int(server.address.rpartition(":")[2])
        streams: dict[str, socket.socket] = {}
        for number in range(STREAMS):
            key, words = keys[number % KEYS], f"a comedy, and {number}"
            if number % 2:
                at = f"/api/v1/conversations/{crowd[number % KEYS].begin()}/turns"
                streams[words] = stream(port, at, key, {"utterance": words})
            else:
                said = [{"role": "user", "content": words}]
                streams[words] = stream(
                    port, "/v1/chat/completions", key, {"model": bundle.name, "stream": True, "messages": said}
                )
        for number in (2, 3):  # while they are open
            assert httpx2.get(f"{server.address}/health/ready", timeout=PATIENCE).status_code == 200
            assert person.say(talk, f"from the 90s, and {number}").number == number
        for words in [*streams][::4]:
            streams.pop(words).close()
        told = dict(zip(streams, read_slowly([*streams.values()]), strict=True))
        kept = Counter(summary.words for client in crowd for summary in client.conversations() if summary.turns == 1)
        for words, answer in told.items():
            assert b"event: turn\n" in answer or b"data: [DONE]" in answer, answer
            assert kept[words] == 1
        assert max(kept.values()) == 1  # where the client has gone: once, or not at all
        for connection in streams.values():
            connection.close()
        for client in [*crowd, person]:
            client.close()
        process, until = psutil.Process(server.process.pid), time.monotonic() + PATIENCE
        while any(one.status != psutil.CONN_LISTEN for one in process.net_connections()):
            assert time.monotonic() < until, process.net_connections()
            time.sleep(0.1)
        assert process.num_fds() <= open_before + KEPT
        assert "Traceback" not in Path(server.log.name).read_text("utf-8")
    finally:
        server.end(signal.SIGTERM)
