"""Benchmarks beside named peers: both sides do the same work, and the figures say what they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.text.minilm import has_int8
from latentcrs_lab.bench.alternating import compare
from latentcrs_lab.bench.bulk import bench_bulk
from latentcrs_lab.cli.main import app


def test_both_sides_are_timed_in_turn_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    compared = compare(lambda: order.append("ours"), lambda: order.append("peer"), repeats=3)
    assert order == ["ours", "peer"] * 4
    assert compared.ratio > 0 and compared.mib >= 0


def test_implicit_names_the_same_items_on_the_same_factors(bundle: Path) -> None:
    found = bench_bulk(bundle, k=10, users=80, items=[500, 20_000], repeats=1)
    assert [(row.items, row.users) for row in found.catalogues][1:] == [(500, 80), (20_000, 80)]
    assert found.catalogues[0].users == 80
    for row in found.catalogues:
        assert row.same > 0.99
        assert row.ratio == pytest.approx(row.per_second / row.peer_per_second)


def test_the_command_tells_the_same_as_json(bundle: Path) -> None:
    options = ["--users", "20", "--items", "300", "--repeats", "1", "--json"]
    ran = CliRunner().invoke(app, ["bench", "bulk", str(bundle), *options])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert [row["data"] for row in told["catalogues"]] == ["ml-1m", "made up"] and told["encoded_per_second"] > 0


def test_without_implicit_one_sentence_says_what_to_install(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(UserError, match=r"pip install 'latentcrs\[dev\]'"):
        bench_bulk(bundle, users=10, items=[], repeats=1)


def test_sentence_transformers_gives_the_same_vectors_of_the_same_texts(small_movielens: Path) -> None:
    options = ["--sample", "8", "--repeats", "1", "--device", "cpu", "--json"]
    ran = CliRunner().invoke(app, ["bench", "embed", str(small_movielens), *options])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert {row["texts"] for row in told["encodings"]} == {"items", "requests", "requests, one by one"}
    for row in told["encodings"]:
        assert row["per_second"] > 0 and row["peer_per_second"] > 0
        assert row["lowest_cosine"] > (0.9999 if row["precision"] == "float32" else 0.98)
    precisions = {row["precision"] for row in told["encodings"]}
    assert precisions >= {"float32", *["int8"] * has_int8()}


def test_an_encoder_of_another_kind_has_no_peer(small_movielens: Path) -> None:
    ran = CliRunner().invoke(app, ["bench", "embed", str(small_movielens), "--encoder", "http://127.0.0.1:9/v1#m"])
    assert isinstance(ran.exception, UserError) and "compares sentence-transformers models" in str(ran.exception)
