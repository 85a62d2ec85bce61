"""Claims about the ablations' switches: what each takes away, and that the frozen model is never touched by them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_em import em_of
from torch.nn import functional as F

from latentcrs import train
from latentcrs.base.checkpoint import Checkpoint
from latentcrs.behaviour import BehaviourEncoder
from latentcrs.behaviour.kmeans import kmeans
from latentcrs.data import PreparedDataset
from latentcrs.fit.rows import request_rows
from latentcrs.fit.training import Inputs, fit_intents, fit_model, stage_checkpoints
from latentcrs.intent import load_config
from latentcrs.intent.em import model_ranks
from latentcrs.intent.losses import kl_divergence, log_posterior
from latentcrs.intent.stage import mean_ndcg20, ndcg20
from latentcrs.intent.tuning import tune_encoder
from latentcrs.recommend import load_bundle
from latentcrs.text import open_encoder


def test_without_an_inference_model_q_is_neither_trained_nor_heard(inputs: Inputs) -> None:
    em, batch = em_of(inputs, shape={"dropout": 0.0}, scheme="no-inference", kl=1, infonce=1, alpha_m=3), slice(0, 50)
    rows = torch.arange(50)
    _, _, query = em.generative(inputs.train.S[batch], inputs.train.X(batch))
    scores = query @ em.generative.items().T
    loss = em.m_loss(inputs.train, rows)
    assert loss.item() == pytest.approx(3 * F.cross_entropy(scores, inputs.train.targets[batch]).item(), rel=1e-3)
    before = {name: tensor.clone() for name, tensor in em.inference.state_dict().items()}
    report = em.fit(inputs.train, inputs.valid)
    assert {name for name, stage in report.items() if isinstance(stage, dict)} == {"generative"}
    assert all(torch.equal(before[name], tensor) for name, tensor in em.inference.state_dict().items())


def test_direct_alignment_trains_both_models_in_one_stage(inputs: Inputs) -> None:
    em, batch = (
        em_of(inputs, shape={"dropout": 0.0}, scheme="direct-kl", kl=2, alpha_e=0, alpha_m=0),
        torch.arange(50),
    )
    S, X = inputs.train.S[batch], inputs.train.X(batch)
    expected = 2 * kl_divergence(em.inference.log_q(S), em.generative(S, X)[0])
    loss = em.direct_loss(inputs.train, batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert em.inference.W_q.grad is not None and em.inference.W_q.grad.abs().sum() > 0
    assert em.generative.W_m.grad is not None and em.generative.W_m.grad.abs().sum() > 0
    em = em_of(inputs, scheme="direct-kl", kl=2)
    before = {name: tensor.clone() for name, tensor in em.inference.state_dict().items()}
    report = em.fit(inputs.train, inputs.valid)
    assert {name for name, stage in report.items() if isinstance(stage, dict)} == {"direct"}
    assert report["direct"]["validation_ndcg@20"] > 0
    assert not torch.equal(before["W_q"], em.inference.W_q)


def test_the_hard_e_step_draws_q_to_the_likeliest_intent_of_the_posterior(inputs: Inputs) -> None:
    em, batch = em_of(inputs, shape={"dropout": 0.0}, posterior="hard", alpha_e=0), torch.arange(50)
    S, targets = inputs.train.S[batch], inputs.train.targets[batch]
    with torch.no_grad():
        log_f, Z, _ = em.generative(S, inputs.train.X(batch))
        likeliest = log_posterior(log_f, em.target_log_ratio(Z, targets)).argmax(1)
        expected = -em.inference.log_q(S)[batch, likeliest].mean()
    assert em.e_loss(inputs.train, batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_intents_of_items_are_centroids_of_v(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))  # another run's checkpoint has its centroids
    config = load_config("default", ["model.centroids=items", "model.intents=8", "em.epochs=1", "em.min_steps=0"])
    _, generative, report = fit_intents(inputs, config)
    assert report["intents"] == 8
    assert torch.equal(generative.M, kmeans(inputs.V, 8, 0))
    assert not torch.equal(generative.M, kmeans(inputs.users, 8, 0))


def test_stages_are_shared_by_configurations_that_do_not_differ_in_them() -> None:
    base = stage_checkpoints("mark", load_config("paper"))

    def shared(*settings: str) -> list[str]:
        other = stage_checkpoints("mark", load_config("paper", settings))
        return [stage for stage, checkpoint in other.items() if checkpoint.path == base[stage].path]

    assert shared() == ["inference", "generative", "em"]
    assert shared("em.alpha_e=1") == shared("em.posterior=hard") == ["inference", "generative"]
    for setting in ("em.alpha_m=1", "em.kl=1", "em.infonce=1", "model.form=full", "model.hidden=32"):
        assert shared(setting) == ["inference"], setting
    for setting in ("model.intents=64", "model.centroids=items", "em.epochs=3", "em.seed=1", "em.negatives=20"):
        assert shared(setting) == [], setting
    assert base["em"].path != stage_checkpoints("other", load_config("paper"))["em"].path


@pytest.fixture
def behaviour(inputs: Inputs, request: pytest.FixtureRequest) -> BehaviourEncoder:
    """An encoder of the shape of the inputs', untrained but for its item table."""
    torch.manual_seed(1)
    shape = {"width": inputs.V.shape[1], "length": 30, "loss": getattr(request, "param", "auto")}
    encoder = BehaviourEncoder("sasrec", len(inputs.V), shape, "cpu")
    with torch.no_grad():
        encoder.network.item_weights().copy_(inputs.V)
    return encoder


