"""The OpenAPI schema says what the server does: schemathesis asks every endpoint what the schema allows, and more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import Failure, FailureGroup, negative_data_rejection, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from latentcrs.serve.service import Service
from latentcrs.store.conversations import ConversationStore

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
EXAMPLES = 5
schemathesis.serializer.alias("application/x-ndjson", "text/plain")


@pytest.fixture(scope="module")
def own(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service to which items may be added."""
    return Service(bundle, ConversationStore(str(tmp_path_factory.mktemp("store") / "conversations.sqlite")))


@pytest.fixture(scope="module")
def api(serve: Callable[..., TestClient], own: Service) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_asgi("/openapi.json", serve(own).app, headers={"Host": "localhost"})


def test_every_endpoint_answers_as_its_schema_says(api: schemathesis.BaseSchema, own: Service) -> None:
    """Asked by what the schema allows and by what it forbids; half of it is about what there is."""
    faults, asked = [], set()
    for found in api.get_all_operations():
        operation = found.ok()
        asked.add(operation.label)
        for mode in GenerationMode:
            try:
                ask(operation, mode, own)
            except (FailureGroup, Failure) as fault:
                faults.append(f"{operation.label}: {fault}")
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, operation.label  # nothing of it can be wrong
    assert not faults, "\n\n".join(faults)
    assert len(asked) >= 25


def ask(operation: schemathesis.APIOperation, mode: GenerationMode, service: Service) -> None:
    there = {"item_id": "1", "user": "5", "id": ""}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        if service.store.head(there["id"]) is None:
            there["id"] = service.begin("", user="5")
            service.turn("", there["id"], "a comedy")
        for name in case.path_parameters:
            if name in there and len(str(case.path_parameters[name])) % 2 and mode is GenerationMode.POSITIVE:
                case.path_parameters[name] = there[name]
        case.call_and_validate(checks=CHECKS, headers={"Host": "localhost"})

    check()


def test_every_endpoint_is_described_and_no_error_of_the_framework(http: TestClient) -> None:
    found = http.get("/openapi.json").json()
    text = str(found)
    assert "HTTPValidationError" not in text and "Problem" in found["components"]["schemas"]
    routes = [(path, method, said) for path, methods in found["paths"].items() for method, said in methods.items()]
    assert len(routes) >= 25
    for path, method, said in routes:
        assert said.get("description") or said.get("summary"), f"{method} {path}"
        if not path.startswith(("/health", "/v1")):
            refused = said["responses"]["422"]["content"] if path != "/metrics" else {"application/problem+json": {}}
            assert list(refused) == ["application/problem+json"], f"{method} {path}"
