"""What simulated users would say on training rows: the utterances that CRM's tracker and policy learn from."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from latentcrs.base.progress import step
from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.attributes import AttributesUser
from latentcrs.users.dialogue import Dialogue, Question, SystemTurn, dialogues_of

SHOWN = 5  # items in a list that is refused
_TOGETHER = 256


@dataclass(frozen=True)
class Speech:
    """What R users would say, whatever the system does. Every utterance is a number, of `texts`.

    opening (R,). refusals (R, turns - 1): of the first, second ... list without their item. answers (R, C): to the
    question about each column, right after the opening. told, taken_back (texts, conditions) sparse: 1 where a text
    tells a condition of the target, or takes one back.
    """

    texts: list[str]
    opening: NDArray[np.int64]
    refusals: NDArray[np.int64]
    answers: NDArray[np.int64]
    told: sparse.csr_matrix
    taken_back: sparse.csr_matrix

    def __len__(self) -> int:
        return len(self.opening)

    def drawn(
        self, rows: NDArray[np.int64], turns: int, ask: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sessions of `rows` with a system that asks at random, in this share of its turns: utterances (B, turns),
        and what each answers (B, turns): 0 nothing or a list, 1 + c a question about column c.
        """
        count, columns = len(rows), self.answers.shape[1]
        said, asked = np.zeros((2, count, turns), np.int64)
        said[:, 0] = self.opening[rows]
        order = rng.permuted(np.tile(np.arange(columns), (count, 1)), axis=1)
        answered, refused = np.zeros((2, count), np.int64)
        for turn in range(1, turns):
            asks = (rng.random(count) < ask) & (answered < columns)
            column = order[np.arange(count), np.minimum(answered, columns - 1)]
            said[:, turn] = self.refusals[rows, refused]
            said[asks, turn] = self.answers[rows[asks], column[asks]]
            asked[:, turn] = np.where(asks, 1 + column, 0)
            answered += asks
            refused += ~asks
        return said, asked

    def conditions(self, said: NDArray[np.int64]) -> list[sparse.csr_matrix]:
        """What has been told, less what was taken back, after each turn of sessions `said` (B, T): T of (B, C)."""
        states = []
        state = sparse.csr_matrix((len(said), self.told.shape[1]), dtype=np.float32)
        for turn in said.T:
            state = state.maximum(self.told[turn])
            state = state - state.multiply(self.taken_back[turn])
            states.append(state)
        return states


def listen(
    user: AttributesUser, dataset: PreparedDataset, rows: pl.DataFrame, columns: tuple[str, ...], turns: int,
    seed: int, name: str,
) -> Speech:  # fmt: skip
    """Let the user of each of `rows` (user, cut, target) open, refuse `turns` - 1 lists of popular items in a row,
    and, in the second turn, answer a question about each of `columns` instead. name: of the progress bar.
    """
    said = _Said()
    opening: list[list[int]] = []
    refusals: list[list[list[int]]] = []
    answers: list[list[list[int]]] = []
    chances = (dataset.training_counts + 1.0) / (dataset.training_counts + 1.0).sum()
    rng = np.random.default_rng(seed)
    with step(name, len(rows)) as bar:
        for batch in rows.iter_slices(_TOGETHER):
            dialogues = dialogues_of(dataset, batch)
            user.speak(dialogues)
            opening.append([said.note(dialogue, None) for dialogue in dialogues])
            answers.append([said.answers(user, dialogues, column) for column in columns])
            refusals.append([])
            for _ in range(turns - 1):
                before = [_copy(dialogue) for dialogue in dialogues]
                lists = rng.choice(len(chances), (len(dialogues), SHOWN), p=chances).tolist()
                for dialogue, items in zip(dialogues, lists, strict=True):
                    dialogue.shown.append(SystemTurn(tuple(i for i in dict.fromkeys(items) if i != dialogue.target)))
                user.speak(dialogues)
                refusals[-1].append([said.note(now, was) for now, was in zip(dialogues, before, strict=True)])
            bar.advance(len(dialogues))
        bar.note(f"{len(said.texts):,} utterances")
    conditions = len(user.table.conditions)
    return Speech(
        said.texts,
        np.concatenate([np.array(part, np.int64) for part in opening]),
        np.concatenate([np.array(part, np.int64).reshape(turns - 1, -1).T for part in refusals]),
        np.concatenate([np.array(part, np.int64).reshape(len(columns), -1).T for part in answers]),
        _matrix(said.told, conditions),
        _matrix(said.taken_back, conditions),
    )


class _Said:
    """All utterances so far, with what is new in each."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.told: list[set[int]] = []
        self.taken_back: list[set[int]] = []

    def note(self, now: Dialogue, before: Dialogue | None) -> int:
        """The number of the last thing said."""
        earlier = (set(before.memory.told), set(before.memory.taken_back)) if before else (set(), set())
        self.texts.append(now.said[-1])
        self.told.append(set(now.memory.told) - earlier[0])
        self.taken_back.append(set(now.memory.taken_back) - earlier[1])
        return len(self.texts) - 1

    def answers(self, user: AttributesUser, dialogues: list[Dialogue], column: str) -> list[int]:
        """What is answered when the system asks about `column` instead; the dialogues stay as they are."""
        asked = [_copy(dialogue) for dialogue in dialogues]
        for dialogue in asked:
            dialogue.shown.append(SystemTurn((), Question(column)))
        user.speak(asked)
        return [self.note(now, was) for now, was in zip(asked, dialogues, strict=True)]


def _copy(dialogue: Dialogue) -> Dialogue:
    return replace(dialogue, said=[*dialogue.said], shown=[*dialogue.shown], memory=copy.deepcopy(dialogue.memory))


def _matrix(indices: list[set[int]], width: int) -> sparse.csr_matrix:
    rows = [row for row, of_row in enumerate(indices) for _ in of_row]
    columns = [index for of_row in indices for index in sorted(of_row)]
    return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (len(indices), width))
