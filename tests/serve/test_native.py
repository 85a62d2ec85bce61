"""The native API as a program uses it: turns, streams, problems, limits, logs, figures, and the Python client."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import pytest
import structlog
from starlette.testclient import TestClient

from latentcrs.base.files import sha256_of
from latentcrs.data.rules import Rule
from latentcrs.llm import ChatRequest, Completion, ModelError
from latentcrs.llm.model import Outcome
from latentcrs.serve.client import Client, ServerProblem, _listened
from latentcrs.serve.observe import Metrics, ObservedModel, log_as_json
from latentcrs.serve.service import Service
from latentcrs.store.session import Turn

Serve = Callable[..., TestClient]
COMEDY = {"column": "genres", "op": "has any", "value": ["Comedy"]}


def begun(http: TestClient, **given: Any) -> str:
    answer = http.post("/api/v1/conversations", json=given)
    assert answer.status_code == 201, answer.text
    id = str(answer.json()["id"])
    assert answer.headers["location"] == f"/api/v1/conversations/{id}"
    return f"/api/v1/conversations/{id}"


def problem(answer: Any, status: int, detail: str = "") -> dict[str, Any]:
    """The problem document of an answer, which must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert said["status"] == status and said["title"] and said["type"] == "about:blank"
    assert said["request_id"] == answer.headers["x-request-id"]
    assert detail in said["detail"]
    return said


