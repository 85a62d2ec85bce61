"""A real HTTP server that serves bytes with ranges, and misbehaves as it is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server serves, and how badly.

    cuts: bytes after which each of the first answers breaks off. statuses: answered first, one per request.
    """

    files: dict[str, bytes]
    etag: str | None = '"one"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Range) of every request


class RangeServer:
    """Runs in a thread at `url` while the block lasts."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(behaviour))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> RangeServer:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            behaviour.asked.append((self.path, wanted))
            if behaviour.statuses:
                self.answer(behaviour.statuses.pop(0), b"", {"Retry-After": "0"})
                return
            body = behaviour.files.get(self.path)
            if body is None:
                self.answer(404, b"nothing here", {})
                return
            headers = {"ETag": behaviour.etag} if behaviour.etag else {}
            valid = self.headers.get("If-Range") in (None, behaviour.etag)
            if wanted and behaviour.ranges and valid:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                    return
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                self.answer(206, body[start:], headers)
                return
            self.answer(200, body, headers)

        def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if status in (200, 206) and behaviour.cuts:
                body = body[: behaviour.cuts.pop(0)]
                self.close_connection = True
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
