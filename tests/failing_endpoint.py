"""A language model's endpoint in OpenAI's format that fails a share of its calls: runs as a process of its own.

What it does answer is the least that the schema asked for takes, or one sentence; of texts, embeddings that only
the texts decide.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

ANSWER_SECONDS = 0.05
SILENT_SECONDS = 3.0
FAILURES = ("500", "429", "dropped", "silent", "garbage")
"""How calls fail, in equal shares. dropped: the connection is closed. silent: nothing for `SILENT_SECONDS`, then the
same. garbage: 200, with half of an answer.
"""
EMBEDDING_WIDTH = 8
ANSWERED = "answered"
COUNTS = "/counts"


@contextmanager
def failing_endpoint(share: float) -> Iterator[FailingEndpoint]:
    """Runs the endpoint in a process of its own while the block lasts."""
    command = [sys.executable, __file__, str(share)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield FailingEndpoint(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.kill()
        process.wait()


class FailingEndpoint:
    """Where the endpoint listens, and what it has done so far."""

    def __init__(self, address: str) -> None:
        self.address = address

    @property
    def url(self) -> str:
        """Its base, as `--llm` takes it."""
        return f"{self.address}/v1"

    def counts(self) -> dict[str, int]:
        """Calls by what came of them: `ANSWERED` and `FAILURES`."""
        with httpx2.Client(trust_env=False) as client:
            return {name: int(count) for name, count in client.get(f"{self.address}{COUNTS}").json().items()}


def least(schema: dict[str, Any], definitions: dict[str, Any] | None = None) -> Any:
    """The least value that a JSON schema (of the kinds that `strict_schema` makes) takes."""
    known = schema.get("$defs", {}) if definitions is None else definitions
    if "$ref" in schema:
        return least(known[schema["$ref"].rsplit("/", 1)[-1]], known)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return least(schema["anyOf"][0], known)
    kind = schema["type"]
    if kind == "object":
        return {name: least(part, known) for name, part in schema["properties"].items()}
    if kind == "array":
        return [least(schema["items"], known)] * int(schema.get("minItems", 0))
    if kind == "string":
        return "x" * int(schema.get("minLength", 0))
    return {"boolean": False, "null": None}.get(kind, schema.get("minimum", 0))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, share: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.share, self.dice, self.lock = share, random.Random(0), threading.Lock()
        self.counts = Counter(dict.fromkeys((ANSWERED, *FAILURES), 0))

    def draw(self) -> str:
        """What becomes of the next call."""
        with self.lock:
            found = self.dice.choice(FAILURES) if self.dice.random() < self.share else ANSWERED
            self.counts[found] += 1
            return found

    def handle_error(self, *_: Any) -> None:
        """A client that gives up is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._send(200, json.dumps(self.server.counts).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        comes = self.server.draw()
        if comes in ("dropped", "silent"):
            time.sleep(SILENT_SECONDS if comes == "silent" else 0)
            self.close_connection = True
        elif comes in ("500", "429"):
            error = {"message": "this call fails", "type": "server_error", "code": None, "param": None}
            self._send(int(comes), json.dumps({"error": error}).encode())
        else:
            time.sleep(ANSWER_SECONDS)
            body = _embeddings(asked) if self.path.endswith("/embeddings") else _completion(asked)
            self._send(200, body[: len(body) // 2] if comes == "garbage" else body)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _completion(asked: dict[str, Any]) -> bytes:
    wanted = asked.get("response_format", {}).get("json_schema", {}).get("schema")
    text = "Here is what I found for you." if wanted is None else json.dumps(least(wanted))
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": len(str(asked["messages"])) // 4, "completion_tokens": len(text) // 4}
    usage["total_tokens"] = sum(usage.values())
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": asked["model"], "choices": [choice]}
    return json.dumps({**body, "usage": usage}).encode()


def text_vector(text: str) -> list[float]:
    """The embedding of a text here: `EMBEDDING_WIDTH` numbers."""
    dice = random.Random(text)
    return [dice.gauss(0, 1) for _ in range(EMBEDDING_WIDTH)]


def _embeddings(asked: dict[str, Any]) -> bytes:
    vectors = [{"object": "embedding", "index": n, "embedding": text_vector(t)} for n, t in enumerate(asked["input"])]
    usage = {"prompt_tokens": len(str(asked["input"])) // 4, "total_tokens": len(str(asked["input"])) // 4}
    return json.dumps({"object": "list", "model": asked["model"], "data": vectors, "usage": usage}).encode()


def main() -> None:
    """Print the port, then serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("share", type=float, help="the share of calls that fail, 0 to 1")
    server = _Server(parser.parse_args().share)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
