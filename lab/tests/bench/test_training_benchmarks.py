"""Claims about the benchmarks of training: both sides of a comparison compute the same, and every figure is there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

import em_beside_plain_loop as bench
from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs.intent import load_config
from latentcrs.recommend import load_bundle
from plain_em import PlainEM
from sasrec_beside_replay import OURS, PEER, SHARE, QualityBenchmark, Run, bench_quality, ours
from training_step import FULL, SAMPLED, STAGES, bench_step

SMALL = ["model.intents=16", "em.batch=32", "model.dropout=0"]


@pytest.mark.parametrize(
    ("preset", "settings"),
    [("paper", []), ("default", []), ("default", ["em.negatives=5", "em.infonce=0"])],
    ids=["as published", "whole catalogue", "additions, sampled"],
)
def test_the_plain_loop_has_the_losses_of_the_em_stages(
    bundle: Path, small_movielens_cache: Path, monkeypatch: pytest.MonkeyPatch, preset: str, settings: list[str]
) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    config, opened = load_config(preset, [*SMALL, *settings]), load_bundle(bundle)
    rows, seen, _ = bench.training_rows(opened, config, 1)
    em = bench.new_em(opened, rows, config)
    plain = PlainEM(em, opened.behaviour, seen)
    for first, second in ((em.m_loss, plain.m_loss), (em.e_loss, plain.e_loss)):
        losses = []
        for loss in (first, second):
            torch.manual_seed(0)  # the same negatives
            losses.append(float(loss(rows, torch.arange(32)).detach()))
        assert losses[1] == pytest.approx(losses[0], rel=2e-2)  # the full softmax may be bfloat16's


def test_the_em_stages_and_the_plain_loop_take_turns_on_a_bundles_data(
    bundle: Path, small_movielens_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    settings = [part for setting in SMALL for part in ("--set", setting)]
    app = typer.Typer()
    app.command()(bench.main)
    ran = CliRunner().invoke(app, [str(bundle), "--batches", "2", "--json", *settings])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    ours, peer = found["milliseconds"][bench.OURS], found["milliseconds"][bench.PEER]
    assert found["ratio"] == pytest.approx(sum(peer.values()) / sum(ours.values()))
    assert 0 < found["ratio_with_encoding"] < found["ratio"]
    assert min(found["peak_mib"].values()) > 50


def test_only_what_the_plain_loop_computes_is_compared(bundle: Path) -> None:
    with pytest.raises(UserError, match="form=factorised"):
        bench.bench_em(bundle, settings=["model.form=full"])
    with pytest.raises(UserError, match="training requests"):
        bench.bench_em(bundle, batches=100_000)


def test_a_step_is_timed_at_every_size_the_full_softmax_at_small_ones_alone() -> None:
    found = bench_step([1_000, 60_000], repeats=1, device="cpu")
    timed = {curve.name: sorted(curve.milliseconds) for curve in found.curves}
    assert timed[FULL] == [1_000] and timed[SAMPLED] == timed[STAGES] == [1_000, 60_000]
    assert all(curve.growth > 0 and curve.peak_mib > 50 for curve in found.curves)


def test_a_size_too_small_to_sample_from_is_refused() -> None:
    with pytest.raises(UserError, match="fewer than 1,000"):
        bench_step([3000, 10])


def test_time_to_quality_is_the_first_time_that_it_is_reached() -> None:
    slow = Run(PEER, 0, [1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.1, 0.4])
    quick = Run(OURS, 0, [0.5, 1.0], [0.3, 0.5])
    found = QualityBenchmark("films", [quick, slow], 2e-3, 1e-3, "random", {})
    assert found.quality == pytest.approx(SHARE * 0.4)
    assert (found.seconds(OURS), found.seconds(PEER), found.ratio) == (1.0, 4.0, 4.0)
    assert slow.seconds_to(0.15) == 2.0 and slow.seconds_to(0.9) == float("inf")


def test_our_side_notes_every_epoch_once_and_the_time_only_grows(small_movielens: Path) -> None:
    run = ours(PreparedDataset(small_movielens), epochs=2, seed=0, rate=2e-3)
    assert len(run.seconds) == len(run.ndcg) == 2
    assert 0 < run.seconds[0] < run.seconds[1] and min(run.ndcg) > 0


def test_a_python_without_the_peer_is_named_with_the_way_to_one(small_movielens: Path) -> None:
    with pytest.raises(UserError, match="has no replay-rec; make one"):
        bench_quality(small_movielens, Path(sys.executable), epochs=1, seeds=1)
    with pytest.raises(UserError, match="has no replay-rec; make one"):
        bench_quality(small_movielens, Path("no-such-python"), epochs=1, seeds=1)
