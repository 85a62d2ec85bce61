"""Train a preset under changed settings and rank both held-out splits with it; all kept, so that a run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from latentcrs.base.checkpoint import load_tensors, save_tensors
from latentcrs.base.errors import UserError
from latentcrs.base.progress import say
from latentcrs.behaviour import BehaviourEncoder
from latentcrs.data import PreparedDataset
from latentcrs.data.ranking import both_ranks_of
from latentcrs.estimator import complete_requests
from latentcrs.evaluate.intervals import bootstrap_ci95, paired_p_value
from latentcrs.evaluate.one_turn import METRICS, SystemFigures
from latentcrs.fit.rows import request_rows
from latentcrs.fit.training import (
    Inputs,
    TrainedModel,
    fingerprint,
    fit_behaviour,
    fit_model,
    gather_inputs,
    inputs_mark,
    work_folder,
)
from latentcrs.intent import Config, load_config
from latentcrs.intent.em import model_scores
from latentcrs.text import open_encoder

SPLITS = ("valid", "test")


@dataclass(frozen=True)
class VariantRanks:
    """How one configuration, once trained, ranks the targets of every request of both splits (variant B)."""

    mark: str  # fingerprint of data and configuration
    figures: dict[str, SystemFigures]  # split -> figures; their rows are in the order of the data set's requests
    report: dict[str, Any]  # stage -> epochs, best epoch, curve; seconds

    @property
    def seconds(self) -> float:
        """What its training took; stages that were taken from the cache count next to nothing."""
        return float(self.report["seconds"])


class Variants:
    """Measures configurations that differ from a preset in some settings, on one data set.

    What is alike among them is done once: the behaviour encoder, the embedded rows, every stage of Algorithm 1 that
    does not depend on what is changed. The ranks are kept in the training cache under a fingerprint of data and
    configuration, so a configuration that was measured before is read within milliseconds.

    Raises:
        UserError: no data set there, an unknown preset or setting, or a device that is not there.
    """

    def __init__(
        self, dataset: str | Path, preset: str = "default", settings: Sequence[str] = (), device: str = "auto"
    ) -> None:
        self.preset, self.settings, self.device = preset, tuple(settings), device
        self.base = load_config(preset, self.settings)
        self.dataset = PreparedDataset(dataset)
        complete_requests(self.dataset)
        self.encoder = open_encoder(self.base.text_encoder, device)
        self.behaviour: BehaviourEncoder = fit_behaviour(self.dataset, self.base, device)
        self._inputs: Inputs | None = None

    def config(self, settings: Sequence[str]) -> Config:
        """The preset with this object's settings, and then `settings`, laid over it.

        Raises:
            UserError: they change an encoder: all variants stand on the same two.
        """
        config = load_config(self.preset, [*self.settings, *settings])
        if (config.behaviour, config.text_encoder) != (self.base.behaviour, self.base.text_encoder):
            raise UserError(f"{', '.join(settings)}: variants of a model share its behaviour and its text encoder.")
        return config

    def measure(self, name: str, config: Config) -> VariantRanks:
        """Train `config` and rank with it, or take what was kept. `name` is what progress calls it."""
        mark = inputs_mark(self.dataset, self.behaviour, self.encoder, config)
        whole = fingerprint("ranks of variant B, intervals", mark, config.model.model_dump(), config.em.model_dump())
        path = work_folder() / f"ranks-{whole}.safetensors"
        if path.is_file():
            try:
                return _measured(whole, *load_tensors(path))
            except UserError:
                pass  # damaged: measuring again is right, and loses only time
        say(f"== {name}")
        made = fit_model(self._gathered(mark, config), self.behaviour, config)
        ranks: dict[str, torch.Tensor] = {}
        ci95: dict[str, dict[str, Any]] = {}
        for split in SPLITS:
            left_out, left_in = self._ranks(made, config, split)
            ranks |= {f"{split}/left_out": torch.from_numpy(left_out), f"{split}/left_in": torch.from_numpy(left_in)}
            low, high = bootstrap_ci95(_per_row(left_out)).tolist()
            ci95[split] = dict(zip(METRICS, zip(low, high, strict=True), strict=True))
        # The intervals too: they take longer to draw than everything else about a table that is built again.
        about = {"report": made.report, "ci95": ci95}
        save_tensors(path, ranks, about)
        return _measured(whole, ranks, about)

    def _gathered(self, mark: str, config: Config) -> Inputs:
        if self._inputs is None or self._inputs.mark != mark:
            self._inputs = gather_inputs(self.dataset, self.behaviour, self.encoder, config)
        return self._inputs

    def _ranks(self, made: TrainedModel, config: Config, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        reader = self._inputs.reader if self._inputs is not None else None
        longest = config.em.max_history
        rows = request_rows(self.dataset, split, made.behaviour, self.encoder, longest, reader=reader)
        with torch.inference_mode():
            scores, count = model_scores(made.generative, rows), len(made.generative.V)
            return both_ranks_of(scores, count, rows.targets.cpu().numpy(), rows.histories)


def _measured(mark: str, ranks: dict[str, torch.Tensor], about: dict[str, Any]) -> VariantRanks:
    figures = {}
    for split in SPLITS:
        left_in, rows = ranks[f"{split}/left_in"].numpy(), _per_row(ranks[f"{split}/left_out"].numpy())
        figures[split] = SystemFigures(
            means=dict(zip(METRICS, rows.mean(0).tolist(), strict=True)),
            ci95={metric: (low, high) for metric, (low, high) in about["ci95"][split].items()},
            left_in={name: float(metric(left_in, k).mean()) for name, (metric, k) in METRICS.items()},
            rows=rows,
        )
    return VariantRanks(mark, figures, about["report"])


def _per_row(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each metric of each request: (requests,) -> (requests, metrics)."""
    return np.stack([metric(ranks, k) for metric, k in METRICS.values()], 1)


def p_values(one: VariantRanks, other: VariantRanks, split: str = "test") -> dict[str, float]:
    """Paired randomisation test over the same requests, by metric, history left out; kept, as it takes seconds."""
    path = work_folder() / f"p-{fingerprint(one.mark, other.mark, split)}.safetensors"
    try:
        values = load_tensors(path)[0]["p"]
    except UserError:  # not there, or damaged
        pairs = zip(one.figures[split].rows.T, other.figures[split].rows.T, strict=True)
        values = torch.tensor([paired_p_value(ours, theirs) for ours, theirs in pairs], dtype=torch.float64)
        save_tensors(path, {"p": values}, {})
    return dict(zip(METRICS, values.tolist(), strict=True))


def as_json(figures: SystemFigures) -> dict[str, Any]:
    """One split's figures as `--json` prints them."""
    return {**figures.means, "ci95": figures.ci95, "history_left_in": figures.left_in}
