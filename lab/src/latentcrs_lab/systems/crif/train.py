"""Trains CRIF on a data set: the offline phase, then the decision; both are kept from one run to the next."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch

from latentcrs.base.checkpoint import Checkpoint, load_tensors, save_tensors
from latentcrs.base.errors import UserError
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.ranking import ndcg_at
from latentcrs.fit.training import fingerprint, work_folder
from latentcrs.systems.hearing import FacetHearing
from latentcrs_lab.systems.crif.decision import Decision, train_decision
from latentcrs_lab.systems.crif.examples import ExampleSampler
from latentcrs_lab.systems.crif.factorisation import train_representation
from latentcrs_lab.systems.crif.graph import Graph
from latentcrs_lab.systems.crif.policy import Crif
from latentcrs_lab.systems.crif.practice import play
from latentcrs_lab.systems.crif.preference import Preference
from latentcrs_lab.systems.crif.representation import Representation
from latentcrs_lab.systems.crif.settings import CrifSettings
from latentcrs_lab.systems.crif.turn import Turn
from latentcrs_lab.systems.practice import practice_of

VALIDATED = 1500
"""Requests that the offline phase is validated on."""


def train_crif(dataset: PreparedDataset, hearing: FacetHearing, settings: CrifSettings | None = None) -> Crif:
    """CRIF on `dataset`: taken as it was trained before, resumed, or trained.

    It learns from the training part of the log. Its decision, and when to stop the offline phase, come from every
    other request of the validation split (`practice_requests`), as the public code trains its policy on validation
    data: what the representation was trained on it knows too well to need a question.

    Raises:
        UserError: the data set has no validation requests.
    """
    settings = settings or CrifSettings()
    requests = practice_requests(dataset)
    if requests.is_empty():
        raise UserError(f"{dataset.path} has no valid requests; write some with 'latentcrs simulate {dataset.path}'.")
    facets, sums = hearing.facets, dataset.info.checksums
    files = {name: sums[name] for name in ("interactions.parquet", "items.parquet", "requests.parquet")}
    mark = fingerprint("CRIF, offline phase", files, facets.values, settings.offline.model_dump())
    representation = _representation(dataset, hearing, requests, settings, mark)
    turn = Turn(facets, Preference(representation, facets), settings.decision)
    decided = fingerprint(mark, settings.decision.model_dump())
    path = work_folder() / f"crif-{decided}.decision.safetensors"
    if path.is_file():
        decision = Decision(settings.decision.hidden)
        decision.load_state_dict(load_tensors(path)[0])
        return Crif(turn, decision)
    played = play(practice_of(dataset, hearing, requests, settings.decision.sessions), turn, settings.decision.turns)
    decision, report = train_decision(played, settings.decision)
    save_tensors(path, decision.state_dict(), report)
    return Crif(turn, decision)


def practice_requests(dataset: PreparedDataset) -> pl.DataFrame:
    """Every other request of the validation split, from the first; the others are for choosing settings."""
    return dataset.requests.filter(pl.col("split") == "valid").gather_every(2)


def _representation(
    dataset: PreparedDataset, hearing: FacetHearing, requests: pl.DataFrame, settings: CrifSettings, mark: str
) -> Representation:
    facets = hearing.facets
    torch.manual_seed(settings.offline.seed)
    representation = Representation(Graph(dataset, facets, settings.offline.newest), settings.offline)
    finished = work_folder() / f"crif-{mark}.offline.safetensors"
    if finished.is_file():
        representation.load_state_dict(load_tensors(finished)[0])
        return representation
    practice = practice_of(dataset, hearing, requests, VALIDATED)
    sessions = practice.begin(np.arange(len(practice)))

    def validate() -> float:
        """Mean NDCG@20 of the first list, were it the whole order."""
        keys = Turn(facets, Preference(representation, facets), settings.decision).keys(sessions)
        keys[sessions.gone] = -np.inf
        targets = keys[np.arange(len(practice)), practice.targets]
        return float(ndcg_at((keys >= targets[:, None]).sum(1), 20).mean())

    drawing, has = ExampleSampler(dataset, facets, settings.offline), torch.from_numpy(facets.has)
    saved = Checkpoint(work_folder() / f"crif-{mark}.checkpoint.safetensors", mark)
    report = train_representation(representation, drawing, has, validate, saved)
    save_tensors(finished, representation.state_dict(), report)
    saved.remove()
    return representation
