"""Prioritised experience replay (Schaul et al., ICLR 2016): transitions that surprised are seen more often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs_lab.systems.unicorn.graph import Graphs

POWER, LEAST = 0.6, 0.01
"""Of priorities, (|error| + LEAST) ** POWER; these and the next as in the public code."""
CORRECTION, CORRECTION_STEP = 0.4, 0.001
"""How far weights undo the preference for some transitions, and how much further after each batch, up to 1."""


@dataclass
class Transitions:
    """B steps of sessions. actions (B,): columns of `Graphs.actions`. rewards (B,). then: the graphs afterwards;
    where `ended` (B,) nobody looks at them.
    """

    graphs: Graphs
    actions: NDArray[np.int64]
    rewards: NDArray[np.float32]
    then: Graphs
    ended: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.actions)


class Replay:
    """The newest transitions, drawn in proportion to their priorities.

    A batch is drawn by bisection of the priorities' cumulative sum: for some ten thousand of them that takes less
    time than a sum tree in Python.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._columns: dict[str, NDArray[Any]] = {}
        self._priorities = np.zeros(capacity)
        self._added = self._drawn = 0
        self._highest = 0.1

    def __len__(self) -> int:
        return min(self._added, self._capacity)

    def add(self, new: Transitions) -> None:
        """Keep `new`, in place of the oldest where the memory is full, with the highest priority there was."""
        slots = (self._added + np.arange(len(new))) % self._capacity
        for name, values in _columns(new).items():
            if name not in self._columns:
                self._columns[name] = np.zeros((self._capacity, *values.shape[1:]), values.dtype)
            self._columns[name][slots] = values
        self._priorities[slots] = (self._highest + LEAST) ** POWER
        self._added += len(new)

    def draw(self, size: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Transitions, NDArray[np.float32]]:
        """Where the transitions lie (for `update`), the transitions, and the weights of their errors, at most 1."""
        count = len(self)
        sums = np.cumsum(self._priorities[:count])
        slots = np.minimum(np.searchsorted(sums, rng.random(size) * sums[-1], side="right"), count - 1)
        self._drawn += 1
        correction = min(1.0, CORRECTION + CORRECTION_STEP * self._drawn)
        weights = (count * self._priorities[slots] / sums[-1]) ** -correction
        drawn = _transitions({name: values[slots] for name, values in self._columns.items()})
        return slots, drawn, (weights / weights.max()).astype(np.float32)

    def update(self, slots: NDArray[np.int64], errors: NDArray[np.float32]) -> None:
        """The errors of the transitions that were drawn from `slots`."""
        self._priorities[slots] = (np.abs(errors) + LEAST) ** POWER
        self._highest = max(self._highest, float(np.abs(errors).max()))

    def state(self) -> dict[str, Tensor]:
        """All of it, for a checkpoint."""
        kept = {name: torch.from_numpy(values[: len(self)]) for name, values in self._columns.items()}
        numbers = torch.tensor([self._added, self._drawn, self._highest], dtype=torch.float64)
        return {**kept, "priorities": torch.from_numpy(self._priorities[: len(self)]), "numbers": numbers}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put a `state` back."""
        for name, tensor in state.items():
            if name == "numbers":
                self._added, self._drawn, self._highest = int(tensor[0]), int(tensor[1]), float(tensor[2])
                continue
            values = np.zeros((self._capacity, *tensor.shape[1:]), tensor.numpy().dtype)
            values[: len(tensor)] = tensor.numpy()
            if name == "priorities":
                self._priorities = values
            else:
                self._columns[name] = values


def _columns(transitions: Transitions) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for field in fields(transitions):
        value = getattr(transitions, field.name)
        if isinstance(value, Graphs):
            found |= {f"{field.name}.{part.name}": getattr(value, part.name) for part in fields(value)}
        else:
            found[field.name] = value
    return found


def _transitions(columns: Mapping[str, NDArray[Any]]) -> Transitions:
    graphs = {
        name: Graphs(**{part.name: columns[f"{name}.{part.name}"] for part in fields(Graphs)})
        for name in ("graphs", "then")
    }
    return Transitions(actions=columns["actions"], rewards=columns["rewards"], ended=columns["ended"], **graphs)
