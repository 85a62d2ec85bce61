"""The load benchmark: the real server holds conversations, is killed, has a model that fails; and a loss is seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, create_model
from typer.testing import CliRunner

from failing_endpoint import ANSWERED, failing_endpoint, least
from latentcrs.bench.clients import ClientTurn
from latentcrs.bench.serve import bench_serve, compared
from latentcrs.cli.main import app
from latentcrs.llm import Call, ChatRequest, Message, ModelError
from latentcrs.llm.openai_model import OpenAIModel
from latentcrs.llm.schema import strict_schema


def test_a_server_killed_in_the_middle_has_every_turn_that_was_acknowledged(bundle: Path) -> None:
    found = bench_serve(bundle, conversations=6, turns=3, kill=True, device="cpu")
    assert found.faults == [] and found.acknowledged == 18
    assert found.killed is not None
    assert 9 <= found.killed.acknowledged <= found.killed.kept < 18
    assert found.as_json()["ratio_to_peer"] > 0 and found.peak_mib > 0


def test_nobody_meets_an_error_of_a_language_model_that_fails_half_of_its_calls(bundle: Path) -> None:
    with failing_endpoint(0.5) as endpoint:
        options = ["--conversations", "6", "--turns", "3", "--llm", endpoint.url, "--device", "cpu", "--json"]
        ran = CliRunner().invoke(app, ["bench", "serve", str(bundle), *options], catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        calls = endpoint.counts()
    found = json.loads(ran.stdout)
    assert found["faults"] == [] and found["acknowledged"] == 18
    assert calls[ANSWERED] > 0 and sum(calls.values()) - calls[ANSWERED] > 0
    assert 0 < found["without_model"]["turns"] <= 18


TOLD = [ClientTurn(words, ["1", "2"], 0.1, 0.1, 1.0, []) for words in ("a comedy", "older", "no, newer")]
KEPT = [turn.matter for turn in TOLD]


@pytest.mark.parametrize(
    ("kept", "lost", "surplus"),
    [
        (KEPT, 0, 0),
        ([], 3, 0),
        (KEPT[:2], 1, 0),
        ([*KEPT, KEPT[2]], 0, 1),
        ([KEPT[0], KEPT[0], *KEPT[1:]], 2, 1),
        ([*KEPT[:2], ("no, newer", ["2", "1"])], 1, 0),
    ],
    ids=["whole", "gone", "last lost", "last twice", "first twice", "other items"],
)
def test_what_was_lost_or_came_twice_is_counted(kept: list[tuple[str, list[str]]], lost: int, surplus: int) -> None:
    assert compared(TOLD, kept) == (lost, surplus)


def test_the_endpoint_answers_what_the_schema_of_rules_and_of_grades_takes() -> None:
    rules = create_model("Meant", phrase_0=(Literal["wanted", "other"], Field(alias="the 80s")))
    grades = create_model("Grades", grades=(Annotated[list[int], Field(min_length=24, max_length=24)], ...))
    for schema in (rules, grades):
        schema.model_validate(least(strict_schema(schema)))
    assert least(strict_schema(grades)) == {"grades": [0] * 24}


def test_the_endpoint_fails_in_every_way_that_it_names() -> None:
    outcomes = set()
    with failing_endpoint(1.0) as endpoint:
        model = OpenAIModel(endpoint.url, "bench", timeout=10, max_retries=0)
        while min(count for how, count in endpoint.counts().items() if how != ANSWERED) == 0:
            with pytest.raises(ModelError) as failed:
                model.complete(ChatRequest([Message("user", "hi")], Call("reply")))
            outcomes.add(failed.value.outcome)
    assert outcomes == {"server error", "rate limited", "unreachable", "invalid"}
