"""A server in a thread of this process, reached over the network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from latentcrs.serve.run import connections


@contextmanager
def listening(app: FastAPI) -> Iterator[int]:
    """The port at which `app` answers while the block lasts; connections wait until it has started."""
    config = uvicorn.Config(app, port=0, **connections())
    socket = config.bind_socket()
    socket.listen()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield socket.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        socket.close()
