"""Claims about `latentcrs bench` alone: every part runs, a stopped suite goes on, and the page has its commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app as product
from latentcrs_lab.bench.suite import PARTS, Run, run_suite, runs_of
from latentcrs_lab.cli.main import app


def test_the_suite_has_every_part_and_every_axis_along_which_cost_grows() -> None:
    runs = runs_of("bundle", "data", "ml-1m")
    assert {run.part for run in runs} == set(PARTS)
    named = {run.name for run in runs}
    assert len(named) == len(runs)
    assert {"prepare-20000000", "retrieve-3000000", "serve-kill"} <= named


def test_every_command_of_the_suite_is_one_that_exists() -> None:
    for program, words in {(run.program, run.words[0]) for run in runs_of("bundle", "data", "ml-1m")}:
        commands = app if program == "latentcrs-lab" else product
        assert CliRunner().invoke(commands, ["bench", words, "--help"]).exit_code == 0


def test_a_suite_makes_a_page_with_commands_and_pictures_and_does_nothing_twice(bundle: Path, tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    of = ("bulk", str(bundle), "--users", "20", "--items", "300", "--items", "600", "--repeats", "1")
    runs = [
        Run("turn", "turn", ("turn", str(bundle), "--turns", "10")),
        Run("retrieve", "bulk", of),
        Run("retrieve", "broken", ("bulk", str(tmp_path / "nowhere"))),
    ]
    (failure,) = run_suite(runs, page)
    assert "nowhere" in failure and "latentcrs-lab bench bulk" in failure
    told = page.read_text("utf-8")
    for run in runs[:2]:
        assert f"```\n{run.command}\n```" in told
    assert "## A turn" in told and "| total" in told and "nowhere" not in told
    with Image.open(tmp_path / "benchmarks" / "retrieve.png") as picture:
        assert picture.width > 1000
    assert "](benchmarks/retrieve.png)" in told
    stored = page.with_suffix(".json")
    before = json.loads(stored.read_text("utf-8"))
    assert all(run["peak_mib"] > 50 and run["seconds"] > 0 for run in before.values())
    run_suite(runs[:2], page)
    assert json.loads(stored.read_text("utf-8")) == before
    other = Run("turn", "turn", ("turn", str(bundle), "--turns", "11"))
    run_suite([other, runs[1]], page)
    after = json.loads(stored.read_text("utf-8"))
    assert after["turn"]["command"] == other.command and after["bulk"] == before["bulk"]


def test_another_json_in_its_place_is_refused_and_kept(tmp_path: Path) -> None:
    stored = tmp_path / "benchmarks.json"
    stored.write_text('{"mine": 1}', "utf-8")
    with pytest.raises(UserError, match="no JSON of 'latentcrs-lab bench'"):
        run_suite([], stored.with_suffix(".md"))
    assert stored.read_text("utf-8") == '{"mine": 1}'


def test_a_part_that_does_not_exist_is_named(bundle: Path) -> None:
    ran = CliRunner().invoke(app, ["bench", "--bundle", str(bundle), "--only", "speed"])
    assert isinstance(ran.exception, UserError) and "no part 'speed'" in str(ran.exception)


def test_without_the_raw_data_the_suite_does_not_start(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATENTCRS_DATA", raising=False)
    ran = CliRunner().invoke(app, ["bench", "--bundle", str(bundle), "--only", "prepare,turn"])
    assert isinstance(ran.exception, UserError) and "$LATENTCRS_DATA" in str(ran.exception)
