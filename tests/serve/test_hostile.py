"""Three hundred hostile requests: no 5xx, nothing of anybody else's, nothing a browser would run, no rule unsaid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from latentcrs.serve.service import Service

CORPUS = [json.loads(line) for line in (Path(__file__).parent / "hostile.jsonl").read_text("utf-8").splitlines()]
SECRET = "the lighthouse keeper's umbrella"
JSON = {"Content-Type": "application/json"}
Headers = dict[str, str]


@pytest.fixture(scope="module")
def attacked(keyed: tuple[TestClient, dict[str, Headers]], service: Service) -> Iterator[tuple[TestClient, Headers]]:
    """A server that has Alice's secret, and Bob's headers; afterwards all of Alice's is as it was."""
    http, headers = keyed
    id = service.begin("alice", user="alice")
    service.turn("alice", id, SECRET)
    before = service.conversation("alice", id)
    yield http, headers["bob"]
    assert service.conversation("alice", id) == before


def refused_or_answered(answer: Any, where: str) -> None:
    """No 5xx, no secret, JSON that no browser takes for a page."""
    assert answer.status_code < 500, f"{where}: {answer.status_code} {answer.text[:300]}"
    assert "lighthouse" not in answer.text, where
    assert answer.headers["x-content-type-options"] == "nosniff", where
    kind = answer.headers.get("content-type", "")
    if answer.content:
        assert kind in ("application/json", "application/problem+json"), f"{where}: {kind}"
        json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{where}: {name} is no JSON"))
    if answer.status_code >= 400:
        assert kind == "application/problem+json", f"{where}: {answer.status_code} {kind}"
    assert "X-Injected" not in answer.headers


def begun(http: TestClient, headers: Headers) -> str:
    return str(http.post("/api/v1/conversations", json={}, headers=headers).json()["id"])


def test_the_corpus_has_three_hundred() -> None:
    assert len(CORPUS) >= 300
    assert len({json.dumps(entry) for entry in CORPUS}) == len(CORPUS)


def test_hostile_utterances_are_answered_and_mean_no_more_than_they_say(
    attacked: tuple[TestClient, Headers], service: Service
) -> None:
    http, headers = attacked
    for entry in CORPUS:
        if "utterance" not in entry:
            continue
        said, id = entry["utterance"], begun(http, headers)
        answer = http.post(f"/api/v1/conversations/{id}/turns", json={"utterance": said}, headers=headers)
        refused_or_answered(answer, said[:80])
        assert answer.status_code == 200, f"{said[:80]}: {answer.text[:300]}"
        assert answer.json()["utterance"] == said
        stored = http.get(f"/api/v1/conversations/{id}", headers=headers)
        refused_or_answered(stored, said[:80])
        session = stored.json()["session"]
        for heard in session["rules"] + session["wishes"]:
            words = re.findall(r"\w+", heard["words"].lower())
            assert words and all(word in said.lower() for word in words), f"{said[:80]}: {heard}"


def test_hostile_bodies_and_paths_are_refused_or_answered(attacked: tuple[TestClient, Headers]) -> None:
    http, headers = attacked
    id = begun(http, headers)
    for entry in CORPUS:
        if "utterance" in entry:
            continue
        method = entry.get("method", "POST")
        path = entry.get("path", "/api/v1/conversations/{id}/turns").replace("{id}", id)
        body = entry.get("body", "").encode("utf-8", "surrogatepass")
        answer = http.request(method, path, content=body, headers=headers | JSON)
        refused_or_answered(answer, json.dumps(entry)[:200])


def test_half_a_character_is_refused_and_the_rest_goes_on(attacked: tuple[TestClient, Headers]) -> None:
    http, headers = attacked
    at = f"/api/v1/conversations/{begun(http, headers)}/turns"
    refused = http.post(at, content=b'{"utterance": "\\ud800"}', headers=headers | JSON)
    assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json"
    assert http.post(at, json={"utterance": "a comedy"}, headers=headers).json()["number"] == 1
