"""What the systems that ask a language model have in common: conversations side by side, calls at once, counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.data import Histories, PreparedDataset
from latentcrs.data.nouns import NOUNS, guess_noun
from latentcrs.llm import Call, ChatModel, Message, Meter, ModelError, answer
from latentcrs.llm.embedded import is_in_process
from latentcrs.llm.prompts import prompt
from latentcrs.recommend import Recommender
from latentcrs.users.dialogue import Dialogue, SystemTurn

Behaviour = Callable[[Histories], NDArray[np.float32]]
"""Every item's score by what was chosen before: (B, n) of B histories, higher is better."""
Schema = TypeVar("Schema", bound=BaseModel)
LISTED = 20
"""Items that a model names or ranks at one turn (Recall@20 looks no further)."""
HISTORY = 20
"""Newest items of a history that prompts have."""
LONGEST_TITLE, LONGEST_SENTENCE = 100, 500  # characters in a prompt
_AT_ONCE = 8
_TOGETHER = 32  # requests of the one-turn tables whose scores are held at once


@dataclass
class Talk:
    """A conversation as a system sees it: nothing in it says what the person is after.

    id: its name in the token ledger. history: item numbers, oldest first. behaviour: every item's score by that,
    (n,). shown: the items of each turn that was answered. candidates: what a system wants to find again at the next
    turn. words: what it said beside the items of the last one. tokens: input and output so far.
    """

    id: str
    history: NDArray[np.int64]
    behaviour: NDArray[np.float32]
    said: tuple[str, ...] = ()
    shown: tuple[tuple[int, ...], ...] = ()
    candidates: list[int] = field(default_factory=list)
    words: str = ""
    tokens: tuple[int, int] = (0, 0)

    @property
    def open(self) -> NDArray[np.bool_]:
        """The items that may be shown, (n,): neither chosen before nor shown already."""
        allowed = np.ones(len(self.behaviour), bool)
        allowed[self.history] = False
        allowed[[item for items in self.shown for item in items]] = False
        return allowed

    def best(self, k: int, allowed: NDArray[np.bool_] | None = None) -> list[int]:
        """The best k items by behaviour, of those that are `open` and `allowed` (n,); fewer where fewer are."""
        found = np.flatnonzero(self.open if allowed is None else self.open & allowed)
        order = np.argsort(-self.behaviour[found], kind="stable")[:k]
        return [int(item) for item in found[order]]


class Turn:
    """One answer in the making: `ask` asks the model, `counts` says what came of it. wanted: how many items."""

    def __init__(self, talk: Talk, wanted: int, model: ChatModel) -> None:
        self.talk, self.wanted, self.model, self.meter = talk, wanted, model, Meter()
        self.counts: Counter[str] = Counter(answers=1)
        self.error: ModelError | None = None

    def ask(self, purpose: str, text: str, schema: type[Schema], max_tokens: int) -> Schema | None:
        """The model's answer to the prompt `text`; None where it gives none that can be used, which is counted."""
        call = Call(purpose, self.talk.id, len(self.talk.said), self.meter)
        self.counts["calls"] += 1
        try:
            return answer(self.model, [Message("user", text)], call, schema, max_tokens)
        except ModelError as error:
            self.error = error
            self.counts["failed_calls"] += 1
            self.counts[f"failed: {error.outcome}"] += 1
            return None


