"""Train a bundle from a prepared data set: behaviour encoder, text embeddings, intents, EM; each step resumed.

What a step makes is kept in the cache under a fingerprint of its data and of the configuration that it depends on, so
a killed run goes on, and two bundles that share a behaviour encoder or a stage of Algorithm 1 train it once.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import latentcrs
from latentcrs.behaviour import BehaviourEncoder
from latentcrs.behaviour.kmeans import kmeans
from latentcrs.checkpoint import Checkpoint
from latentcrs.data import PreparedDataset
from latentcrs.files import cache_folder, refuse_foreign_folder
from latentcrs.intent import EM, Config, GenerativeModel, InferenceModel, Rows, Softmax, load_config
from latentcrs.intent.em import stages
from latentcrs.intent.tuning import tune_encoder
from latentcrs.language import TextEncoder, open_encoder
from latentcrs.progress import say
from latentcrs.recommend.bundle import MANIFEST, BundleInfo, save_bundle
from latentcrs.rows import held_out, item_texts, request_rows, training_counts, training_sequences
from latentcrs.simulate import fill_requests


def fingerprint(*parts: Any) -> str:
    """A short name for data and configuration: the same parts give the same name."""
    return hashlib.sha256(json.dumps([latentcrs.__version__, *parts], sort_keys=True).encode()).hexdigest()[:16]


def work_folder() -> Path:
    """Where unfinished and finished steps of training are kept: `LATENTCRS_TRAINING`, else in the cache."""
    return Path(os.environ.get("LATENTCRS_TRAINING") or cache_folder() / "training")


def fit_behaviour(
    dataset: PreparedDataset, config: Config, device: str = "auto", fresh: bool = False
) -> BehaviourEncoder:
    """The behaviour encoder of this data set and configuration: from the cache, resumed, or trained."""
    section = config.behaviour.model_dump()
    name = f"behaviour-{fingerprint(dataset.info.checksums['interactions.parquet'], section)}"
    finished, checkpoint = work_folder() / f"{name}.safetensors", work_folder() / f"{name}.checkpoint.safetensors"
    if fresh:
        finished.unlink(missing_ok=True)
        checkpoint.unlink(missing_ok=True)
    if finished.is_file():
        say(f"behaviour encoder: taken as it was trained before on this log ({config.behaviour.encoder})")
        return BehaviourEncoder.load(finished, device)
    encoder = BehaviourEncoder(config.behaviour.encoder, dataset.info.items, config.behaviour.network, device)
    encoder.report = encoder.fit(
        training_sequences(dataset), held_out(dataset, "valid"), config.behaviour.training, checkpoint
    )
    encoder.save(finished, encoder.report)
    checkpoint.unlink(missing_ok=True)
    return encoder


@dataclass
class Inputs:
    """What the intent model and its references train on, all of it constant: the encoders are frozen."""

    train: Rows
    valid: Rows
    V: Tensor  # (n, d)
    T: Tensor  # (n, d_x)
    counts: Tensor  # (n,)
    users: Tensor  # S of every user's training sequence, (users, d)
    mark: str  # fingerprint of the data and the encoders


def gather_inputs(
    dataset: PreparedDataset, behaviour: BehaviourEncoder, encoder: TextEncoder, config: Config
) -> Inputs:
    """Embed every text and every history once."""
    device, em = behaviour.device, config.em
    sequences = training_sequences(dataset)
    return Inputs(
        train=request_rows(dataset, "train", behaviour, encoder, em.max_history, em.raw_rows_only),
        valid=request_rows(dataset, "valid", behaviour, encoder, em.max_history),
        V=behaviour.network.item_weights().detach().clone(),
        T=torch.from_numpy(item_texts(dataset, encoder)).to(device),
        counts=training_counts(dataset, device),
        users=behaviour.encode_tensor(
            sequences if em.max_history is None else sequences.newest(em.max_history)
        ).clone(),
        mark=inputs_mark(dataset, behaviour, encoder, config),
    )


def inputs_mark(dataset: PreparedDataset, behaviour: BehaviourEncoder, encoder: TextEncoder, config: Config) -> str:
    """What `gather_inputs` calls its result: known without embedding anything."""
    files = {
        name: dataset.info.checksums[name] for name in ("interactions.parquet", "items.parquet", "requests.parquet")
    }
    seen = [config.em.max_history, config.em.raw_rows_only]
    trained = [behaviour.report.get("validation_ndcg@20"), *filter(None, [behaviour.report.get("tuned")])]
    return fingerprint(files, seen, encoder.id, config.behaviour.model_dump(), *trained)


AFTER_INFERENCE = {"alpha_e", "alpha_m", "kl", "infonce", "infonce_negatives", "scheme"}
"""Settings of `em` that the first stage of Algorithm 1 does not depend on, beside those of the stages after it."""
AFTER_GENERATIVE = {"alpha_e", "posterior"}
AFTER_EM = {"tune_encoder", "tune_learning_rate"}
STAGE_FILES = {"inference": "1", "generative": "2", "em": "3", "direct": "direct", "tuned": "tuned"}


def stage_checkpoints(mark: str, config: Config) -> dict[str, Checkpoint]:
    """Where each stage is kept, under what it depends on: points that differ in alpha_e share the first two stages.

    mark: of the inputs.
    """
    em, model = config.em.model_dump(), config.model.model_dump()
    parts: dict[str, list[Any]] = {}
    for stage in (*stages(config.em.scheme), *["tuned"] * bool(config.em.tune_encoder)):
        later: set[str] = set() if stage == "tuned" else AFTER_EM
        if stage in ("inference", "generative"):
            later = later | AFTER_GENERATIVE
        shape: dict[str, Any] = model
        if stage == "inference":
            later = later | AFTER_INFERENCE
            shape = {name: model[name] for name in ("intents", "centroids") if name in model}
        parts[stage] = [{name: value for name, value in em.items() if name not in later}, shape]
    found = {}
    for stage, part in parts.items():
        name = fingerprint(mark, stage, *part)
        found[stage] = Checkpoint(work_folder() / f"intent-{name}.{STAGE_FILES[stage]}.safetensors", name)
    return found


def fit_intents(
    inputs: Inputs, config: Config, fresh: bool = False
) -> tuple[InferenceModel, GenerativeModel, dict[str, Any]]:
    """K-means and Algorithm 1. With fewer than four users per intent, K is lowered to a quarter of the users."""
    em, report = _fit_em(inputs, config, stage_checkpoints(inputs.mark, config), fresh)
    return em.inference, em.generative, report


def _fit_em(
    inputs: Inputs, config: Config, checkpoints: dict[str, Checkpoint], fresh: bool
) -> tuple[EM, dict[str, Any]]:
    device, whose = inputs.V.device, config.model.centroids
    points = inputs.users if whose == "users" else inputs.V
    most = max(2, len(points) // 4)
    if config.model.intents > most:
        say(f"intents: {most} in place of {config.model.intents}, because there are {len(points)} {whose}")
    torch.manual_seed(config.em.seed)
    M = kmeans(points, min(config.model.intents, most), config.em.seed)
    inference = InferenceModel(M, inputs.V).to(device)
    log_popularity = torch.log(inputs.counts + 1)
    generative = GenerativeModel(M, inputs.V, inputs.T, log_popularity, config.model).to(device)
    if fresh:
        for checkpoint in checkpoints.values():
            checkpoint.remove()
    em = EM(inference, generative, Softmax(inputs.counts, config.em), config.em)
    report = em.fit(inputs.train, sample_rows(inputs.valid, config.em.validation_rows), checkpoints)
    report["intents"] = len(M)
    return em, report


@dataclass
class Trained:
    """What a bundle is made of."""

    behaviour: BehaviourEncoder
    inference: InferenceModel
    generative: GenerativeModel
    report: dict[str, Any]


def fit_model(inputs: Inputs, behaviour: BehaviourEncoder, config: Config, fresh: bool = False) -> Trained:
    """`fit_intents`, then the tuning of the behaviour encoder, of a copy of it, where `em.tune_encoder` asks for it.

    behaviour: the encoder that `inputs` were made with.
    """
    checkpoints = stage_checkpoints(inputs.mark, config)
    em, report = _fit_em(inputs, config, checkpoints, fresh)
    if config.em.tune_encoder:
        behaviour = copy.deepcopy(behaviour)
        valid, saved = sample_rows(inputs.valid, config.em.validation_rows), checkpoints["tuned"]
        report["tuned"] = tune_encoder(em, behaviour, inputs.train, valid, saved)
        behaviour.report = {**behaviour.report, "tuned": saved.fingerprint}
    return Trained(behaviour, em.inference, em.generative, report)


def sample_rows(rows: Rows, most: int) -> Rows:
    """At most `most` of the rows, evenly spread: what a stage is validated on."""
    if len(rows) <= most:
        return rows
    return rows.take(torch.linspace(0, len(rows) - 1, most).long().numpy())


def train(
    dataset: str | Path,
    out: str | Path,
    preset: str = "default",
    settings: Sequence[str] = (),
    device: str = "auto",
    fresh: bool = False,
    command: str = "latentcrs.train",
) -> BundleInfo:
    """Train LatentCRS on a prepared data set and write the bundle `out`. Simulates requests for splits without any.

    `settings` lays values over the preset ("em.alpha_m=1"); `fresh` trains anew what an earlier run has left.

    Raises:
        UserError: no data set there, an unknown preset or setting, a device that is not there, or `out` is something
            else's folder.
    """
    config = load_config(preset, list(settings))
    refuse_foreign_folder(Path(out), MANIFEST)
    prepared = PreparedDataset(dataset)
    complete_requests(prepared)
    encoder = open_encoder(config.text_encoder, device)
    behaviour = fit_behaviour(prepared, config, device, fresh)
    inputs = gather_inputs(prepared, behaviour, encoder, config)
    made = fit_model(inputs, behaviour, config, fresh)
    report = {"behaviour": made.behaviour.report, **made.report}
    return save_bundle(
        Path(out), prepared, made.behaviour, made.inference, made.generative, encoder, config, report, command
    )


def complete_requests(dataset: PreparedDataset) -> None:
    """Simulate the requests of the splits that have none."""
    if missing := dataset.missing_splits:
        say(f"requests: simulating those for {', '.join(missing)}")
        fill_requests(dataset)
