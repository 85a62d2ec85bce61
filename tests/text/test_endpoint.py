"""A text encoder behind an embeddings endpoint: the right vectors, whatever the endpoint fails, refuses or lacks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from failing_endpoint import failing_endpoint, text_vector
from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.text import TextEncoder, embed, missing_texts, open_encoder
from latentcrs.text.endpoint import EndpointEncoder, open_endpoint


@dataclass
class Endpoint:
    """An embeddings endpoint with limits, and what it saw."""

    url: str = ""
    most: int = 10_000  # texts in one request
    longest: int = 1_000_000  # characters of one text
    key: str = ""
    seconds: float = 0.0  # that an answer takes
    backwards: bool = False  # whether it lists embeddings last first
    answer: dict[str, Any] | None = None  # in place of embeddings
    asked: list[list[str]] = field(default_factory=list)
    together: int = 0
    most_together: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, texts: list[str], authorization: str) -> tuple[int, dict[str, Any]]:
        with self.lock:
            self.asked.append(texts)
        if self.key and authorization != f"Bearer {self.key}":
            return 401, {"error": {"message": "wrong key"}}
        if len(texts) > self.most or "" in texts:
            return 422, {"error": {"message": f"at most {self.most} inputs, and none empty"}}
        if max(map(len, texts)) > self.longest:
            return 400, {"error": {"message": "an input has more tokens than the context length"}}
        if self.answer is not None:
            return 200, self.answer
        data = [{"object": "embedding", "index": n, "embedding": text_vector(t)} for n, t in enumerate(texts)]
        return 200, {"object": "list", "model": "m", "data": data[::-1] if self.backwards else data}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                state.together += 1
                state.most_together = max(state.most_together, state.together)
            time.sleep(state.seconds)
            status, body = state.reply(asked["input"], self.headers.get("Authorization", ""))
            with state.lock:
                state.together -= 1
            sent = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


TEXTS = [f"film number {n}" for n in range(300)]


def expected(texts: list[str]) -> NDArray[np.float64]:
    vectors = np.array([text_vector(text) for text in texts])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("backwards", [False, True])
def test_vectors_have_length_1_and_the_order_of_the_texts(endpoint: Endpoint, backwards: bool) -> None:
    endpoint.backwards = backwards
    encoder = open_encoder(f"{endpoint.url}#tiny")
    assert isinstance(encoder, TextEncoder)
    heard: list[int] = []
    np.testing.assert_allclose(encoder.encode(TEXTS, heard.append), expected(TEXTS), atol=1e-6)
    assert sum(heard) == len(TEXTS) and encoder.width == 8
    assert encoder.encode([]).shape == (0, 8)


def test_a_third_of_all_calls_may_fail() -> None:
    with failing_endpoint(0.33) as failing:
        encoder = EndpointEncoder(failing.url, "tiny", timeout=0.5)
        np.testing.assert_allclose(encoder.encode(TEXTS * 4), expected(TEXTS * 4), atol=1e-6)
        counts = failing.counts()
    assert counts["answered"] == 19 and sum(counts.values()) > 19


def test_no_more_requests_are_under_way_than_allowed(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.seconds = 0.05
    monkeypatch.setenv("LATENTCRS_EMBEDDINGS_AT_ONCE", "3")
    open_encoder(f"{endpoint.url}#tiny").encode(TEXTS * 3)
    assert endpoint.most_together == 3


def test_an_endpoint_that_takes_few_texts_at_once_is_sent_few(endpoint: Endpoint) -> None:
    endpoint.most = 20
    encoder = open_encoder(f"{endpoint.url}#tiny")
    np.testing.assert_allclose(encoder.encode(TEXTS), expected(TEXTS), atol=1e-6)
    endpoint.asked.clear()
    encoder.encode(TEXTS)
    assert {len(asked) for asked in endpoint.asked} <= set(range(1, 21))


def test_a_text_that_is_too_long_is_cut_and_the_others_are_not(endpoint: Endpoint) -> None:
    endpoint.longest = 200
    texts = [*TEXTS[:50], "long " * 200, *TEXTS[50:100]]
    encoder = EndpointEncoder(endpoint.url, "tiny")
    found = encoder.encode(texts)
    cut = ("long " * 200)[:125]
    np.testing.assert_allclose(found, expected([*TEXTS[:50], cut, *TEXTS[50:100]]), atol=1e-6)
    endpoint.asked.clear()
    encoder.encode(TEXTS[:64])
    assert [len(asked) for asked in endpoint.asked] == [64]  # one long text is no reason to send fewer


def test_an_empty_text_and_half_a_surrogate_pair_are_encoded(endpoint: Endpoint) -> None:
    found = open_encoder(f"{endpoint.url}#tiny").encode(["", "broken \ud83d emoji"])
    np.testing.assert_allclose(found, expected([" ", "broken ? emoji"]), atol=1e-6)


def test_the_key_comes_from_the_environment_and_is_never_told(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.key = "secret-1"
    with pytest.raises(UserError, match="wants a key in LATENTCRS_EMBEDDINGS_KEY"):
        open_encoder(f"{endpoint.url}#tiny").encode(["a"])
    monkeypatch.setenv("LATENTCRS_EMBEDDINGS_KEY", "secret-2")
    with pytest.raises(UserError, match="does not accept a key") as refused:
        open_encoder(f"{endpoint.url}#tiny").encode(["a"])
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("LATENTCRS_EMBEDDINGS_KEY", "secret-1")
    assert open_encoder(f"{endpoint.url}#tiny").encode(["a"]).shape == (1, 8)


def test_models_and_places_have_caches_of_their_own(endpoint: Endpoint, own_cache: Path) -> None:
    one, other = open_encoder(f"{endpoint.url}#org/one"), open_encoder(f"{endpoint.url}#org/two")
    assert one.id != other.id and one.id != open_encoder("https://elsewhere/v1#org/one").id
    assert "/" not in one.id and one.id == open_encoder(f"{endpoint.url}/embeddings#org/one").id
    embed(TEXTS, one)
    calls = len(endpoint.asked)
    embed(TEXTS, open_encoder(f"{endpoint.url}#org/one"))
    assert len(endpoint.asked) == calls
    assert missing_texts(TEXTS, other) == TEXTS


def test_a_data_set_that_is_embedded_already_asks_the_endpoint_nothing(
    endpoint: Endpoint, own_cache: Path, small_movielens: Path
) -> None:
    command = ["embed", str(small_movielens), "--encoder", f"{endpoint.url}#tiny", "--json"]
    widths = []
    for _ in range(2):
        calls = len(endpoint.asked)
        ran = CliRunner().invoke(app, command)
        assert ran.exit_code == 0, (ran.output, ran.exception)
        widths.append(json.loads(ran.stdout.splitlines()[-1])["width"])
    assert widths == [8, 8] and len(endpoint.asked) == calls


@pytest.mark.parametrize(
    "answer",
    [
        {"object": "list", "data": []},
        {"data": [{"index": 0, "embedding": [1.0, 0.0]}]},
        {"data": [{"index": n, "embedding": [0.0, 0.0]} for n in range(2)]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]},
        {"choices": []},
        [1, 2],
    ],
)
def test_an_answer_that_is_no_list_of_embeddings_is_one_sentence(endpoint: Endpoint, answer: Any) -> None:
    endpoint.answer = answer
    with pytest.raises(UserError, match="no list of embeddings") as refused:
        EndpointEncoder(endpoint.url, "tiny", retries=0).encode(["a", "b"])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("https://host/v1", "is no embeddings endpoint; write https://host/v1#MODEL"),
        ("https://#model", "is no embeddings endpoint"),
        ("https://me:secret@host/v1#model", "holds no password"),
    ],
)
def test_an_address_that_names_no_model_or_holds_a_password_is_refused(spec: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        open_endpoint(spec)


def test_an_endpoint_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(UserError, match="cannot be reached"):
        EndpointEncoder("http://127.0.0.1:9/v1", "tiny", retries=0).encode(["a"])