@pytest.mark.parametrize("behaviour", ["full", "sampled"], indirect=True)
def test_tuning_moves_the_encoder_and_v_follows_it(inputs: Inputs, behaviour: BehaviourEncoder) -> None:
    large = {"full_softmax_items": 10, "samples": 200} if behaviour.network.sampled else {}
    em = em_of(inputs, shape={"skip": True}, tune_encoder=2, tune_learning_rate=3e-3, **large)
    M, S = em.generative.M.clone(), inputs.train.S.clone()
    before = {name: tensor.clone() for name, tensor in behaviour.network.state_dict().items()}
    report = tune_encoder(em, behaviour, inputs.train, inputs.valid, Checkpoint(None, ""))
    assert report["best_epoch"] > 0
    moved = {name for name, tensor in behaviour.network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {"embedding.weight", "blocks.0.qkv.weight"} <= moved
    V = behaviour.network.item_weights()
    assert torch.equal(em.generative.V, V) and torch.equal(em.inference.V, V)
    assert not em.generative.V.requires_grad
    assert torch.equal(em.generative.M, M) and torch.equal(inputs.train.S, S)
    with torch.inference_mode():
        served = behaviour.encode_tensor(inputs.valid.histories)
        query = em.generative(served, inputs.valid.X())[2]
        found = ndcg20(query, em.generative.items(), inputs.valid)
    assert found == pytest.approx(report["validation_ndcg@20"], abs=1e-6)


def test_a_tuned_model_leaves_the_encoder_it_began_with_and_goes_by_another_name(
    inputs: Inputs, behaviour: BehaviourEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    small = ["model.intents=16", "model.hidden=32", "model.text_hidden=32", "em.min_steps=0", "em.epochs=1"]
    slow = ["em.learning_rate=1e-6"]  # so that tuning has something to better
    config = load_config("default", [*small, *slow, "em.tune_encoder=2", "em.tune_learning_rate=0.003"])
    before = behaviour.network.embedding.weight.clone()
    made = fit_model(inputs, behaviour, config)
    assert torch.equal(behaviour.network.embedding.weight, before)
    assert not torch.equal(made.behaviour.network.embedding.weight, before)
    assert "tuned" in made.behaviour.report and "tuned" not in behaviour.report
    again = fit_model(inputs, behaviour, config)  # from the cache
    assert torch.equal(again.behaviour.network.embedding.weight, made.behaviour.network.embedding.weight)
    assert torch.equal(again.generative.items(), made.generative.items())
    assert again.report["tuned"] == made.report["tuned"]


def test_a_bundle_of_a_tuned_model_serves_the_encoder_that_was_tuned(
    small_movielens: Path, small_movielens_cache: Path, settings: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    brief = ["em.epochs=1", "em.tune_encoder=2", "em.tune_learning_rate=0.003"]
    report = train(small_movielens, tmp_path / "tuned", "default", [*settings, *brief], "cpu").report
    assert report["tuned"]["best_epoch"] > 0 and report["behaviour"]["tuned"]
    bundle = load_bundle(tmp_path / "tuned")
    dataset, encoder = PreparedDataset(small_movielens), open_encoder("minilm", "cpu")
    valid = request_rows(dataset, "valid", bundle.behaviour, encoder, reader=bundle.reader)
    with torch.inference_mode():
        found = mean_ndcg20(model_ranks(bundle.generative, valid), valid)
    assert found == pytest.approx(
        report["tuned"]["validation_ndcg@20"], abs=2e-3
    )  # a bundle keeps T in half precision
