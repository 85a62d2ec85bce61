"""Claims about `latentcrs simulate`."""

from __future__ import annotations

import json

import polars as pl
import pytest
from simulate_data import simulate
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.data.dataset import PreparedDataset


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["simulate", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_writes_all_splits_and_says_what(tiny: PreparedDataset) -> None:
    out = run(str(tiny.path))
    written = PreparedDataset(tiny.path).requests
    assert written.equals(simulate(tiny))
    assert f"Wrote {len(written)} requests" in out
    assert "drawn again" in out
    assert sum(line.startswith("  ") for line in out.splitlines()) == 3  # there are three test rows


def test_a_second_run_leaves_what_is_there(tiny: PreparedDataset) -> None:
    run(str(tiny.path))
    before = (tiny.path / "requests.parquet").read_bytes()
    assert "already" in run(str(tiny.path), "--seed", "5")
    assert (tiny.path / "requests.parquet").read_bytes() == before
    run(str(tiny.path), "--seed", "5", "--force")
    assert PreparedDataset(tiny.path).requests.equals(simulate(tiny, seed=5))


def test_imported_requests_are_kept_and_only_missing_splits_are_written(tiny: PreparedDataset) -> None:
    imported = (
        simulate(tiny)
        .filter(pl.col("split") == "test")
        .with_columns(source=pl.lit("imported"), text=pl.lit("said by a person"))
    )
    tiny.write_requests(imported)
    report = json.loads(run(str(tiny.path), "--json"))
    requests = PreparedDataset(tiny.path).requests
    assert set(requests.filter(pl.col("split") == "test")["text"]) == {"said by a person"}
    assert requests.filter(pl.col("split") != "test").equals(simulate(tiny).filter(pl.col("split") != "test"))
    assert report["written"]["test"] == 0 and report["kept"]["test"] == 3
    assert report["written"]["train"] == len(requests.filter(pl.col("split") == "train"))


def test_the_report_for_programs_has_counts_and_samples(tiny: PreparedDataset) -> None:
    report = json.loads(run(str(tiny.path), "--json"))
    assert set(report) == {"dataset", "written", "kept", "redrawn", "without_conditions", "samples"}
    assert all(sample["text"] for sample in report["samples"])
    again = json.loads(run(str(tiny.path), "--json"))
    assert again["written"] == {"train": 0, "valid": 0, "test": 0}


def test_an_unknown_user_is_refused_by_name(tiny: PreparedDataset) -> None:
    with pytest.raises(UserError, match="no simulated user 'oracle'"):
        run(str(tiny.path), "--user", "oracle")


def test_the_plot_user_writes_openings_of_its_conversations(tiny: PreparedDataset) -> None:
    report = json.loads(run(str(tiny.path), "--user", "plot", "--json"))
    requests = PreparedDataset(tiny.path).requests
    assert set(requests["source"]) == {"plot"} and "failed" not in report
    assert requests.select("user", "cut", "target", "split").equals(
        simulate(tiny).select("user", "cut", "target", "split")
    )
    assert requests["text"].str.contains("plumber|parrot").any()


def test_a_sample_is_so_many_rows_of_each_split_and_part_of_a_larger_one(tiny: PreparedDataset) -> None:
    run(str(tiny.path), "--user", "plot", "--sample", "1")
    one = PreparedDataset(tiny.path).requests
    assert one["split"].to_list() == ["train", "valid", "test"]
    run(str(tiny.path), "--user", "plot", "--sample", "2", "--force")
    two = PreparedDataset(tiny.path).requests
    assert len(two) == 6 and len(one.join(two, on=["user", "cut", "text"], how="semi")) == 3


def test_a_language_model_must_be_named_and_reached(tiny: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATENTCRS_LLM_URL", raising=False)
    with pytest.raises(UserError, match="--llm"):
        run(str(tiny.path), "--user", "llm")
    with pytest.raises(UserError, match="needs no language model"):
        run(str(tiny.path), "--user", "plot", "--llm", "local")
    monkeypatch.setenv("LATENTCRS_LLM_MODEL", "nobody")
    with pytest.raises(UserError, match="answered nothing"):
        run(str(tiny.path), "--user", "llm", "--llm", "http://127.0.0.1:9/v1")
    assert not PreparedDataset(tiny.path).has_requests
