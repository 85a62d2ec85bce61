"""The behaviour encoder: histories in, S out. One class for every kind of network, and the table of kinds."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latentcrs.base.checkpoint import load_tensors, save_tensors
from latentcrs.base.device import resolve_device
from latentcrs.base.errors import UserError
from latentcrs.behaviour.iclrec import ICLRec, ICLRecConfig
from latentcrs.behaviour.sasrec import SASRec, SASRecConfig
from latentcrs.behaviour.spectral import spectral_vectors
from latentcrs.behaviour.training import TrainingConfig, train
from latentcrs.behaviour.unordered import Unordered, some_of
from latentcrs.behaviour.windows import history_tokens
from latentcrs.data.histories import Histories

NETWORKS: dict[str, tuple[type[SASRecConfig], type[SASRec]]] = {
    "sasrec": (SASRecConfig, SASRec),
    "iclrec": (ICLRecConfig, ICLRec),
}
"""A new kind is a network like `SASRec`, its pydantic configuration, and a row here; no training code changes."""


def network_config(kind: str, settings: dict[str, Any]) -> SASRecConfig:
    """The typed configuration of a kind of network.

    Raises:
        UserError: no such kind.
        pydantic.ValidationError: a setting it does not have, or of the wrong type.
    """
    if kind not in NETWORKS:
        raise UserError(f"behaviour.encoder = {kind!r}: there is no such encoder; choose {' or '.join(NETWORKS)}.")
    return NETWORKS[kind][0].model_validate(settings)


class BehaviourEncoder:
    """Turns any history, of a user seen in training or not, into S: `fit`, `encode`, `item_embeddings`.

    Implements section 4.1 of LatentCRS with the encoders of `NETWORKS`.
    """

    def __init__(self, kind: str, items: int, settings: dict[str, Any] | None = None, device: str = "auto") -> None:
        self.kind, self.items = kind, items
        self.config = network_config(kind, settings or {})
        self.device = resolve_device(device)
        self.network: Any = NETWORKS[kind][1](items, self.config).to(self.device)
        self.unordered: Unordered | None = None

    def fit(
        self,
        sequences: Histories,
        validation: tuple[Histories, NDArray[np.integer]],
        training: TrainingConfig | None = None,
        checkpoint: Path | str | None = None,
        unordered: int = 0,
        named: Histories | None = None,
    ) -> dict[str, Any]:
        """Train on the next items of `sequences`, stopping early on NDCG@20 of `validation`.

        unordered: width of the part of S that knows no order, 0 for none; it learns from `sequences` and from
        `named`, what people name together in conversations.

        sequences: each training user's items in order (without the validation and the test item); validation:
        (histories, target items). With `checkpoint` a killed run goes on from its last whole epoch, and ends as it
        would have. Returns what happened: epochs, best epoch, best validation NDCG@20, seconds.
        """
        training = training or TrainingConfig()
        torch.manual_seed(training.seed)
        counts = torch.from_numpy(np.bincount(sequences.pairs()[1], minlength=self.items))
        self.network = NETWORKS[self.kind][1](self.items, self.config, counts).to(self.device)
        if self.config.first_vectors == "svd" and min(len(sequences), self.items) > self.config.width + 1:
            self.network.begin_at(spectral_vectors(sequences, self.items, self.config.width, training.seed))
        report = train(self.network, self.encode_tensor, sequences, validation, training, checkpoint)
        if unordered:
            groups = [sequences] if named is None else [sequences, named]
            part = Unordered.build(groups, self.items, unordered, training.seed)
            if part is not None:
                views, targets = some_of(*validation, training.seed)
                sequence, wanted = self.encode_tensor(views), torch.from_numpy(targets).to(self.device)
                part = part.to(self.device)
                part.fit_weights(sequence, views, wanted, self.network.item_weights().detach(), training.seed)
                self.unordered = part
        return report

    @torch.inference_mode()
    def encode_tensor(self, histories: Histories, batch: int = 512) -> Tensor:
        """S of each history as a tensor on this encoder's device, (B, d); the empty history has one too."""
        network, was_training = self.network, self.network.training
        network.eval()
        # Like lengths together: a batch is as wide as its longest row.
        order = np.argsort(np.minimum(histories.lengths, self.config.length), kind="stable")
        out = torch.empty(len(histories), self.config.width, device=self.device)
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            tokens, last = history_tokens(histories[rows], self.config.length, network.start)
            hidden = network(torch.from_numpy(tokens).to(self.device))
            out[torch.from_numpy(rows).to(self.device)] = hidden[torch.arange(len(rows)), torch.from_numpy(last)]
        network.train(was_training)
        return out if self.unordered is None else self.unordered.weighed(histories, out)

    def encode(self, histories: Histories | list[list[int]]) -> NDArray[np.float32]:
        """S, (B, d), of histories of dense item indices, oldest first, of any length, none included."""
        if not isinstance(histories, Histories):
            histories = Histories.from_lists(histories)
        return self.encode_tensor(histories).cpu().numpy()

    @property
    def width(self) -> int:
        """d, the width of S and V."""
        return self.config.width + (0 if self.unordered is None else self.unordered.outputs.shape[1])

    def item_vectors(self, learning: bool = False) -> Tensor:
        """V, (n, d); `learning`: with its gradient."""
        V: Tensor = self.network.item_weights()
        V = V if learning else V.detach()
        return V if self.unordered is None else torch.cat([V, self.unordered.outputs], 1)

    @property
    def item_embeddings(self) -> NDArray[np.float32]:
        """V, (n, d)."""
        return self.item_vectors().cpu().numpy()

    def to(self, device: torch.device) -> BehaviourEncoder:
        """This encoder on another device; itself where it is there already."""
        if device == self.device:
            return self
        moved = copy.copy(self)
        moved.device, moved.network = device, copy.deepcopy(self.network).to(device)
        moved.unordered = None if self.unordered is None else self.unordered.to(device)
        return moved

    def save(self, path: Path | str, report: dict[str, Any] | None = None) -> None:
        """Write the weights and what they are as one safetensors file, to a path or a URL."""
        about = {"kind": self.kind, "items": self.items, "config": self.config.model_dump(), "report": report or {}}
        tensors = dict(self.network.state_dict())
        if self.unordered is not None:
            tensors |= {f"unordered/{name}": tensor for name, tensor in vars(self.unordered).items()}
        save_tensors(path, tensors, about)

    @classmethod
    def load(cls, path: Path | str, device: str = "auto") -> BehaviourEncoder:
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing or damaged.
        """
        tensors, about = load_tensors(path)
        encoder = cls(about["kind"], about["items"], about["config"], device)
        network: nn.Module = encoder.network
        apart = {name: tensors.pop(name) for name in list(tensors) if name.startswith("unordered/")}
        network.load_state_dict(tensors)
        if apart:
            parts = {name.removeprefix("unordered/"): tensor for name, tensor in apart.items()}
            encoder.unordered = Unordered(**parts).to(encoder.device)
        network.eval()
        encoder.report = about["report"]
        return encoder

    report: dict[str, Any] = {}  # noqa: RUF012 what `fit` returned, where it is known
