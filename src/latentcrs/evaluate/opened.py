"""A bundle and its data set, opened for evaluation, with the references that are trained beside it."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from latentcrs.base.progress import say
from latentcrs.data import Histories, PreparedDataset
from latentcrs.data.ranking import ndcg_at, ranks_of_scores
from latentcrs.fit.rows import rows_of, words_of_items
from latentcrs.fit.training import Inputs, fingerprint, fit_intents, gather_inputs, sample_rows, work_folder
from latentcrs.hear import Heard
from latentcrs.intent import Config, GenerativeModel, Rows, load_config
from latentcrs.llm import ChatModel
from latentcrs.recommend import Bundle, Recommender, load_bundle
from latentcrs.recommend.users import trained_dataset
from latentcrs.systems.fusion import WEIGHTS, TwoTowerFusion, standardised, train_fusion, weighted_sum
from latentcrs.systems.open import Baseline, SystemParts, find_system, open_baseline
from latentcrs.text import TextEncoder
from latentcrs.text.lexical import Lexical

WITH_BM25 = {"bm25-sum": "behaviour", "bm25-fusion": "fusion"}
"""Systems that add BM25 to what another one finds."""
Reference = Callable[[Tensor, Tensor, Sequence[str]], Tensor]
"""Scores (B, n) of all items by S (B, d), X (B, d_x), zero without words, and the words themselves."""


class EvaluationBundle:
    """A bundle, the data set it was trained on, and at first use what it is compared with, on the same encoders.

    dataset: where the data set lies now, if it was moved. mark: names this very bundle in caches.

    Raises:
        UserError: no bundle or data set there, another data set than the bundle's, or another text encoder.
    """

    def __init__(self, bundle: str | Path, dataset: str | Path | None = None, device: str = "auto") -> None:
        self.bundle: Bundle = load_bundle(bundle, device)
        self.mark = fingerprint(self.bundle.info.checksums, self.bundle.info.config.em.max_history)
        self.dataset = dataset_of(self.bundle, dataset)
        self.encoder: TextEncoder = self.bundle.info.text_encoder.open(device)
        self.heard: dict[str, Heard] = {}
        """The rules that were heard in requests by words alone: several tables are about the same requests."""
        self._baselines: dict[str, Baseline] = {}
        self._bm25_weights: dict[str, float] = {}
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
        valid, V, T = sample_rows(self.inputs.valid, 10_000), self.inputs.V, self.inputs.T
        return _best_weight(
            valid, len(V), lambda part: valid.S[part] @ V.T, lambda part: F.normalize(valid.X(part), dim=1) @ T.T
        )

    @cached_property
    def bm25(self) -> Lexical:
        """BM25 over the items' titles and texts."""
        return Lexical.build(words_of_items(self.bundle.items))

    def reference(self, name: str) -> Reference:
        """How a reference (of `one_turn.SYSTEMS`, but ours) scores all items; trained at first use where it is."""
        if WITH_BM25.get(name, name) == "fusion":
            _ = self.fusion  # here, where gradients are
        with torch.inference_mode():
            return self._reference(name)

    def _reference(self, name: str) -> Reference:
        if name in WITH_BM25:
            base, weight = self.reference(WITH_BM25[name]), self.bm25_weight(WITH_BM25[name])

            def beside(S: Tensor, X: Tensor, texts: Sequence[str]) -> Tensor:
                words = torch.from_numpy(self.bm25.scores(texts)).to(S.device)
                return torch.lerp(standardised(base(S, X, texts)), standardised(words), weight)

            return beside
        model = self.bundle.generative
        V, T, popularity = model.V, F.normalize(model.T, dim=1), model.log_popularity
        if name == "fusion":
            fusion = self.fusion
            items = fusion.items().T.contiguous()
            return lambda S, X, texts: fusion.query(S, X) @ items
        if name == "sum":
            weight = self.weight
            return lambda S, X, texts: weighted_sum(S, V, X, T, weight)
        plain: dict[str, Reference] = {
            "popularity": lambda S, X, texts: popularity.repeat(len(S), 1),
            "behaviour": lambda S, X, texts: S @ V.T,
            "text": lambda S, X, texts: X @ T.T,
        }
        return plain[name]

    def bm25_weight(self, system: str) -> float:
        """The weight of BM25 beside one of `WITH_BM25` with the best validation NDCG@20."""
        if system not in self._bm25_weights:
            requests = self.dataset.requests.filter(pl.col("split") == "valid")
            if len(requests) > 10_000:
                requests = requests.sample(10_000, seed=0)
            texts, base = requests["text"].to_list(), self.reference(system)
            name = "validation requests"
            valid = rows_of(self.dataset, requests, self.bundle.behaviour, self.encoder, None, name)
            self._bm25_weights[system] = _best_weight(
                valid,
                len(self.bundle.items),
                lambda part: base(valid.S[part], valid.X(part), texts[part]),
                lambda part: torch.from_numpy(self.bm25.scores(texts[part])),
            )
        return self._bm25_weights[system]

    def baseline(self, name: str, model: ChatModel | None = None) -> Baseline:
        """Another system (see `systems.open`): trained at first use, and kept. `model` answers where it asks one;
        such a system is a new one each time, for it counts its calls.

        Raises:
            UserError: as `open_baseline`.
        """
        if name in self._baselines:
            return self._baselines[name]
        given = SystemParts(self.dataset, Recommender(self.bundle, self.encoder), self._behaviour_scores, model)
        system = open_baseline(name, given)
        if not find_system(name).asks:
            self._baselines[name] = system
        return system

    @torch.inference_mode()
    def _behaviour_scores(self, histories: Histories) -> NDArray[np.float32]:
        return (self.bundle.behaviour.encode_tensor(histories) @ self.bundle.generative.V.T).cpu().numpy()


def dataset_of(bundle: Bundle, path: str | Path | None) -> PreparedDataset:
    """`trained_dataset` of a bundle; that its requests are others is said."""
    prepared = trained_dataset(bundle.info, path)
    if prepared.info.checksums.get("requests.parquet") != bundle.info.dataset.checksums.get("requests.parquet"):
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
    bundle: Bundle, prepared: PreparedDataset, encoder: TextEncoder
) -> tuple[GenerativeModel, int | None]:
    """LatentCRS under the paper's preset on the bundle's encoders, or the bundle's own; and its longest history."""
    config = bundle.info.config
    if config.preset == "paper":
        return bundle.generative, config.em.max_history
    paper = _with_encoders(load_config("paper"), config)
    _, model, _ = fit_intents(gather_inputs(prepared, bundle.behaviour, encoder, paper), paper)
    return model, paper.em.max_history


def _best_weight(valid: Rows, items: int, base: Callable[[slice], Tensor], said: Callable[[slice], Tensor]) -> float:
    """The weight of what was `said` beside the `base` (each: scores (b, n) of a slice of the rows) with the best
    validation NDCG@20; the test split is never looked at. items: n.
    """
    size = max(1, (1 << 23) // items)
    found = np.zeros(len(WEIGHTS))
    with torch.inference_mode():
        for start in range(0, len(valid), size):
            part = slice(start, start + size)
            targets, histories = valid.targets[part].cpu().numpy(), valid.histories[part]
            scores = standardised(base(part))
            words = standardised(said(part).to(scores.device))
            for index, weight in enumerate(WEIGHTS):
                mixed = torch.lerp(scores, words, float(weight))
                found[index] += ndcg_at(ranks_of_scores(mixed, targets, histories), 20).sum()
    return float(WEIGHTS[found.argmax()])