def events(text: str) -> list[tuple[str, Any]]:
    """The server-sent events of a stream: name and data."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n") if not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_a_whole_conversation(http: TestClient, ids: Callable[[str], str]) -> None:
    at = begun(http, user="5", likes=["toy story"], k=3)
    first = http.post(f"{at}/turns", json={"utterance": "a comedy from the 90s"}).json()
    assert (
        first["number"] == 1
        and len(first["items"]) == 3
        and first["rules"] == ["genres: Comedy", "year 1990 to 1999"]
    )
    assert http.post(f"{at}/marks", json={"kind": "refuse", "places": [0, 1]}).json()["kind"] == "command"
    assert http.delete(f"{at}/rules/0").json()["rules"] == ["year 1990 to 1999"]
    assert http.post(f"{at}/rules", json={"rule": COMEDY, "soft": True}).json()["wishes"] == ["genres: Comedy"]
    assert http.put(f"{at}/variant", json={"variant": "b"}).json()["rules"] == []
    assert len(http.get(f"{at}/intents").json()) > 1
    stored = http.get(at).json()
    assert [turn["number"] for turn in stored["turns"]] == [1, 2, 3, 4, 5]
    assert stored["session"]["history"][-1] == ids("Toy Story")
    assert stored["id"] in [found["id"] for found in http.get("/api/v1/conversations", params={"user": "5"}).json()]
    again = http.post(f"{at}/again").json()["id"]
    assert http.get(f"/api/v1/conversations/{again}").json()["turns"] == []
    assert http.delete(at).status_code == 204
    problem(http.get(at), 404, "There is no conversation")
    problem(http.delete(at), 404)


def test_a_stream_says_the_text_then_the_turn(http: TestClient) -> None:
    at = begun(http)
    answer = http.post(f"{at}/turns", json={"utterance": "a western"}, headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    (said, text), (last, turn) = events(answer.text)
    assert (said, last) == ("text", "turn") and turn["text"] == text["text"] and turn["items"]
    refused = http.post(
        "/api/v1/conversations/none/turns", json={"utterance": "x"}, headers={"Accept": "text/event-stream"}
    )
    problem(refused, 404)


class Slow:
    """A chat model that writes a reply word by word, or fails."""

    id = "slow"

    def __init__(self, fails: bool | ModelError = False) -> None:
        self.fails = ModelError("timeout", "it took too long", input_tokens=3) if fails is True else fails

    def complete(self, request: ChatRequest) -> Completion:
        if self.fails:
            raise self.fails
        for word in ("Here ", "you ", "are. ", "Enjoy!"):
            time.sleep(0.05)
            if request.on_text is not None:
                request.on_text(word)
        return Completion("Here you are. Enjoy!", 7, 3, 150.0, "slow")


def test_a_slow_stream_shows_signs_of_life_and_pieces(serve: Serve, fresh: Service) -> None:
    fresh.model, fresh.talks = Slow(), True
    http = serve(fresh, heartbeat=0.02)
    answer = http.post(
        f"{begun(http)}/turns", json={"utterance": "a comedy"}, headers={"Accept": "text/event-stream"}
    )
    assert ": alive" in answer.text
    assert [data["text"] for name, data in events(answer.text) if name == "text"] == ["Here you are. ", "Enjoy!"]
    assert events(answer.text)[-1][1]["text"] == "Here you are. Enjoy!"


def test_a_turn_that_takes_too_long_is_kept_and_found_again(serve: Serve, fresh: Service) -> None:
    fresh.model, fresh.talks = Slow(), True
    http = serve(fresh, turn_seconds=0.02)
    at = f"/api/v1/conversations/{fresh.begin('')}"
    problem(http.post(f"{at}/turns", json={"utterance": "a comedy", "number": 1}), 504, "kept all the same")
    deadline = time.monotonic() + 20
    while not http.get(at).json()["turns"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [turn["utterance"] for turn in http.get(at).json()["turns"]] == ["a comedy"]


def test_events_and_history_and_deletion(http: TestClient, ids: Callable[[str], str]) -> None:
    event = {"item_id": ids("Babe"), "kind": "purchase", "at": "2026-01-01T12:00:00Z"}
    assert http.post("/api/v1/users/me/events", json=event).status_code == 204
    assert http.get("/api/v1/users/me/history").json() == [{"item_id": ids("Babe"), "title": "Babe"}]
    assert http.delete(f"/api/v1/users/me/events/{ids('Babe')}").status_code == 204
    assert http.get("/api/v1/users/me/history").json() == []
    assert http.get("/api/v1/users/me/export").json()["events"][0]["kind"] == "removed"
    assert http.delete("/api/v1/users/me").json() == {"forgotten": 1}
    problem(http.post("/api/v1/users/me/events", json={"item_id": "none"}), 404)
    problem(http.post("/api/v1/users/me/events", json={"item_id": "1", "kind": "removed"}), 422)


def test_recommendations_without_a_conversation(http: TestClient, ids: Callable[[str], str]) -> None:
    rule = {"column": "year", "op": "<", "value": 1960}
    wanted = {"request": "a musical", "history": [ids("Babe")], "k": 4, "where": [rule]}
    found = http.post("/api/v1/recommendations", json=wanted).json()
    assert len(found) == 4 and all(one["why"] for one in found)
    assert all(http.get(f"/api/v1/items/{one['item_id']}").json()["year"] < 1960 for one in found)
    assert len(http.get(f"/api/v1/items/{ids('Babe')}/similar", params={"k": 2}).json()) == 2
    assert http.get("/api/v1/items", params={"words": "toy story"}).json()[0]["title"] == "Toy Story"
    problem(
        http.post("/api/v1/recommendations", json=wanted | {"where": [rule | {"column": "colour"}]}), 422, "no column"
    )
    for number in ("NaN", "Infinity", "1e999"):
        body = json.dumps(wanted).replace("1960", number)
        answer = http.post("/api/v1/recommendations", content=body, headers={"Content-Type": "application/json"})
        assert problem(answer, 422)["errors"][0]["message"].endswith("a number must be finite")


def test_every_refusal_is_a_problem_document(http: TestClient) -> None:
    at = begun(http)
    problem(http.get("/nothing"), 404)
    assert "POST" in http.put("/api/v1/conversations", json={}).headers["allow"]
    problem(http.put("/api/v1/conversations", json={}), 405)
    said = problem(http.post(f"{at}/turns", json={"utterance": 5, "mood": "\x00"}), 422)
    assert {"where": ["body", "utterance"], "message": "Input should be a valid string"} in said["errors"]
    problem(http.post(f"{at}/turns", content="{", headers={"Content-Type": "application/json"}), 422)
    problem(http.post(f"{at}/turns", json={"utterance": "a" * 4001}), 422, "at most 4000 characters")
    problem(http.post(f"{at}/turns", json={"utterance": "a" * 1_100_000}), 413, "at most 1048576 bytes")
    chunks = (b" " * 100_000 for _ in range(11))
    problem(http.post(f"{at}/turns", content=chunks, headers={"Content-Type": "application/json"}), 413)
    problem(http.get("/health", headers={"Host": "evil.example"}), 400, "--allowed-host")
    problem(http.post(f"{at}/turns", json={"utterance": "x"}, headers={"Origin": "http://evil.example"}), 403)
    assert (
        http.post(f"{at}/turns", json={"utterance": "x"}, headers={"Origin": "http://localhost"}).status_code == 200
    )


def test_a_wrong_method_stays_one_where_the_page_is(serve: Serve, service: Service) -> None:
    pytest.importorskip("nicegui", reason="the page needs the extra 'web'")
    http = serve(service, raises=False, page=True)
    for method, path, allowed in (
        ("PUT", "/api/v1/conversations", "POST"),
        ("POST", "/api/v1/users/5/history", "GET"),
        ("DELETE", "/health", "GET"),
        ("PUT", "/", "GET"),
    ):
        answer = http.request(method, path, json={})
        problem(answer, 405, "Allow")
        assert answer.headers["allow"] == allowed
    wrong = http.get("/v1/chat/completions")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_supported")
    problem(http.get("/nothing"), 404, "nothing at this address")
    problem(http.get("/_nicegui/nothing"), 404)
    page = http.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")


def test_a_fault_of_the_server_tells_nothing_of_itself(serve: Serve, fresh: Service) -> None:
    http, id = serve(fresh, raises=False), fresh.begin("")

    def broken(*_: object) -> None:
        raise RuntimeError("a secret wish")

    fresh.conversation = broken  # type: ignore[assignment, method-assign]
    assert "secret" not in json.dumps(problem(http.get(f"/api/v1/conversations/{id}"), 500))


def test_a_store_that_is_gone_is_said_to_be_so(serve: Serve, fresh: Service) -> None:
    http = serve(fresh, raises=False)
    file = fresh.store.url.database
    fresh.store.close()
    for end in ("", "-wal", "-shm"):
        with open(f"{file}{end}", "wb") as damaged:
            damaged.write(b"no database" * 1000)
    answer = http.get("/api/v1/conversations")
    problem(answer, 503)
    assert answer.headers["retry-after"] and str(file) not in answer.text
    assert http.get("/health/ready").status_code == 503 and http.get("/health/live").status_code == 200


def test_rates_are_limited_and_say_when_to_come_back(serve: Serve, service: Service) -> None:
    http = serve(service, turn_rate="2/minute", request_rate="6/minute")
    at = begun(http)
    for number in (1, 2):
        assert http.post(f"{at}/turns", json={"utterance": "more", "number": number}).status_code == 200
    refused = http.post(f"{at}/turns", json={"utterance": "more"})
    problem(refused, 429, "More than 2 turns in 60 seconds")
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert http.get(at).status_code == 200
    assert len(http.get(at).json()["turns"]) == 2
    problem(http.get(at), 429, "More than 6 requests")
    assert http.get("/health").status_code == 200


def test_every_answer_has_its_id_and_security_headers(http: TestClient) -> None:
    for answer in (http.get("/health"), http.get("/nothing"), http.get("/api/v1/items", params={"k": 1})):
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["cache-control"] == "no-store" and "access-control-allow-origin" not in answer.headers
    assert http.get("/health", headers={"X-Request-ID": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert len(http.get("/health", headers={"X-Request-ID": "a b<script>"}).headers["x-request-id"]) == 32


def test_scripts_of_other_sites_are_let_in_by_name_only(serve: Serve, service: Service) -> None:
    http = serve(service, origins=("https://shop.example",))
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    yes = http.options("/api/v1/conversations", headers={"Origin": "https://shop.example", **asked})
    assert yes.headers["access-control-allow-origin"] == "https://shop.example"
    no = http.options("/api/v1/conversations", headers={"Origin": "https://evil.example", **asked})
    assert "access-control-allow-origin" not in no.headers
    assert http.post("/api/v1/conversations", json={}, headers={"Origin": "https://shop.example"}).status_code == 201


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, config, stream = (root.handlers, root.level), structlog.get_config(), io.StringIO()
    log_as_json(stream)
    yield stream
    root.handlers, root.level = before
    structlog.configure(**config)  # not the defaults, which write to standard output


def test_the_log_is_json_and_has_nobodys_words(serve: Serve, fresh: Service, logged: io.StringIO) -> None:
    http = serve(fresh, raises=False)
    at = begun(http, user="secret-person")
    http.post(f"{at}/turns", json={"utterance": "secret wish"}, headers={"X-Request-ID": "r1"})
    http.post(f"{at}/turns", json={"utterance": "secret wish", "number": "secret number"})

    def broken(*_: object) -> None:
        raise RuntimeError("a secret cause")

    fresh.conversation = broken  # type: ignore[assignment, method-assign]
    http.get(at)
    try:
        broken()
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\nsecret cause")
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert {
        "method": "POST",
        "route": "/api/v1/conversations/{id}/turns",
        "status": 200,
        "request_id": "r1",
    }.items() <= (requests[1].items())
    assert [line["status"] for line in requests] == [201, 200, 422, 500]
    fault = next(line for line in lines if line["event"] == "fault")
    assert fault["error"] == "RuntimeError" and fault["request_id"] == requests[-1]["request_id"]
    assert lines[-1]["error"] == "RuntimeError" and "test_native.py" in lines[-1]["at"][-1]
    assert "secret" not in logged.getvalue()


def test_turns_steps_relaxations_and_requests_are_counted(serve: Serve, fresh: Service) -> None:
    http = serve(fresh)
    at = begun(http)
    http.post(f"{at}/turns", json={"utterance": "a comedy from the 90s"})
    http.post(f"{at}/rules", json={"rule": {"column": "year", "op": "<", "value": 1950}})
    http.post(f"{at}/turns", json={"utterance": "a western by Quentin Tarantino with Tom Hanks from the 80s"})
    http.get("/nothing/<script>")
    shown = http.get("/metrics").text
    assert 'latentcrs_turns_total{kind="request",variant="f"} 2.0' in shown
    assert 'latentcrs_turns_total{kind="command",variant="f"} 1.0' in shown
    assert 'latentcrs_step_seconds_count{step="total"} 2.0' in shown
    relaxed = sum(bool(turn["relaxed"]) for turn in http.get(at).json()["turns"])
    assert f"latentcrs_relaxed_turns_total {relaxed:.1f}" in shown and relaxed
    assert (
        'latentcrs_requests_total{method="POST",route="/api/v1/conversations/{id}/turns",status="200"} 2.0' in shown
    )
    assert 'route="none",status="404"' in shown and "script" not in shown
    assert "latentcrs_live_conversations 1.0" in shown


def test_outcomes_of_the_language_model_are_counted(serve: Serve, fresh: Service) -> None:
    metrics = Metrics()
    fresh.talks = True
    for fails in (False, True, True):
        fresh.model = ObservedModel(Slow(fails), metrics)
        fresh.turn("", fresh.begin(""), "a comedy")
    shown = metrics.exposition().decode()
    assert 'latentcrs_model_calls_total{outcome="answered",purpose="reply"} 1.0' in shown
    assert 'latentcrs_model_calls_total{outcome="timeout",purpose="reply"} 2.0' in shown
    assert 'latentcrs_model_tokens_total{direction="input"} 13.0' in shown


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_of_a_failing_language_model_clients_learn_the_kind_and_the_log_the_rest(
    serve: Serve, fresh: Service, logged: io.StringIO, outcome: Outcome
) -> None:
    error = ModelError(outcome, "tiny@10.0.0.7:8080 failed: Traceback, key sk-1234", "a secret answer")
    fresh.model, fresh.talks = ObservedModel(Slow(error), Metrics()), True
    http = serve(fresh, raises=False)
    said = [http.post(f"{(at := begun(http))}/turns", json={"utterance": "a comedy"}).text, http.get(at).text]
    stream = {"Accept": "text/event-stream"}
    said.append(http.post(f"{at}/turns", json={"utterance": "a comedy"}, headers=stream).text)
    messages = [{"role": "user", "content": "a comedy"}]
    said.append(http.post("/v1/chat/completions", json={"model": fresh.bundle_name, "messages": messages}).text)
    for text in said:
        assert not any(word in text for word in ("10.0.0.7", "tiny", "Traceback", "sk-", "secret")), text
    assert json.loads(said[0])["notes"] == [f"worded without the language model: {error.kind}"]
    failed = [json.loads(line) for line in logged.getvalue().splitlines() if "language model failed" in line]
    assert {"model": "slow", "purpose": "reply", "outcome": outcome, "level": "warning"}.items() <= failed[0].items()
    assert "sk-1234" not in logged.getvalue()


def test_ready_is_said_once_models_are_loaded(http: TestClient, bundle: Path) -> None:
    deadline = time.monotonic() + 60
    while http.get("/health/ready").status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert http.get("/health/ready").json() == {"status": "ready"}
    health = http.get("/health").json()
    assert health["live"] == "live" and health["ready"] == "ready"
    assert health["bundle"] == sha256_of(bundle / "bundle.json")[:12]


def test_many_turns_at_once_are_all_answered_and_kept(http: TestClient) -> None:
    at = [begun(http) for _ in range(6)]

    def say(place: str) -> int:
        return http.post(f"{place}/turns", json={"utterance": "something else"}).status_code

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(say, at * 5)) == {200}
    assert {len(http.get(place).json()["turns"]) for place in at} == {5}


def test_the_python_client_does_it_all(address: str, ids: Callable[[str], str]) -> None:
    client = Client(address)
    id = client.begin(user="client/1", history=[ids("Babe")], k=4)
    pieces: list[str] = []
    turn = client.say(id, "a comedy", pieces.append, number=1)
    assert isinstance(turn, Turn) and "".join(pieces) == turn.text and len(turn.items) == 4
    assert client.say(id, "a comedy", number=1) == turn
    rule = Rule(column="year", op=">=", value=1995)
    assert client.add_rule(id, rule).rules == ["genres: Comedy", "year >= 1995"]
    assert client.drop_rule(id, 0).rules == ["year >= 1995"]
    assert client.undo(id).rules == ["genres: Comedy", "year >= 1995"] and client.drop_rule(id, 0).rules
    assert client.mark(id, "like", [0]).kind == "command" and client.use(id, "b").variant == "b"
    assert len(client.conversation(id).turns) == 7
    client.remember("client 1?", ids("Toy Story"))
    assert client.history("client 1?") == [ids("Toy Story")]
    assert client.forget_user("client 1?") == 1
    assert all(one["why"] for one in client.recommend("a western", where=[rule], k=2))
    assert client.search("toy story", k=1)[0]["title"] == "Toy Story" and len(client.similar(ids("Babe"), 3)) == 3
    client.forget(id)
    for listener in (None, pieces.append):
        with pytest.raises(ServerProblem, match="There is no conversation") as refused:
            client.say(id, "hello", listener)
        assert refused.value.status == 404
    with pytest.raises(ServerProblem, match=r"\(body\.k: Input should be less than or equal to 50\)"):
        client.begin(k=51)
    with pytest.raises(ServerProblem, match="broke off"):
        _listened(["event: text", 'data: {"text": "a"}'], pieces.append)


def test_a_path_of_before_says_where_its_endpoint_is_now(http: TestClient) -> None:
    for method, path in [
        ("GET", "/conversations?user=a%20b"),
        ("POST", "/conversations/1/turns"),
        ("DELETE", "/users/a%2Fb%25c/events/x"),
        ("GET", "/items//evil.example/"),
    ]:
        answer = http.request(method, path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (308, f"/api/v1{path}")
    assert http.post("/conversations", json={}, follow_redirects=True).status_code == 201
    assert "/conversations" not in http.get("/openapi.json").json()["paths"]
