"""Traces: what is in them, what is not, and where they go."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
from starlette.testclient import TestClient

pytest.importorskip("opentelemetry.sdk", reason="traces need the extra 'otel'")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from latentcrs.llm import ChatRequest, Completion, ModelError
from latentcrs.serve.app import create_app
from latentcrs.serve.observe import Metrics, ObservedModel
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.serve.tracing import ServerTracer, tracing_of_environment

STEPS = ["act", "hear", "rules", "embed", "read", "filter and rank", "explain", "reply"]


class Wordy:
    """A chat model that says secrets, also where it fails."""

    id = "wordy@http://secret-host"
    fails = False

    def complete(self, request: ChatRequest) -> Completion:
        if self.fails:
            raise ModelError("server error", "no secret for you", input_tokens=3)
        return Completion("The secret is out.", 7, 3, 1.0, "wordy")


@dataclass
class Traced:
    """A server whose spans are kept in memory."""

    http: TestClient
    service: Service
    model: Wordy
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        """The newest span of this name."""
        return [span for span in self.spans if span.name == name][-1]

    def children(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """The spans right below one, by their beginning."""
        found = [span for span in self.spans if span.parent and span.parent.span_id == parent.context.span_id]
        return sorted(found, key=lambda span: span.start_time)


@pytest.fixture
def traced(bundle: Path, fresh: Service) -> Iterator[Traced]:
    exporter, provider, model = InMemorySpanExporter(), TracerProvider(), Wordy()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = ServerTracer(provider)
    fresh.model, fresh.talks = ObservedModel(model, Metrics(), tracing), True
    app = create_app(Settings(bundle=bundle, page=False), fresh, tracing)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as http:
        yield Traced(http, fresh, model, exporter)


def begun(traced: Traced) -> str:
    return str(traced.http.post("/api/v1/conversations", json={"user": "secret-person"}).headers["location"])


def test_a_turn_is_a_span_of_its_request_and_has_its_steps(traced: Traced) -> None:
    at = begun(traced)
    answer = traced.http.post(f"{at}/turns", json={"utterance": "a comedy from the 90s"})
    request = traced.named("POST /api/v1/conversations/{id}/turns")
    assert request.parent is None
    assert {
        "http.route": "/api/v1/conversations/{id}/turns",
        "http.response.status_code": 200,
        "latentcrs.request_id": answer.headers["x-request-id"],
    }.items() <= dict(request.attributes or {}).items()
    (turn,) = traced.children(request)
    attributes = dict(turn.attributes or {})
    assert turn.name == "turn" and attributes["latentcrs.turn.kind"] == "request"
    assert (attributes["latentcrs.turn.items"], attributes["latentcrs.turn.rules"]) == (5, 2)
    steps = traced.children(turn)
    assert [step.name for step in steps] == STEPS
    assert set(STEPS) < set(answer.json()["milliseconds"]), "the steps that the metrics have"
    for earlier, later in pairwise(steps):
        assert turn.start_time <= earlier.start_time <= earlier.end_time <= later.start_time <= turn.end_time
    (call,) = traced.children(steps[-1])
    assert call.name == "chat reply" and dict(call.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "wordy",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "latentcrs.purpose": "reply",
        "latentcrs.outcome": "answered",
    }
    streamed = traced.http.post(
        f"{at}/turns", json={"utterance": "something else"}, headers={"Accept": "text/event-stream"}
    )
    assert (
        streamed.status_code == 200
        and len(traced.children(traced.named("POST /api/v1/conversations/{id}/turns"))) == 1
    )


def test_a_request_is_a_part_of_its_callers_trace(traced: Traced) -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    traced.http.get("/api/v1/conversations", headers={"traceparent": f"00-{trace}-{parent}-01"})
    span = traced.named("GET /api/v1/conversations")
    assert format(span.context.trace_id, "032x") == trace
    assert span.parent is not None and format(span.parent.span_id, "016x") == parent


def test_nobodys_words_are_in_a_trace(traced: Traced) -> None:
    at = begun(traced)
    traced.http.post(f"{at}/turns", json={"utterance": "my secret wish"})
    traced.model.fails = True
    traced.http.post(f"{at}/turns", json={"utterance": "another secret wish"})
    assert traced.named("chat reply").attributes["latentcrs.outcome"] == "server error"  # type: ignore[index]
    traced.http.get("/api/v1/items", params={"words": "secret words"})
    traced.http.get("/api/v1/users/secret-person/history?secret=1", headers={"User-Agent": "secret"})
    traced.http.get("/secret/path")
    traced.http.post(f"{at}/turns", json={"utterance": "x" * 5000 + "secret"})

    def broken(*_: object) -> None:
        raise RuntimeError("a secret cause")

    traced.service.conversation = broken  # type: ignore[assignment, method-assign]
    assert traced.http.get(at).status_code == 500
    fault = traced.named("GET /api/v1/conversations/{id}")
    assert not fault.status.is_ok and dict(fault.attributes or {})["error.type"] == "RuntimeError"
    everything = json.dumps([json.loads(span.to_json()) for span in traced.spans])
    assert len(traced.spans) > 20 and "secret" not in everything.lower()
    assert at.split("/")[-1] not in everything, "what is in a path is not either"


def test_what_monitors_ask_is_no_trace(traced: Traced) -> None:
    for path in ("/health", "/health/ready", "/metrics"):
        traced.http.get(path)
    assert traced.spans == []


def test_without_an_endpoint_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    tracing = tracing_of_environment()
    with tracing.request("GET", {}) as told:
        assert told.trace_id == ""
    tracing.close()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_SDK_DISABLED", "true", ""),
        ("OTEL_TRACES_EXPORTER", "none", ""),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf alone, not by grpc"),
        ("", "", "pip install 'latentcrs[otel]'"),
    ],
)
def test_what_keeps_traces_from_being_sent_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    if variable:
        monkeypatch.setenv(variable, value)
    else:  # as it is where the extra is not installed
        monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with caplog.at_level(logging.WARNING), tracing_of_environment().request("GET", {}) as told:
        assert told.trace_id == ""
    assert said in caplog.text and bool(said) == bool(caplog.records)


def test_spans_are_sent_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str, str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, self.headers.get("X-Tenant", ""), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Tenant=films")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        tracing = tracing_of_environment()
        with tracing.request("GET", {}), tracing.call("judge", "wordy"):
            pass
        tracing.close()
        receiver.shutdown()
        thread.join()
    (path, tenant, body), *_ = taken
    assert (path, tenant) == ("/v1/traces", "films")
    (sent,) = ExportTraceServiceRequest.FromString(body).resource_spans
    about = {pair.key: pair.value.string_value for pair in sent.resource.attributes}
    assert (about["service.name"], about["deployment.environment.name"]) == ("latentcrs", "test")
    assert [span.name for span in sent.scope_spans[0].spans] == ["chat judge", "GET"]
