"""Claims about descriptions by a language model: kept, marked, matched with words, and never a surprise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from misbehaving_server import MisbehavingServer, refusal, whole
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.converse.answers import story_of
from latentcrs.data import PreparedDataset
from latentcrs.fit.rows import words_of_items
from latentcrs.llm.describing import describe, paragraph, undescribed
from latentcrs.llm.openai_model import OpenAIModel
from latentcrs.recommend.explain import matching_words

TOLD = "A gentle story for a quiet evening. It suits"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Three items of which hardly anything is told, and one with a long text."""
    log = [f"u{user},i{item},{100 * user + item}" for user in range(6) for item in range(4)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id,timestamp", *log]))
    rows = [f"i{item},Title {item},Drama,{'word ' * (40 if item == 3 else 0)}" for item in range(4)]
    (tmp_path / "items.csv").write_text("\n".join(["item_id,title,genre,plot", *rows]))
    options = ["--interactions", str(tmp_path / "log.csv"), "--items", str(tmp_path / "items.csv")]
    command = ["data", "prepare", "own", *options, "--user-core", "3", "--out", str(tmp_path / "shop")]
    ran = CliRunner().invoke(app, command, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return tmp_path / "shop"


def model(server: MisbehavingServer, *answers: Any) -> OpenAIModel:
    server.answers = list(answers)
    return OpenAIModel(server.url, "writer", max_retries=0)


def test_only_items_of_which_little_is_told_are_described(shop: Path) -> None:
    assert undescribed(PreparedDataset(shop)) == [0, 1, 2]
    assert undescribed(PreparedDataset(shop), sample=2) == [0, 1]


def test_what_is_written_is_marked_and_found_by_words(shop: Path, server: MisbehavingServer) -> None:
    assert describe(PreparedDataset(shop), model(server, whole(TOLD)), [0, 2]) == (2, 0)
    dataset = PreparedDataset(shop)  # its checksums are right
    assert dataset.info.columns["machine_written"] == "text"
    assert any("by the language model writer@" in note and "2 items" in note for note in dataset.info.notes)
    assert dataset.items["machine_written"].to_list() == ["A gentle story for a quiet evening.", None] * 2
    words = words_of_items(dataset.items)
    assert words[0].endswith("A gentle story for a quiet evening.") and "gentle" not in words[1]
    row, columns = dataset.items.row(0, named=True), dataset.info.columns
    assert story_of(row, columns) == "As a language model describes it: A gentle story for a quiet evening."
    assert matching_words("something gentle", row, columns) == ["gentle (as a language model describes it)"]
    assert undescribed(dataset) == [1]


def test_a_run_that_is_stopped_goes_on_where_it_was(shop: Path, server: MisbehavingServer) -> None:
    before = (shop / "items.parquet").read_bytes()
    writer = model(server, whole(TOLD), whole("Second one."), refusal(500, "oh"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreparedDataset, "write_items", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            describe(PreparedDataset(shop), writer, [0, 1])
    assert (shop / "items.parquet").read_bytes() == before and len(server.asked) == 2
    assert describe(PreparedDataset(shop), writer, [0, 1]) == (2, 0)
    assert len(server.asked) == 2
    assert set(PreparedDataset(shop).items["machine_written"].drop_nulls()) == {
        "A gentle story for a quiet evening.", "Second one."
    }  # fmt: skip


def test_a_second_run_adds_and_keeps_what_was_there(shop: Path, server: MisbehavingServer) -> None:
    writer = model(server, whole("First."), whole("Other."))
    describe(PreparedDataset(shop), writer, [0])
    describe(PreparedDataset(shop), writer, [1])
    dataset = PreparedDataset(shop)
    assert dataset.items["machine_written"].to_list() == ["First.", "Other.", None, None]
    assert dataset.items["text"].str.contains("First.", literal=True).to_list() == [True, False, False, False]


def test_an_item_without_a_usable_answer_is_left_as_it_is(shop: Path, server: MisbehavingServer) -> None:
    writer = model(server, whole("One."), whole("no end"), refusal(500, "oh"))
    assert describe(PreparedDataset(shop), writer, [0, 1, 2]) == (1, 2)


def test_a_model_that_answers_nothing_is_said_at_once(shop: Path, server: MisbehavingServer) -> None:
    with pytest.raises(UserError, match="described nothing"):
        describe(PreparedDataset(shop), model(server, refusal(401, "bad key")), [0, 1, 2])
    assert "machine_written" not in PreparedDataset(shop).items.columns


def test_the_command_says_what_it_takes_and_what_it_did(
    shop: Path, server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LATENTCRS_LLM_MODEL", "writer")
    monkeypatch.setenv("LATENTCRS_LEDGER", str(tmp_path / "ledger.sqlite"))
    server.answers = [whole("Good.")]
    ran = CliRunner().invoke(app, ["describe", str(shop), "--llm", server.url, "--json"], catch_exceptions=False)
    assert "To describe: 3 items, about" in ran.stderr and "tokens in and at most 360 out" in ran.stderr
    assert json.loads(ran.stdout) | {"dataset": "", "model": ""} == {
        "dataset": "", "model": "", "written": 3, "failed": 0
    }  # fmt: skip
    monkeypatch.delenv("LATENTCRS_LLM_URL", raising=False)
    with pytest.raises(UserError, match="name one with --llm"):
        CliRunner().invoke(app, ["describe", str(shop)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("**Bold**: a <b>tale</b>.\n\nFor all! And it goes on", "Bold : a tale . For all!"),
        ("See https://x.example/buy now. ", "See now."),
        ("no end", ""),
        ("“Lovely.” It is", "“Lovely.”"),
    ],
)
def test_a_description_is_plain_text_that_ends(text: str, kept: str) -> None:
    assert paragraph(text) == kept
