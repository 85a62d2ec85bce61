"""A chat model that answers as a test says, and conversations for the systems that ask one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data import Histories, PreparedDataset
from latentcrs.llm import Call, ChatModel, ChatRequest, Completion
from latentcrs.llm.model import checked
from latentcrs.recommend import Recommender
from latentcrs.users.dialogue import Dialogue, SystemTurn
from latentcrs_lab.systems.prompted import PromptedSystem

Says = Callable[[str], Any] | dict[str, Any] | Exception
System = TypeVar("System", bound=PromptedSystem)


class Scripted:
    """Answers by what a call is for: JSON, a function of the prompt, or an error; 10 tokens in and 2 out each time.

    Answers are checked against the schema that was asked for, as those of a real model are.
    """

    id = "scripted"

    def __init__(self, says: Mapping[str, Says]) -> None:
        self.says = dict(says)
        self.asked: list[tuple[Call, str]] = []

    def complete(self, request: ChatRequest) -> Completion:
        prompt = request.messages[0].content
        self.asked.append((request.call, prompt))
        said = self.says[request.call.purpose]
        if isinstance(said, Exception):
            raise said
        found = said(prompt) if callable(said) else said
        text = found if isinstance(found, str) else json.dumps(found)
        return checked(Completion(text, 10, 2, 1.0, self.id), request)

    def prompts(self, purpose: str) -> list[str]:
        return [prompt for call, prompt in self.asked if call.purpose == purpose]


def behaviour_of(recommender: Recommender) -> Callable[[Histories], NDArray[np.float32]]:
    """SASRec's scores of the bundle, (B, n)."""
    encoder = recommender.bundle.behaviour
    return lambda histories: encoder.encode(histories) @ encoder.item_embeddings.T


def opened(kind: type[System], small_movielens: Path, recommender: Recommender, model: ChatModel) -> System:
    """A system over the small MovieLens."""
    return kind(PreparedDataset(small_movielens), recommender, behaviour_of(recommender), model)


def dialogue(system: PromptedSystem, said: str, user: int = 3) -> Dialogue:
    """One conversation that `system` has met, in which something was said; the target is never shown in it."""
    dataset = system.dataset
    first, last = dataset.offsets[user : user + 2]
    begun = Dialogue(user, int(last - first) - 1, int(dataset.sequence[last - 1]), dataset.sequence[first : last - 1])
    begun.said.append(said)
    system.meet([begun])
    return begun


def answered(system: PromptedSystem, talk: Dialogue, then: str = "") -> list[int]:
    """What the system shows next; the person goes on with `then`."""
    (shown,) = system.reply([talk])
    talk.shown.append(shown)
    if then:
        talk.said.append(then)
    return list(shown.items)


def titles(system: PromptedSystem, items: Sequence[int]) -> list[str]:
    return [system.titled(item) for item in items]


def by_behaviour(system: PromptedSystem, talk: Dialogue, shown: Sequence[SystemTurn] = ()) -> list[int]:
    """All items that may be shown, the best by behaviour first."""
    scores = system.behaviour(Histories.from_lists([talk.history.tolist()]))[0].copy()
    gone = [*talk.history.tolist(), *(item for each in shown for item in each.items)]
    scores[gone] = -np.inf
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return order[: len(order) - len(set(gone))]


def requests_of(system: PromptedSystem, count: int) -> pl.DataFrame:
    """The first real requests of the test split."""
    return system.dataset.requests.filter(pl.col("split") == "test").head(count)
