"""Opens the other systems of the paper by the names that commands give them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.histories import Histories
from latentcrs.errors import UserError
from latentcrs.language.chat import ChatModel
from latentcrs.recommend import Recommender
from latentcrs.simulate.dialogue import Conversationalist

TRAINED = ("attributes", "max-entropy", "crm", "unicorn", "crif")
"""Systems that ask no language model."""
ASKED = ("zero-shot", "chat-rec", "interec")
"""Systems that do."""


class Baseline(Conversationalist, Protocol):
    """A system that both protocols can put to the test."""

    def scores(self, requests: pl.DataFrame) -> NDArray[np.float32]:
        """How well every item fits each of B requests (columns of `REQUESTS_SCHEMA`), (B, n): the order in which the
        whole catalogue is ranked after one turn.
        """
        ...


@dataclass(frozen=True)
class SystemParts:
    """What the systems are made of. behaviour: scores (B, n) of the next item by histories alone. model: answers for
    those of `ASKED`.
    """

    dataset: PreparedDataset
    recommender: Recommender
    behaviour: Callable[[Histories], NDArray[np.float32]]
    model: ChatModel | None = None


def check_system(name: str, model: ChatModel | None) -> None:
    """Raises:
    UserError: there is no system called `name`, or it needs a language model and none is given.
    """
    if name not in (*TRAINED, *ASKED):
        raise UserError(f"There is no system {name!r}; choose of {', '.join((*TRAINED, *ASKED))}.")
    if name in ASKED and model is None:
        raise UserError(f"The system {name} asks a language model; name one with --llm.")


def open_baseline(name: str, given: SystemParts) -> Baseline:
    """The system called `name`, of `TRAINED` or `ASKED`; trained at first use, and kept.

    Raises:
        UserError: there is no such system, or it needs a language model and none is given.
    """
    check_system(name, given.model)
    if given.model is not None and name in ASKED:
        return _asking_a_model(name, given, given.model)
    if name == "crm":
        from latentcrs.baselines.crm import open_crm

        return open_crm(given.dataset)
    from latentcrs.baselines.asking import Asking
    from latentcrs.baselines.facets import Facets
    from latentcrs.baselines.filtering import AttributeFilter
    from latentcrs.baselines.hearing import FacetHearing

    facets = Facets.of(given.dataset)
    hearing = FacetHearing(given.dataset, facets)
    if name in ("attributes", "max-entropy"):
        policy = AttributeFilter(given.dataset.training_counts, asks=name == "max-entropy")
        return Asking(given.dataset, hearing, policy)
    if name == "unicorn":
        from latentcrs.baselines.unicorn import train_unicorn

        return Asking(given.dataset, hearing, train_unicorn(given.dataset, hearing))
    from latentcrs.baselines.crif import train_crif

    return Asking(given.dataset, hearing, train_crif(given.dataset, hearing))


def _asking_a_model(name: str, given: SystemParts, model: ChatModel) -> Baseline:
    if name == "zero-shot":
        from latentcrs.baselines.zero_shot import ZeroShot

        return ZeroShot(given.dataset, given.recommender, given.behaviour, model)
    if name == "chat-rec":
        from latentcrs.baselines.chat_rec import ChatRec

        return ChatRec(given.dataset, given.recommender, given.behaviour, model)
    from latentcrs.baselines.interec import InteRecAgent

    return InteRecAgent(given.dataset, given.recommender, given.behaviour, model)
