"""The how-tos about data are followed on the tutorial's library: every `latentcrs data` of them, in order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.cli.main import app
from latentcrs.data import PreparedDataset
from pages import ROOT, blocks, commands_in

DOCS = ROOT / "docs"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a log and a catalogue by the names that the pages have."""
    shutil.copy(DOCS / "tutorial" / "loans.csv", tmp_path / "log.csv")
    shutil.copy(DOCS / "tutorial" / "books.csv", tmp_path / "catalogue.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def follow(page: str) -> int:
    """Run the `latentcrs data` commands of a how-to, each into a folder that is not there; how many there were."""
    count = 0
    for block in blocks(DOCS / "how-to" / page, "sh"):
        for _, *words in commands_in(block.text):
            if words[0] == "data":
                shutil.rmtree("data", ignore_errors=True)
                done = CliRunner().invoke(app, words, catch_exceptions=False)
                assert done.exit_code == 0, (words, done.output)
                count += 1
    return count


def test_own_files_are_checked_mapped_and_prepared_as_the_page_says(shop: Path) -> None:
    assert follow("your-data.md") == 3
    assert (shop / "map.toml").read_text("utf-8").count("[items") and len(
        PreparedDataset(shop / "data/shop").items
    ) == 216


def test_conversations_and_requests_are_taken_as_the_page_writes_them(shop: Path) -> None:
    books = pl.read_csv(shop / "catalogue.csv")
    (shown,) = blocks(DOCS / "how-to" / "conversations.md", "json")
    talk = json.loads(shown.text)
    liked, suggested = (talk["turns"][turn]["items"][0] for turn in (0, 1))
    liked |= {"id": books["item_id"][0], "title": books["title"][0]}
    suggested |= {"title": books["title"][1]}
    (shop / "talks.jsonl").write_text(json.dumps(talk) + "\n", "utf-8")
    fields = {
        "text": "a quiet mystery",
        "target": books["item_id"][2],
        "history": [books["item_id"][0]],
        "split": "train",
    }
    (shop / "requests.jsonl").write_text(json.dumps(fields) + "\n", "utf-8")
    assert follow("conversations.md") == 2
    said = PreparedDataset(shop / "data/shop").requests
    assert said.filter(pl.col("text") == "a quiet mystery").height == 1
