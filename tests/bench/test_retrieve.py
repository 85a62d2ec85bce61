"""The retrieval benchmark: beside NumPy in the same run, on made-up vectors and on those of a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.bench.retrieve import SHARES, K, clustered, plain
from latentcrs.cli.main import app


def run(*arguments: str) -> str:
    ran = CliRunner().invoke(app, ["bench", "retrieve", *arguments], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_the_peer_finds_the_true_top_of_what_passes() -> None:
    vectors, queries, _ = clustered(2000, 8)
    passing = np.random.default_rng(0).random(2000) < 0.3
    items, scores = plain(vectors, queries[0], passing)
    every = np.where(passing, vectors @ queries[0], -np.inf)
    assert items.tolist() == np.argsort(-every)[:K].tolist() and passing[items].all()
    assert (np.diff(scores) <= 0).all()


def test_every_search_has_times_a_ratio_and_what_it_finds() -> None:
    found = json.loads(run("--items", "20000", "--width", "20", "--json"))
    assert [(s["kind"], s["share"]) for s in found["searches"]] == [
        (kind, share) for kind in ("half", "lists") for share in (None, *SHARES)
    ]
    for search in found["searches"]:
        assert search["ratio"] == pytest.approx(search["milliseconds"] / search["numpy_milliseconds"])
        assert search["recall"] > (0.99 if search["kind"] == "half" else 0.9)
    # Half of NumPy's numbers, of which width 20 is kept as 32.
    assert found["sizes"]["half"] == pytest.approx(found["vectors_mib"] / 2 * 32 / 20, rel=0.01)
    assert found["threads"] == 1 and found["k"] == K


def test_the_vectors_of_a_bundle_are_repeated_and_its_people_ask(bundle: Path) -> None:
    shown = run("--items", "5000", "--bundle", str(bundle))
    assert "behaviour vectors of movies" in shown and "recall" in shown
    words = json.loads(run("--items", "5000", "--bundle", str(bundle), "--words", "--json"))
    assert words["width"] > 16 and all(search["recall"] > 0.9 for search in words["searches"])
    lexical = [search for search in words["searches"] if search["lexical"]]
    assert [search["share"] for search in lexical] == [None, *SHARES]
    assert all(search["recall"] > 0.99 for search in lexical)


def test_what_makes_no_sense_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for arguments, said in (
        (["--items", "500"], "at least 1000"),
        (["--words"], "name one with --bundle"),
        (["--bundle", str(tmp_path)], "not a model bundle"),
    ):
        with pytest.raises(UserError, match=said):
            CliRunner().invoke(app, ["bench", "retrieve", *arguments], catch_exceptions=False)
