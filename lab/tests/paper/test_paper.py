"""Claims about the paper's page: every step has its table or picture, steps are done once, and text stays text."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from brief import train_paper_briefly
from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs_lab.cli.main import app
from latentcrs_lab.paper import STEPS, ablation, evaluate_paper
from latentcrs_lab.paper.page import html_of
from latentcrs_lab.paper.published import PUBLISHED, published, published_counts

OTHERS = "latentcrs_lab.paper.steps.TRAINED"
QUICK = ("attributes", "max-entropy")
"""Of the other systems those that need no training; of the others each has its own tests."""
ABLATIONS = "latentcrs_lab.paper.steps.ABLATIONS"
CHANGES = ("w/o data augmentation", "hard posterior")
"""One of the paper's and one of ours; all have their tests."""
BRIEF = ["em.epochs=2", "em.min_steps=0", "model.calibrated=false"]
ASKED = ("data", "one-turn", "sampled", "conditions", "history", "interactions", "ablation", "intents")


@pytest.fixture(scope="module")
def dataset(small_movielens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that asks for less: most of the time goes into hearing every request."""
    folder = shutil.copytree(small_movielens, tmp_path_factory.mktemp("paper") / "dataset")
    copied = PreparedDataset(folder)
    train = pl.col("split") == "train"
    held_out = copied.requests.filter(~train).gather_every(5)
    copied.write_requests(pl.concat([copied.requests.filter(train), held_out]))
    return Path(folder)


@pytest.fixture(scope="module")
def page(
    dataset: Path, small_movielens_cache: Path, settings: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The page of a small data set, without conversations and sensitivity, which take long."""
    out = tmp_path_factory.mktemp("paper")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
        patch.setenv("LATENTCRS_TRAINING", str(out / "work"))
        patch.setattr(OTHERS, QUICK)
        train_paper_briefly(patch)
        patch.setattr(ABLATIONS, [change for change in ablation.ABLATIONS if change.name in CHANGES])
        return evaluate_paper(dataset, out, ASKED, [*settings, *BRIEF], n=20, device="cpu")


def test_every_step_that_ran_has_its_place_on_the_page(page: Path) -> None:
    text = page.read_text("utf-8")
    for heading in ("Table 1", "Table 2", "Table 3: one turn, 20 requests", "Table 5", "Intents", "Time"):
        assert f"## {heading}" in text, heading
    for row in (
        "| **LatentCRS_F** |",
        "| attribute filtering |",
        "| *paper: UNICORN* | 0.1215 |",
        "| *paper: Chat-Rec* |",
        "| hard posterior |",
    ):
        assert row in text, row
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (page.parent / picture).stat().st_size > 5_000
    assert len(re.findall(r"!\[", text)) == 4  # three curves and the map


def test_figures_on_the_page_are_those_that_were_measured(page: Path) -> None:
    kept = json.loads((page.parent / "results.json").read_text("utf-8"))["results"]
    f = kept["one-turn"]["systems"]["latentcrs-f"]["recall@5"]
    assert f"| **LatentCRS_F** | {f:.4f}±" in page.read_text("utf-8")
    by_history = {(point["system"], point["at"]): point["recall"] for point in kept["history"]}
    assert by_history["latentcrs-b", "all"] == pytest.approx(kept["one-turn"]["systems"]["latentcrs-b"]["recall@5"])
    assert by_history["text", "0"] == by_history["text", "all"]  # text alone never looks at the history
    told = [point for point in kept["conditions"] if point["system"] == "latentcrs-f"]
    assert told[0]["at"] == "1" and told[-1]["at"] == "5" and told[-1]["recall"] > told[0]["recall"]
    groups = [point["n"] for point in kept["interactions"] if point["system"] == "text"]
    assert sum(groups) <= kept["one-turn"]["n"]


def test_the_html_page_needs_nothing_beside_it(page: Path) -> None:
    html = page.with_suffix(".html").read_text("utf-8")
    assert html.count("data:image/png;base64,") == 4
    assert not re.search(r'(?:src|href)="(?!data:)', html)
    assert "<table>" in html


def test_a_second_run_takes_what_the_first_one_measured(
    page: Path,
    dataset: Path,
    small_movielens_cache: Path,
    settings: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a finished step was done again")

    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    monkeypatch.setattr(OTHERS, QUICK)
    for name in ("one_turn_of", "ablations", "by_history", "describe_intents"):
        monkeypatch.setattr(f"latentcrs_lab.paper.steps.{name}", never)
    before = page.read_text("utf-8")
    assert evaluate_paper(dataset, page.parent, ASKED, [*settings, *BRIEF], n=20, device="cpu") == page
    assert page.read_text("utf-8") == before


def test_markup_in_the_text_is_shown_as_text() -> None:
    html = html_of("# A <script>alert(1)</script>\n\n| <b>x</b> |\n|---|\n| 1 |", {}, "<i>t</i>")
    assert "<script" not in html and "<b>" not in html and "<i>" not in html


def test_the_papers_tables_are_whole() -> None:
    for dataset in PUBLISHED:
        assert len(published("one-turn", dataset)) == 4 and len(published("sampled", dataset)) == 8
        assert len(published("multi-turn", dataset)) == 11 and len(published("tokens", dataset)) == 6
        assert published_counts(dataset)["users"] > 6000
    assert published("one-turn", None) == {} and published("tokens", "another") == {}


def test_unknown_steps_are_named(small_movielens: Path) -> None:
    refused = CliRunner().invoke(app, ["paper", str(small_movielens), "--only", "table-9"])
    assert isinstance(refused.exception, UserError) and "table-9" in str(refused.exception)
    listed = CliRunner().invoke(app, ["paper", str(small_movielens), "--list-steps"])
    assert listed.output.split() == list(STEPS)
