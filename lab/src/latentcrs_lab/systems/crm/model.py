"""CRM's three parts together: what was said in, a state and a score of every item out; kept as one file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.base.checkpoint import load_tensors, save_tensors
from latentcrs.data.dataset import PreparedDataset
from latentcrs_lab.systems.crm.belief import BeliefTracker
from latentcrs_lab.systems.crm.machine import FactorisationMachine, bags_of
from latentcrs_lab.systems.crm.policy import Policy, State
from latentcrs_lab.systems.crm.settings import CrmSettings
from latentcrs_lab.systems.crm.values import Values
from latentcrs_lab.systems.crm.words import Ear, Heard, Vocabulary


@dataclass
class CrmModel:
    """A belief tracker, a factorisation machine and a policy over one catalogue. report: of their training."""

    settings: CrmSettings
    values: Values
    vocabulary: Vocabulary
    tracker: BeliefTracker
    machine: FactorisationMachine
    policy: Policy
    report: dict[str, Any]

    @classmethod
    def new(
        cls, dataset: PreparedDataset, settings: CrmSettings, values: Values, vocabulary: Vocabulary,
        learned: NDArray[np.int64],
    ) -> CrmModel:  # fmt: skip
        """Untrained, with the weights of the settings' seed. learned: see `BeliefTracker`."""
        torch.manual_seed(settings.seed)
        tracker = BeliefTracker(len(vocabulary), values.column_of, learned, settings.gram_width, settings.hidden)
        machine = FactorisationMachine(
            dataset.info.users, dataset.training_counts, values.has, settings.width, settings.attributes
        )
        policy = Policy(len(values.columns), settings.width, settings.policy_hidden, settings.turns)
        return cls(settings, values, vocabulary, tracker, machine, policy, {})

    @cached_property
    def ear(self) -> Ear:
        """Hears texts in terms of this model's values and vocabulary."""
        return Ear(self.values, self.vocabulary)

    @torch.no_grad()
    def read(
        self, heard: Heard, said: NDArray[np.int64], asked: NDArray[np.int64], users: NDArray[np.int64]
    ) -> tuple[State, Tensor]:
        """B sessions after the user's turn number T: what the policy sees, and the score of every item (B, n).

        said, asked (B, T): see `BeliefTracker.forward`. users (B,): -1 for somebody new.
        """
        belief = self.tracker.believe(heard, said, asked)
        wishes = self.machine.wishes(*bags_of(belief.values))
        scores = self.machine.query(torch.from_numpy(users), wishes) @ self.machine.items().T
        closed = np.zeros((len(said), len(self.values.columns) + 1), bool)
        np.put_along_axis(closed, asked, True, 1)
        return State(belief, wishes, closed[:, 1:], np.full(len(said), said.shape[1] - 1)), scores

    def save(self, path: Path) -> None:
        """Write it as one safetensors file."""
        parts = {"tracker": self.tracker, "machine": self.machine, "policy": self.policy}
        tensors = {f"{name}/{key}": t for name, part in parts.items() for key, t in part.state_dict().items()}
        save_tensors(path, tensors, {"vocabulary": self.vocabulary.grams, "report": self.report})

    @classmethod
    def load(cls, path: Path, dataset: PreparedDataset, settings: CrmSettings, values: Values) -> CrmModel:
        """What `save` wrote, of the same data set and settings.

        Raises:
            UserError: the file is missing or damaged.
        """
        tensors, about = load_tensors(path)
        learned = tensors["tracker/learned"].numpy()
        model = cls.new(dataset, settings, values, Vocabulary(about["vocabulary"]), learned)
        for name, part in (("tracker", model.tracker), ("machine", model.machine), ("policy", model.policy)):
            prefix = f"{name}/"
            part.load_state_dict({k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)})
            part.eval()
        model.report = about["report"]
        return model
