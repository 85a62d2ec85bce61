"""Opens the systems that a bundle is compared with, by the names that commands give them: ours and plug-ins'."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.base.plugins import load_plugin, plugin_names
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.histories import Histories
from latentcrs.llm import ChatModel
from latentcrs.recommend import Recommender
from latentcrs.users.dialogue import Dialogue, SystemTurn

LABORATORY = "The paper's other systems come with latentcrs-lab: pip install latentcrs-lab."


class Conversationalist(Protocol):
    """A system that talks with simulated users, many at a time."""

    name: str

    def meet(self, dialogues: Sequence[Dialogue]) -> None:
        """Forget all conversations and begin one for each of `dialogues`."""

    def reply(self, dialogues: Sequence[Dialogue]) -> list[SystemTurn]:
        """Answer the last thing said in each of `dialogues`, some of those that it has met."""

    def tokens(self, dialogue: Dialogue) -> tuple[int, int]:
        """Input and output tokens that the conversation has taken so far."""


class Baseline(Conversationalist, Protocol):
    """A system that both protocols can put to the test."""

    def scores(self, requests: pl.DataFrame) -> NDArray[np.float32]:
        """How well every item fits each of B requests (`REQUESTS_SCHEMA`), (B, n): the ranking after one turn."""


@dataclass(frozen=True)
class SystemParts:
    """What systems are made of. behaviour: scores (B, n) by histories alone. model: answers those that ask."""

    dataset: PreparedDataset
    recommender: Recommender
    behaviour: Callable[[Histories], NDArray[np.float32]]
    model: ChatModel | None = None


@dataclass(frozen=True)
class System:
    """A system by name: how it is opened, what tables call it, and whether it asks a language model.

    The entry points of `latentcrs.systems` name one of these, or a function of `SystemParts`.
    """

    open: Callable[[SystemParts], Baseline]
    title: str
    asks: bool = False


def _filtering(parts: SystemParts, asks: bool) -> Baseline:
    from latentcrs.systems.asking import AttributeFilter, FacetDialogues
    from latentcrs.systems.facets import Facets
    from latentcrs.systems.hearing import FacetHearing

    hearing = FacetHearing(parts.dataset, Facets.of(parts.dataset))
    return FacetDialogues(parts.dataset, hearing, AttributeFilter(parts.dataset.training_counts, asks=asks))


OWN = {
    "attributes": System(lambda parts: _filtering(parts, asks=False), "attribute filtering"),
    "max-entropy": System(lambda parts: _filtering(parts, asks=True), "max-entropy questions"),
}


def system_names() -> list[str]:
    """The names of all systems that are installed."""
    return list(dict.fromkeys([*OWN, *plugin_names("system")]))


@cache
def find_system(name: str) -> System:
    """The system called `name`.

    Raises:
        UserError: nothing that is installed is called so.
    """
    if name in OWN:
        return OWN[name]
    found = load_plugin("system", name, list(OWN), LABORATORY)
    return found if isinstance(found, System) else System(found, name)


def check_system(name: str, model: ChatModel | None) -> None:
    """Raises:
    UserError: there is no system called `name`, or it needs a language model and none is given.
    """
    if find_system(name).asks and model is None:
        raise UserError(f"The system {name} asks a language model; name one with --llm.")


def open_baseline(name: str, given: SystemParts) -> Baseline:
    """The system called `name`; trained at first use, and kept.

    Raises:
        UserError: there is no such system, or it needs a language model and none is given.
    """
    check_system(name, given.model)
    return find_system(name).open(given)


def reports_of(systems: Sequence[Any]) -> dict[str, dict[str, float]]:
    """What those of `systems` with a `report` of the calls of a language model say of them; nothing without calls."""
    reports = {system.name: system.report() for system in systems if hasattr(system, "report")}
    return {name: report for name, report in reports.items() if report["answers"]}


def report_line(report: Mapping[str, float]) -> str:
    """A report in words: "answers 10, calls 10, failed calls 0, match rate 0.79"."""
    return ", ".join(f"{name.replace('_', ' ')} {value:,.10g}" for name, value in report.items())
