"""Claims about calibration: the parts of h are h, and count as rows that trained nothing want them to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from latentcrs.fit.rows import request_rows
from latentcrs.intent import Rows, calibration, load_config
from latentcrs.intent.calibration import calibrate, part_scores
from latentcrs.intent.em import model_scores
from latentcrs.recommend import load_bundle
from latentcrs.recommend.bundle import Bundle
from latentcrs.recommend.users import trained_dataset
from latentcrs.text import open_encoder


@pytest.fixture
def opened(bundle: Path, small_movielens_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    return load_bundle(bundle)


@pytest.fixture
def valid(opened: Bundle) -> Rows:
    encoder = open_encoder(opened.info.text_encoder.spec, "cpu")
    dataset = trained_dataset(opened.info)
    return request_rows(dataset, "valid", opened.behaviour, encoder, reader=opened.reader)


def loss(opened: Bundle, rows: Rows) -> float:
    with torch.inference_mode():
        return float(F.cross_entropy(model_scores(opened.generative, rows)(slice(None)), rows.targets))


def test_a_bundle_is_calibrated_and_says_how(opened: Bundle) -> None:
    written = opened.info.report["calibrated"]["scales"]
    assert opened.generative.scales.tolist() == pytest.approx(written, abs=1e-3)
    assert max(abs(scale - 1) for scale in written) > 0.05


def test_the_parts_add_up_to_the_scores(opened: Bundle, valid: Rows) -> None:
    model, some = opened.generative, np.array([0, 7, 30])
    with torch.inference_mode():
        whole = model_scores(model, valid.take(some))(slice(None))
        chosen = np.array([3, 5, 100])
        parts = part_scores(model, model.item_parts(), valid, some, chosen)
    beside = model.scales[-2:, None, None] * parts[-2:]  # scaled where the parts are put together
    torch.testing.assert_close(parts[:-2].sum(0) + beside.sum(0), whole[:, chosen], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("most", [calibration.MOST, 300], ids=["all items", "a sample of them"])
def test_calibrated_parts_fit_what_was_not_trained_on_better(
    opened: Bundle, valid: Rows, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(calibration, "MOST", most)
    opened.generative.scales.fill_(1.0)
    before = loss(opened, valid)
    calibrate(opened.generative, valid)
    assert loss(opened, valid) < before - 0.01


def test_what_is_scored_beforehand_counts_as_what_is_scored_batch_by_batch(
    opened: Bundle, valid: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "STEPS", 20)
    beforehand = calibrate(opened.generative, valid)["scales"]
    monkeypatch.setattr(calibration, "AT_ONCE", 0)
    assert calibrate(opened.generative, valid)["scales"] == pytest.approx(beforehand, abs=0.005)
    assert max(abs(scale - 1) for scale in beforehand) > 0.05


def test_what_lacks_the_additions_is_not_calibrated() -> None:
    assert load_config("default").model.calibrated
    assert not load_config("paper").model.calibrated
    assert not load_config("default", ["model.clues=false"]).model.calibrated
