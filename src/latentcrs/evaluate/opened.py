"""A bundle and its data set, opened for evaluation, with the references that are trained beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from latentcrs.baselines.bm25 import BM25
from latentcrs.data import PreparedDataset
from latentcrs.errors import UserError
from latentcrs.evaluate.references import WEIGHTS, TwoTowerFusion, standardised, train_fusion
from latentcrs.intent import Config, GenerativeModel, Rows, load_config
from latentcrs.language import LocalEncoder, open_encoder
from latentcrs.progress import say
from latentcrs.ranking import ndcg_at, ranks_of_scores
from latentcrs.recommend import Bundle, load_bundle
from latentcrs.rows import rows_of
from latentcrs.training import Inputs, fingerprint, fit_intents, gather_inputs, sample_rows, work_folder


class Opened:
    """A bundle, the data set it was trained on, and at first use what it is compared with, on the same encoders.

    dataset: where the data set lies now, if it was moved. mark: names this very bundle in caches.

    Raises:
        UserError: no bundle or data set there, another data set than the bundle's, or another text encoder.
    """

    def __init__(self, bundle: str | Path, dataset: str | Path | None = None, device: str = "auto") -> None:
        self.bundle: Bundle = load_bundle(bundle, device)
        self.mark = fingerprint(self.bundle.info.checksums, self.bundle.info.config.em.max_history)
        self.dataset = dataset_of(self.bundle, dataset)
        trained = self.bundle.info.text_encoder
        self.encoder: LocalEncoder = open_encoder(trained.spec, device)
        if self.encoder.id != trained.id:
            raise UserError(f"The bundle was trained with the text encoder {trained.id}, not {self.encoder.id}.")
        self.bundle.behaviour.report = self.bundle.info.report.get("behaviour", {})

    @cached_property
    def _default(self) -> Config:
        """The configuration that the references are trained under."""
        config = self.bundle.info.config
        return _with_encoders(config if config.preset == "default" else load_config("default"), config)

    @cached_property
    def inputs(self) -> Inputs:
        """What the references are trained on, and the bundle was under the default preset."""
        return gather_inputs(self.dataset, self.bundle.behaviour, self.encoder, self._default)

    @cached_property
    def fusion(self) -> TwoTowerFusion:
        """The two-tower fusion: trained at first use, and kept."""
        return _fusion(self.inputs, self._default)

    @cached_property
    def paper(self) -> tuple[GenerativeModel, int | None]:
        """LatentCRS under the paper's preset, and how many items of a history it reads: trained at first use."""
        return _paper_model(self.bundle, self.dataset, self.encoder)

    @cached_property
    def weight(self) -> float:
        """The weight of the text in the weighted sum with the best validation NDCG@20."""
        valid, T = sample_rows(self.inputs.valid, 10_000), self.inputs.T
        return _best_weight(valid, self.inputs.V, lambda part: F.normalize(valid.X(part), dim=1) @ T.T)

    @cached_property
    def bm25(self) -> BM25:
        """BM25 over the item texts."""
        return BM25(self.bundle.items["text"].fill_null("").to_list())

    @cached_property
    def bm25_weight(self) -> float:
        """The weight of BM25 beside behaviour with the best validation NDCG@20."""
        requests = self.dataset.requests.filter(pl.col("split") == "valid")
        if len(requests) > 10_000:
            requests = requests.sample(10_000, seed=0)
        texts = requests["text"].to_list()
        valid = rows_of(self.dataset, requests, self.bundle.behaviour, self.encoder, None, "validation requests")
        return _best_weight(valid, self.inputs.V, lambda part: torch.from_numpy(self.bm25.scores(texts[part])))


def dataset_of(bundle: Bundle, path: str | Path | None) -> PreparedDataset:
    """The data set a bundle was trained on, refused when its log or its catalogue is another."""
    trained = bundle.info.dataset
    prepared = PreparedDataset(path or trained.path)
    for name in ("interactions.parquet", "items.parquet"):
        if prepared.info.checksums.get(name) != trained.checksums.get(name):
            raise UserError(
                f"{prepared.path} is not the data set that this bundle was trained on ({name} differs); "
                "name the right one with --dataset, or train again."
            )
    if prepared.info.checksums.get("requests.parquet") != trained.checksums.get("requests.parquet"):
        say("note: the data set's requests have changed since this bundle was trained")
    return prepared


def _with_encoders(config: Config, bundle: Config) -> Config:
    """`config` on the encoders that the bundle has."""
    return config.model_copy(update={"behaviour": bundle.behaviour, "text_encoder": bundle.text_encoder})


def _fusion(inputs: Inputs, config: Config) -> TwoTowerFusion:
    torch.manual_seed(config.em.seed)
    model = TwoTowerFusion(inputs.V, inputs.T, config.model).to(inputs.V.device)
    shape = config.model.model_dump(include={"hidden", "dropout", "text_width"})
    mark = fingerprint("fusion, inputs normalised", inputs.mark, shape, config.em.model_dump())
    valid = sample_rows(inputs.valid, config.em.validation_rows)
    train_fusion(model, inputs.train, valid, inputs.counts, config.em, work_folder() / f"fusion-{mark}.safetensors")
    return model


def _paper_model(
    bundle: Bundle, prepared: PreparedDataset, encoder: LocalEncoder
) -> tuple[GenerativeModel, int | None]:
    """LatentCRS under the paper's preset on the bundle's encoders, and how many items of a history it reads; the
    bundle's own model where that is the paper's preset already.
    """
    config = bundle.info.config
    if config.preset == "paper":
        return bundle.generative, config.em.max_history
    paper = _with_encoders(load_config("paper"), config)
    _, model, _ = fit_intents(gather_inputs(prepared, bundle.behaviour, encoder, paper), paper)
    return model, paper.em.max_history


def _best_weight(valid: Rows, V: Tensor, said: Callable[[slice], Tensor]) -> float:
    """The weight of what was `said` (scores (b, n) of a slice of the rows) beside behaviour with the best validation
    NDCG@20; the test split is never looked at.
    """
    size = max(1, (1 << 23) // len(V))
    found = np.zeros(len(WEIGHTS))
    with torch.inference_mode():
        for start in range(0, len(valid), size):
            part = slice(start, start + size)
            targets, histories = valid.targets[part].cpu().numpy(), valid.histories[part]
            behaviour, text = standardised(valid.S[part] @ V.T), standardised(said(part).to(V.device))
            for index, weight in enumerate(WEIGHTS):
                mixed = torch.lerp(behaviour, text, float(weight))
                found[index] += ndcg_at(ranks_of_scores(mixed, targets, histories), 20).sum()
    return float(WEIGHTS[found.argmax()])