class PromptedSystem(ABC):
    """A `Conversationalist` that asks a language model at every turn. A system is one that says how it answers
    (`_answer`), and what becomes of items that it does not name (`_behind`).

    A call that fails costs no conversation: the system does without, as its `_answer` says, and `report` counts it.
    """

    name: str

    def __init__(
        self, dataset: PreparedDataset, recommender: Recommender, behaviour: Behaviour, model: ChatModel, k: int = 5
    ) -> None:
        """recommender: of a bundle trained on `dataset`. k: items shown in a turn of a conversation."""
        self.dataset, self.recommender, self.behaviour, self.model, self.k = dataset, recommender, behaviour, model, k
        self.wanted = k
        """Items that a turn of a conversation asks the model for."""
        noun = NOUNS.get(guess_noun(dataset)) or NOUNS[""]
        self.thing = noun.words[0] if noun.words else "product"
        self._year = next((name for name, kind in dataset.info.columns.items() if kind == "year"), None)
        self._titles: list[str] = dataset.items["title"].fill_null("").to_list()
        self._years: list[int | None] = (
            dataset.items[self._year].to_list() if self._year else [None] * len(self._titles)
        )
        # The embedded model answers one call at a time, and a call's time-out runs while it waits for the others.
        self._at_once = 1 if is_in_process(model.id) else _AT_ONCE
        self._counts: Counter[str] = Counter()
        self._talks: dict[int, Talk] = {}

    def meet(self, dialogues: Sequence[Dialogue]) -> None:
        """See `Conversationalist.meet`."""
        histories = Histories.from_lists([dialogue.history.tolist() for dialogue in dialogues])
        behaved = self.behaviour(histories)
        self._talks = {
            id(dialogue): Talk(f"{self.name}:{dialogue.user}:{dialogue.cut}", dialogue.history.astype(np.int64), row)
            for dialogue, row in zip(dialogues, behaved, strict=True)
        }

    def reply(self, dialogues: Sequence[Dialogue]) -> list[SystemTurn]:
        """See `Conversationalist.reply`.

        Raises:
            UserError: no call was ever answered, and the endpoint cannot be reached or does not take the key.
        """
        talks = [self._talks[id(dialogue)] for dialogue in dialogues]
        for talk, dialogue in zip(talks, dialogues, strict=True):
            talk.said = tuple(dialogue.said)
            talk.shown = tuple(shown.items for shown in dialogue.shown)
        return [SystemTurn(tuple(items[: self.k])) for items in self._answers(talks, self.wanted)]

    def tokens(self, dialogue: Dialogue) -> tuple[int, int]:
        """See `Conversationalist.tokens`."""
        return self._talks[id(dialogue)].tokens

    def words(self, dialogue: Dialogue) -> str:
        """What was said beside the items of the last turn; "" for nothing."""
        return self._talks[id(dialogue)].words

    def scores(self, requests: pl.DataFrame) -> NDArray[np.float32]:
        """Every item's score for each request (columns of `REQUESTS_SCHEMA`), (B, n): the model's list first, in its
        order, at most `LISTED` items; what is behind it says `_behind`.

        Raises:
            UserError: see `reply`.
        """
        histories, texts = self.dataset.request_histories(requests), requests["text"].to_list()
        found = np.empty((len(texts), len(self._titles)), np.float32)
        with step(f"{self.name} answers", total=len(texts)) as bar:
            for start in range(0, len(texts), _TOGETHER):
                part = slice(start, min(start + _TOGETHER, len(texts)))
                behaved = self.behaviour(histories[part])
                talks = [
                    Talk(f"{self.name}:{row}", histories[slice(row, row + 1)].pairs()[1], scores, (texts[row],))
                    for row, scores in enumerate(behaved, start)
                ]
                found[part] = self._behind(behaved)
                for row, items in enumerate(self._answers(talks, LISTED), start):
                    first = items[:LISTED]
                    found[row, first] = len(self._titles) + np.arange(len(first), 0, -1)
                bar.advance(len(talks))
        return found

    def report(self) -> dict[str, float]:
        """What came of all calls of this system so far: counts (`answers`, `calls`, `failed_calls`, and `failed: ...`
        by outcome), and what the system adds.
        """
        counted = {name: self._counts[name] for name in ("answers", "calls", "failed_calls")}
        failures = {name: count for name, count in sorted(self._counts.items()) if name.startswith("failed: ")}
        return {**counted, **failures, **self._told(self._counts)}

    # What a system is.

    @abstractmethod
    def _answer(self, turn: Turn) -> list[int]:
        """Item numbers, best first, each once, none that is not `Talk.open`. Runs in a thread of its own: it changes
        nothing but its turn and that one's talk.
        """

    def _behind(self, behaved: NDArray[np.float32]) -> NDArray[np.float32]:
        """The order of the items that the model does not name, from `behaved` (B, n): behaviour's, as -1, -2, ..."""
        order = np.argsort(-behaved, axis=1, kind="stable")
        places = np.empty_like(order)
        np.put_along_axis(places, order, np.arange(behaved.shape[1])[None, :], 1)
        return -1 - places.astype(np.float32)

    @abstractmethod
    def _told(self, counts: Counter[str]) -> dict[str, float]:
        """What `report` says beside the calls."""

    # For prompts.

    def titled(self, item: int) -> str:
        """An item as prompts name it: "Heat (1995)"."""
        title, year = self._titles[item][:LONGEST_TITLE], self._years[item]
        return f"{title} ({year})" if year is not None else title

    def prompt(self, name: str, turn: Turn, **values: Any) -> str:
        """The prompt `name`.j2 about this turn's conversation."""
        talk = turn.talk
        answered = ["; ".join(map(self.titled, items)) or "nothing" for items in talk.shown]
        turns = [
            {"said": said[:LONGEST_SENTENCE], "shown": answered[place] if place < len(answered) else None}
            for place, said in enumerate(talk.said)
        ]
        history = [self.titled(item) for item in talk.history[-HISTORY:].tolist()]
        return prompt(
            name,
            "latentcrs_lab.systems",
            thing=self.thing,
            wanted=turn.wanted,
            history=history,
            turns=turns,
            **values,
        )

    # Several at once.

    def _answers(self, talks: Sequence[Talk], wanted: int) -> list[list[int]]:
        turns = [Turn(talk, wanted, self.model) for talk in talks]
        with ThreadPoolExecutor(max_workers=self._at_once) as pool:
            answers = list(pool.map(self._answer, turns))
        for turn in turns:
            self._counts += turn.counts
            before = turn.talk.tokens
            turn.talk.tokens = (before[0] + turn.meter.input_tokens, before[1] + turn.meter.output_tokens)
        self._refuse_silence([turn.error for turn in turns])
        return answers

    def _refuse_silence(self, errors: Sequence[ModelError | None]) -> None:
        """Figures of a system whose model never answered would be another system's."""
        for error in errors:
            deaf = error is not None and error.outcome in ("bad key", "unreachable")
            if deaf and self._counts["calls"] == self._counts["failed_calls"]:
                raise UserError(str(error))


def share(count: int, of: int) -> float:
    """`count` as a share of `of`, to four places; 0 of nothing."""
    return round(count / of, 4) if of else 0.0
