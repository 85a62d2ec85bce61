"""Weights on disk as safetensors: models, and checkpoints from which a killed training run goes on."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file
from latentcrs.base.group import current_group
from latentcrs.base.places import fetched, is_file, is_url, put_file, remove_file


def save_tensors(path: Path | str, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write `tensors` and the JSON-able `about` as one safetensors file, whole or not at all, to a path or a URL.

    Raises:
        UserError: the URL cannot be reached.
    """
    if is_url(path):
        with TemporaryDirectory() as folder:
            whole = Path(folder) / "whole.safetensors"
            save_tensors(whole, tensors, about)
            put_file(whole, path)
        return
    with atomic_file(Path(path)) as temporary:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(plain, temporary, {"about": json.dumps(about)})


def load_tensors(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_tensors` wrote.

    Raises:
        UserError: the file is missing or is no safetensors file of ours.
    """
    try:
        with TemporaryDirectory() as folder, safe_open(fetched(path, Path(folder)), "pt") as stored:
            about = json.loads((stored.metadata() or {})["about"])
            return {name: stored.get_tensor(name) for name in stored.keys()}, about  # noqa: SIM118 not a dict
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path} cannot be read as weights ({error}); train again.") from None


class Checkpoint:
    """The state of one training run in one file, at a path or a URL: modules, optimisers, and what the loop knows.

    In a group the first process writes and all read, so that the file has to be where all reach it.
    """

    def __init__(self, path: Path | str | None, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def save(
        self,
        modules: Mapping[str, torch.nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        best: Mapping[str, Tensor],
        loop: Mapping[str, Any],
    ) -> None:
        """Write all of it, replacing the last checkpoint."""
        if self.path is None or current_group().rank > 0:
            return
        tensors = {f"module/{n}/{k}": t for n, m in modules.items() for k, t in m.state_dict().items()}
        tensors |= {f"best/{key}": tensor for key, tensor in best.items()}
        for name, optimizer in optimizers.items():
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer/{name}/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
        save_tensors(self.path, tensors, {"fingerprint": self.fingerprint, "loop": dict(loop)})

    def restore(
        self, modules: Mapping[str, torch.nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Put the last checkpoint back; returns (best weights, loop state), or None when there is none that fits.

        Raises:
            UserError: some processes of the group find it, and others do not.
        """
        found = self._read()
        if not current_group().agree(found[1]["loop"].get("epoch", 0) if found else -1):
            raise UserError("The workers do not see the same checkpoints: give --checkpoints a place that all reach.")
        if found is None:
            return None
        tensors, about = found
        for name, module in modules.items():
            module.load_state_dict(_under(tensors, f"module/{name}/"))
        for name, optimizer in optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _under(tensors, f"optimizer/{name}/").items():
                index, field = key.split("/")
                state.setdefault(int(index), {})[field] = tensor
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        return _under(tensors, "best/"), about["loop"]

    def _read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        if self.path is None or not is_file(self.path):
            return None
        try:
            tensors, about = load_tensors(self.path)
        except UserError:
            return None  # damaged: starting afresh is right, and loses only time
        return (tensors, about) if about.get("fingerprint") == self.fingerprint else None

    def remove(self) -> None:
        if self.path is not None:
            remove_file(self.path)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
