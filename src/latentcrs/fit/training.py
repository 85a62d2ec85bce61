"""Train what a bundle is made of: behaviour encoder, text embeddings, intents, EM; each step resumed.

What a step makes is kept in the cache under a fingerprint of its data and of the configuration that it depends on, so
a killed run goes on, and two bundles that share a behaviour encoder or a stage of Algorithm 1 train it once. That is
also how a group of processes (`latentcrs.base.group`) hands over what it has trained: this process finds it there.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.base.device import resolve_device
from latentcrs.base.errors import UserError
from latentcrs.base.files import cache_folder
from latentcrs.base.group import Together, current_group
from latentcrs.base.places import below, is_file, remove_file
from latentcrs.base.progress import say
from latentcrs.behaviour import BehaviourEncoder
from latentcrs.behaviour.kmeans import kmeans
from latentcrs.data import Histories, PreparedDataset
from latentcrs.fit.rows import (
    ClueReader,
    held_out,
    item_texts,
    joined_rows,
    request_rows,
    spoken_rows,
    training_counts,
    training_sequences,
)
from latentcrs.intent import EM, Config, GenerativeModel, InferenceModel, Rows, Softmax
from latentcrs.intent.calibration import calibrate
from latentcrs.intent.em import stages
from latentcrs.intent.tuning import tune_encoder
from latentcrs.text import TextEncoder

SINCE = {stage: "0.1.0" for stage in ("behaviour", "inputs", "inference", "generative", "em", "direct", "tuned")}
"""The release in which what a stage makes of the same data and settings last changed: written down here with such a
change, or else what was trained before is taken for it. A release that changes nothing trains nothing anew.
"""


def fingerprint(*parts: Any, release: str = "0.1.0") -> str:
    """A short name for data and configuration. release: where what is made of them last changed (see `since`)."""
    return hashlib.sha256(json.dumps([release, *parts], sort_keys=True).encode()).hexdigest()[:16]


def since(*made_by: str) -> str:
    """The release in which what these stages make, one after the other, last changed."""
    return max((SINCE[stage] for stage in made_by), key=lambda release: [int(part) for part in release.split(".")])


def work_folder() -> Path:
    """Where unfinished and finished steps of training are kept: `LATENTCRS_TRAINING`, else in the cache."""
    return Path(os.environ.get("LATENTCRS_TRAINING") or cache_folder() / "training")


def fit_behaviour(
    dataset: PreparedDataset,
    config: Config,
    device: str = "auto",
    fresh: bool = False,
    folder: str | Path | None = None,
    together: Together | None = None,
) -> BehaviourEncoder:
    """The behaviour encoder of this data set and configuration: from the cache, resumed, or trained.

    folder: path or URL in place of `work_folder()`; together: the group that trains it, in place of this process.
    """
    section = config.behaviour.model_dump()
    named = dataset.named_histories if config.behaviour.unordered else None
    talk = [dataset.info.checksums["mentions.parquet"]] if named is not None and len(named) else []
    log = dataset.info.checksums["interactions.parquet"]
    told = [] if dataset.weights is None else ["weighted"]
    name = f"behaviour-{fingerprint(log, section, *talk, *told, release=since('behaviour'))}"
    folder = folder or work_folder()
    finished, checkpoint = below(folder, f"{name}.safetensors"), below(folder, f"{name}.checkpoint.safetensors")
    if fresh:
        remove_file(finished)
        remove_file(checkpoint)
    if is_file(finished):
        say(f"behaviour encoder: taken as it was trained before on this log ({config.behaviour.encoder})")
        return BehaviourEncoder.load(finished, device)
    validation = held_out(dataset, "valid")
    job = partial(
        _train_behaviour,
        config,
        dataset.info.items,
        training_sequences(dataset),
        validation,
        named if talk else None,
        finished,
        checkpoint,
    )
    if together is None:
        return job(device)
    together(job)
    if not is_file(finished):
        raise UserError(OUT_OF_REACH.format(folder=folder))
    return BehaviourEncoder.load(finished, device)


OUT_OF_REACH = (
    "What the workers trained is not in {folder}: give --checkpoints a place that they and this machine reach."
)


def _train_behaviour(
    config: Config,
    items: int,
    sequences: Histories,
    validation: tuple[Histories, NDArray[np.int32]],
    named: Histories | None,
    finished: str | Path,
    checkpoint: str | Path,
    device: str,
) -> BehaviourEncoder:
    if is_file(finished):  # by a group of which a process died after that
        return BehaviourEncoder.load(finished, device)
    encoder = BehaviourEncoder(config.behaviour.encoder, items, config.behaviour.network, device)
    section = config.behaviour
    encoder.report = encoder.fit(sequences, validation, section.training, checkpoint, section.unordered, named)
    if current_group().rank == 0:
        encoder.save(finished, encoder.report)
        remove_file(checkpoint)
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
    reader: ClueReader | None = None  # of the clues that the rows have, where the model uses any
    found: dict[tuple[Any, ...], Tensor] = field(default_factory=dict)
    """Centroids by what they are of: clustered once, by whoever asks first."""

    def centroids(self, config: Config) -> Tensor:
        """M, (K, d), of Eq. 3. With fewer than four points per intent, K is lowered to a quarter of the points."""
        whose = config.model.centroids
        points = self.users if whose == "users" else self.V
        most = max(2, len(points) // 4)
        key = (whose, min(config.model.intents, most), config.em.seed)
        if key not in self.found:
            if config.model.intents > most:
                say(f"intents: {most} in place of {config.model.intents}, because there are {len(points)} {whose}")
            self.found[key] = kmeans(points, key[1], config.em.seed)
        return self.found[key]

    def to(self, device: torch.device) -> Inputs:
        """The same on another device."""
        changed = {name: getattr(self, name).to(device) for name in ("V", "T", "counts", "users")}
        rows = {name: getattr(self, name).to(device) for name in ("train", "valid")}
        found = {key: M.to(device) for key, M in self.found.items()}
        return replace(self, **changed, **rows, found=found)


def gather_inputs(
    dataset: PreparedDataset, behaviour: BehaviourEncoder, encoder: TextEncoder, config: Config
) -> Inputs:
    """Embed every text and every history once."""
    device, em = behaviour.device, config.em
    sequences = training_sequences(dataset)
    reader = ClueReader.of(dataset) if config.model.clues else None

    def rows(split: str, raw_only: bool = False) -> Rows:
        simulated = request_rows(dataset, split, behaviour, encoder, em.max_history, raw_only, reader)
        return joined_rows(simulated, spoken_rows(dataset, split, behaviour, encoder, reader))

    return Inputs(
        train=rows("train", em.raw_rows_only),
        valid=rows("valid"),
        V=behaviour.item_vectors().clone(),
        T=torch.from_numpy(item_texts(dataset, encoder)).to(device),
        counts=training_counts(dataset, device),
        users=behaviour.encode_tensor(
            sequences if em.max_history is None else sequences.newest(em.max_history)
        ).clone(),
        mark=inputs_mark(dataset, behaviour, encoder, config),
        reader=reader,
    )


def inputs_mark(dataset: PreparedDataset, behaviour: BehaviourEncoder, encoder: TextEncoder, config: Config) -> str:
    """What `gather_inputs` calls its result: known without embedding anything."""
    files = {n: dataset.info.checksums[n] for n in ("interactions.parquet", "items.parquet", "requests.parquet")}
    files |= {name: dataset.info.checksums[name] for name in ("spoken.parquet",) if name in dataset.info.checksums}
    seen = [config.em.max_history, config.em.raw_rows_only, *["clues", "telling"] * config.model.clues]
    trained = [behaviour.report.get("validation_ndcg@20"), *filter(None, [behaviour.report.get("tuned")])]
    sections = [seen, encoder.id, config.behaviour.model_dump()]
    return fingerprint(files, *sections, *trained, release=since("behaviour", "inputs"))


AFTER_INFERENCE = {"alpha_e", "alpha_m", "kl", "infonce", "infonce_negatives", "scheme"}
"""Settings of `em` that the first stage of Algorithm 1 does not depend on, beside those of the stages after it."""
AFTER_GENERATIVE = {"alpha_e", "posterior"}
AFTER_EM = {"tune_encoder", "tune_learning_rate"}
STAGE_FILES = {"inference": "1", "generative": "2", "em": "3", "direct": "direct", "tuned": "tuned"}


def stage_checkpoints(mark: str, config: Config, folder: str | Path | None = None) -> dict[str, Checkpoint]:
    """Where each stage is kept, under what it depends on: points that differ in alpha_e share the first two stages.

    mark: of the inputs; folder: path or URL in place of `work_folder()`.
    """
    em, model = config.em.model_dump(), config.model.model_dump(exclude={"closeness"})
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
        before = list(parts)[: list(parts).index(stage)]
        name = fingerprint(mark, stage, *part, release=since(*before, stage))
        found[stage] = Checkpoint(
            below(folder or work_folder(), f"intent-{name}.{STAGE_FILES[stage]}.safetensors"), name
        )
    return found


def fit_intents(inputs: Inputs, config: Config) -> tuple[InferenceModel, GenerativeModel, dict[str, Any]]:
    """K-means and Algorithm 1."""
    em, report = _fit_em(inputs, config, stage_checkpoints(inputs.mark, config))
    return em.inference, em.generative, report


def _fit_em(inputs: Inputs, config: Config, checkpoints: dict[str, Checkpoint]) -> tuple[EM, dict[str, Any]]:
    # Not the tensor itself: a checkpoint is put back into it.
    device, M = inputs.V.device, inputs.centroids(config).clone()
    torch.manual_seed(config.em.seed)
    inference = InferenceModel(M, inputs.V).to(device)
    log_popularity = torch.log(inputs.counts + 1)
    suggested = None
    if inputs.reader is not None and inputs.reader.comentions is not None:
        suggested = torch.from_numpy(inputs.reader.comentions.log_suggested)
    generative = GenerativeModel(M, inputs.V, inputs.T, log_popularity, config.model, suggested).to(device)
    em = EM(inference, generative, Softmax(inputs.counts, config.em), config.em)
    valid = _validation(inputs, config)
    report = em.fit(inputs.train, valid, checkpoints)
    if config.model.calibrated and current_group().size == 1:
        report["calibrated"] = calibrate(generative, valid, config.em.seed)
        report["calibrated"]["validation_ndcg@20"] = em.ndcg20(valid)
    report["intents"] = len(M)
    return em, report


@dataclass
class TrainedModel:
    """What a bundle is made of."""

    behaviour: BehaviourEncoder
    inference: InferenceModel
    generative: GenerativeModel
    report: dict[str, Any]


def fit_model(
    inputs: Inputs,
    behaviour: BehaviourEncoder,
    config: Config,
    fresh: bool = False,
    folder: str | Path | None = None,
    together: Together | None = None,
) -> TrainedModel:
    """`fit_intents`, then the tuning of the behaviour encoder, of a copy of it, where `em.tune_encoder` asks for it.

    behaviour: the encoder that `inputs` were made with; folder and together: see `fit_behaviour`.
    """
    folder = folder or work_folder()
    checkpoints = stage_checkpoints(inputs.mark, config, folder)
    if fresh:
        for checkpoint in checkpoints.values():
            checkpoint.remove()
    if together is None:
        return _train_model(inputs, behaviour, config, checkpoints)
    inputs.centroids(config)
    cpu = torch.device("cpu")
    seconds = together(partial(_train_there, inputs.to(cpu), behaviour.to(cpu), config, checkpoints))
    if not all(is_file(checkpoint.path) for checkpoint in checkpoints.values() if checkpoint.path):
        raise UserError(OUT_OF_REACH.format(folder=folder))
    made = _train_model(inputs, behaviour, config, checkpoints)
    made.report["seconds"] = seconds
    return made


def _train_there(
    inputs: Inputs, behaviour: BehaviourEncoder, config: Config, checkpoints: dict[str, Checkpoint], device: str
) -> float:
    """What each process of a group does; the models are in the checkpoints. Returns the seconds of the stages."""
    place = resolve_device(device)
    return float(_train_model(inputs.to(place), behaviour.to(place), config, checkpoints).report["seconds"])


def _train_model(
    inputs: Inputs, behaviour: BehaviourEncoder, config: Config, checkpoints: dict[str, Checkpoint]
) -> TrainedModel:
    em, report = _fit_em(inputs, config, checkpoints)
    if config.em.tune_encoder:
        behaviour, saved = copy.deepcopy(behaviour), checkpoints["tuned"]
        report["tuned"] = tune_encoder(em, behaviour, inputs.train, _validation(inputs, config), saved)
        behaviour.report = {**behaviour.report, "tuned": saved.fingerprint}
    return TrainedModel(behaviour, em.inference, em.generative, report)


def _validation(inputs: Inputs, config: Config) -> Rows:
    """The rows that this process validates on: all of them, or its share in a group."""
    rows = sample_rows(inputs.valid, config.em.validation_rows)
    return rows.take(np.arange(len(rows))[current_group().share(len(rows))])


def sample_rows(rows: Rows, most: int) -> Rows:
    """At most `most` of the rows, evenly spread: what a stage is validated on."""
    if len(rows) <= most:
        return rows
    return rows.take(torch.linspace(0, len(rows) - 1, most).long().numpy())
