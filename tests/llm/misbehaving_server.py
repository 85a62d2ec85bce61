"""A real HTTP server that answers chat completions as it is told: well, badly, late or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG = -1.0


@dataclass
class Answer:
    """One answer. delay: seconds before it, HANG for never. missing: bytes promised and not sent. dribble: send a
    space every so many seconds instead of a body, without end.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    missing: int = 0
    dribble: float = 0.0
    kind: str = "application/json"


@dataclass
class Asked:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


def whole(text: str | None, reason: str = "stop", usage: Any = (7, 3), **message: Any) -> Answer:
    """A chat completion in one piece."""
    counted = (
        None if usage is None else {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": 10}
    )
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text, **message}}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "tiny-1", "choices": [choice]}
    return Answer(json.dumps({**body, "usage": counted}).encode())


def stream(
    pieces: Sequence[str], reason: str | None = "stop", tail: Sequence[dict[str, Any]] = (), **rest: Any
) -> Answer:
    """A chat completion as server-sent events; `tail` are chunks behind its text."""

    def chunk(**choice: Any) -> dict[str, Any]:
        choices = [{"index": 0, "finish_reason": None, "delta": {}, **choice}]
        return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-1", "choices": choices}

    chunks = [chunk(delta={"content": piece}) for piece in pieces]
    if reason is not None:
        usage = {"prompt_tokens": 7, "completion_tokens": len(pieces), "total_tokens": 7 + len(pieces)}
        chunks += [chunk(finish_reason=reason), {**chunk(), "choices": [], "usage": usage}]
    events = [f"data: {json.dumps(each)}\n\n" for each in [*chunks, *tail]]
    if reason is not None:
        events.append("data: [DONE]\n\n")
    return Answer("".join(events).encode(), kind="text/event-stream", **rest)


def refusal(status: int, message: str, **error: Any) -> Answer:
    """An error as OpenAI words it."""
    return Answer(json.dumps({"error": {"message": message, **error}}).encode(), status)


class MisbehavingServer:
    """Runs in a thread at `url` while the block lasts; gives `answers` in turn, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _QuietServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> MisbehavingServer:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float) -> bool:
        """Wait, but not beyond the server's end; whether it has ended."""
        return self._closing.wait(None if seconds == HANG else seconds)

    def next_answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def answered(self) -> None:
        with self._lock:
            self._at_once -= 1


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that gives up is no error here."""


def _handler(server: MisbehavingServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = server.next_answer(
                Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            )
            if answer.delay and server.wait(answer.delay):
                self.close_connection = True
                return
            server.answered()  # before the client can ask anew
            self.send_response(answer.status)
            length = 10**6 if answer.dribble else len(answer.body) + answer.missing
            for name, value in {"Content-Type": answer.kind, "Content-Length": str(length), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                while answer.dribble and not server.wait(answer.dribble):
                    self.wfile.write(b" ")
                self.wfile.write(answer.body)
            except OSError:  # the client has given up
                pass
            if answer.missing or answer.dribble:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler
