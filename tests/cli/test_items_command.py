"""`latentcrs items`: a file of prices, hidden and new items reaches a running server."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from latentcrs.cli.main import app
from latentcrs.serve.service import Service
from latentcrs.store.conversations import ConversationStore


def test_a_file_changes_hides_and_adds_items_of_a_running_service(bundle: Path, tmp_path: Path) -> None:
    db, file = tmp_path / "shop.sqlite", tmp_path / "items.csv"
    running = Service(bundle, ConversationStore(str(db)))
    first, second = running.recommender.bundle.items["item_id"].head(2).to_list()
    plot = running.item(first)["plot"]
    file.write_text(f"item_id,title,year,hidden\n{first},,1931,\n{second},,,true\nnew,Brand New,2031,false\n")
    ran = CliRunner().invoke(app, ["items", str(bundle), str(file), "--db", str(db)], catch_exceptions=False)
    assert ran.exit_code == 0 and "1 items added, 2 changed." in ran.output
    running.served.growing.catch_up()  # however long it takes
    assert running.item(first)["year"] == 1931 and running.item(first)["plot"] == plot
    assert running.item(second)["hidden"] and running.item("new")["title"] == "Brand New"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "id,year\n1,2000\n", "row 1 has no item_id"),
        ("a.jsonl", '{"item_id": "1"\n', "cannot be read"),
        ("a.csv", "item_id,colour\n1,red\n", "has no column 'colour'"),
        ("a.csv", "item_id,hidden\n1,perhaps\n", "hidden wants true or false"),
        ("b.csv", None, "cannot be read"),
    ],
)
def test_a_mistake_in_the_file_is_said(bundle: Path, tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    asked = ["items", str(bundle), str(tmp_path / name), "--db", str(tmp_path / "s.sqlite")]
    assert said in str(CliRunner().invoke(app, asked).exception)
