"""Claims about training a bundle: the same twice, the same after a kill, and whole or absent."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from latentcrs import train
from latentcrs.base.errors import UserError
from latentcrs.recommend import BundleInfo, load_bundle

RUN = "from latentcrs.cli.main import main; main()"


def metrics(report: dict[str, Any]) -> dict[str, Any]:
    """A bundle's report without how long it took."""
    return {
        stage: {key: value for key, value in found.items() if key != "seconds"}
        for stage, found in report.items()
        if isinstance(found, dict)
    }


def report_of(bundle: Path) -> dict[str, Any]:
    return metrics(BundleInfo.model_validate_json((bundle / "bundle.json").read_text("utf-8")).report)


def test_training_again_gives_the_same_weights_and_the_same_figures(
    small_movielens: Path, bundle: Path, own_cache: Path, settings: list[str], tmp_path: Path
) -> None:
    # In a process of its own, as a user runs it: what other tests left in the one that made `bundle` must not count.
    command = ["train", str(small_movielens), "--out", str(tmp_path / "again"), "--device", "cpu"]
    command += [argument for setting in settings for argument in ("--set", setting)]
    places = {"LATENTCRS_CACHE": str(own_cache), "LATENTCRS_TRAINING": str(tmp_path / "training")}
    subprocess.run([sys.executable, "-c", RUN, *command], check=True, capture_output=True, env=os.environ | places)
    report = report_of(tmp_path / "again")
    assert report == report_of(bundle)
    assert report["em"]["validation_ndcg@20"] > 2 * report["behaviour"]["validation_ndcg@20"]
    before, after = load_bundle(bundle), load_bundle(tmp_path / "again")
    for module in ("inference", "generative"):
        first, second = (getattr(of, module).state_dict() for of in (before, after))
        assert all((first[name] == second[name]).all() for name in first)


def test_what_was_trained_before_is_taken_and_fresh_trains_it_again(
    small_movielens: Path,
    bundle: Path,
    small_movielens_cache: Path,
    settings: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    other = [*settings, "em.alpha_m=2", "em.epochs=2", "model.calibrated=false"]  # the behaviour encoder is the same
    train(small_movielens, tmp_path / "other", settings=other, device="cpu")
    assert "taken as it was trained before" in capfd.readouterr().err
    train(small_movielens, tmp_path / "other", settings=other, device="cpu", fresh=True)
    assert "taken as it was trained before" not in capfd.readouterr().err
    found = report_of(tmp_path / "other")
    # Threads and memory as other tests left them change the last digits.
    assert found["behaviour"]["curve"] == pytest.approx(report_of(bundle)["behaviour"]["curve"], rel=0.02)
    assert found["generative"] != report_of(bundle)["generative"]


def test_a_manifest_says_how_to_make_the_bundle_again(small_movielens: Path, bundle: Path) -> None:
    info = BundleInfo.model_validate_json((bundle / "bundle.json").read_text("utf-8"))
    assert info.dataset.path == str(small_movielens.resolve())
    assert info.config.model.intents == 16
    assert set(info.checksums) == {path.name for path in bundle.iterdir()} - {"bundle.json"}
    assert info.versions["latentcrs"]


def test_another_folder_is_not_overwritten(small_movielens: Path, settings: list[str], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"holds other files"):
        train(small_movielens, tmp_path, settings=settings)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    with pytest.raises(UserError, match=r"not a prepared data set"):
        train(tmp_path, tmp_path / "out", settings=settings)
    assert not (tmp_path / "out").exists()


def epochs_done(cache: Path, kind: str) -> int:
    """How many epochs the checkpoint of a step has; 0 where there is none."""
    from latentcrs.base.checkpoint import load_tensors

    for path in (cache / "training").glob(f"{kind}*.safetensors"):
        if not path.name.startswith("."):
            try:
                return int(load_tensors(path)[1]["loop"]["epoch"])
            except UserError:  # replaced while it was read
                return 0
    return 0


@pytest.mark.parametrize("moment", ["behaviour-*.checkpoint", "intent-*.2"], ids=["behaviour", "generative model"])
def test_a_run_killed_midway_and_started_again_ends_with_the_figures_of_one_that_was_not(
    small_movielens: Path, bundle: Path, own_cache: Path, settings: list[str], tmp_path: Path, moment: str
) -> None:
    out = tmp_path / "models" / "movies"
    command = [sys.executable, "-c", RUN, "train", str(small_movielens), "--out", str(out)]
    command += ["--device", "cpu", *(part for setting in settings for part in ("--set", setting))]
    environment = {**os.environ, "LATENTCRS_CACHE": str(own_cache)}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while running.poll() is None and not epochs_done(own_cache, moment):
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        stderr = running.communicate(timeout=60)[1].decode()
    finally:
        running.kill()
    assert running.returncode == -signal.SIGKILL, stderr
    assert epochs_done(own_cache, moment) > 0, "it was killed after its first whole epoch"
    assert not out.parent.exists()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert report_of(out) == report_of(bundle)
    assert [path.name for path in out.parent.iterdir()] == ["movies"]
    recorded = json.loads((out / "bundle.json").read_text("utf-8"))["command"]
    assert shlex.split(recorded)[1:3] == ["train", str(small_movielens)]
