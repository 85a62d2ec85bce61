"""Claims about `latentcrs-lab bench prepare`: a real log made larger stays real; both sides keep the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
from typer.testing import CliRunner

from latentcrs.data.sources.own import read_own
from latentcrs_lab.bench.prepare import enlarged
from latentcrs_lab.cli.main import app


def test_copies_of_a_log_touch_each_other_in_no_user_and_no_item(
    shared_data: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shared_data("cds-2018")
    raw = read_own(folder / "interactions.csv", folder / "items.csv", None, tmp_path)
    (one, once), (three, times) = enlarged(raw, 1), enlarged(raw, 67_000)
    assert (once, times) == (1, 3) and len(three) == 3 * len(one)
    for side in ("user", "item"):
        assert three[side].n_unique() == 3 * one[side].n_unique()
        lengths = [log[side].value_counts()["count"].sort() for log in (one, three)]
        assert lengths[1].equals(pl.concat([lengths[0]] * 3).sort())


def test_bench_prepare_names_both_sides_and_what_each_took(shared_data: Callable[..., Path]) -> None:
    folder = shared_data("cds-2018")
    files = ["--interactions", str(folder / "interactions.csv"), "--items", str(folder / "items.csv")]
    arguments = ["bench", "prepare", "--data", "own", *files, "--rows", "40000", "--core", "2", "--repeats", "1"]
    ran = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    found = json.loads(ran.stdout)
    assert [one["ids"] for one in found["comparisons"]] == ["numbers", "text"]
    assert found["copies"] == 2 and found["rows"] > found["comparisons"][0]["rows_left"] > 0
    for one in found["comparisons"]:
        assert one["rows_left"] == found["comparisons"][0]["rows_left"] and one["ratio"] > 0
        assert min(one["ours"]["peak_mib"], one["pandas"]["peak_mib"]) > 10
