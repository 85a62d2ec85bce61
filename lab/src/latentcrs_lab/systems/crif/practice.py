"""Practice sessions of CRIF's decision phase, played out under every sequence of acts.

Whom a session is with and what is done decide everything that happens in it, and there are two acts: a session of T
turns has 2^T - 1 turns in all. They are played once; learning then only looks them up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentcrs.base.progress import step
from latentcrs.systems.sessions import RECOMMEND, Acts, Sessions
from latentcrs_lab.systems.crif.tracking import FEATURES
from latentcrs_lab.systems.crif.turn import Turn
from latentcrs_lab.systems.practice import Practice

_TOGETHER = 256


@dataclass(frozen=True)
class Playthroughs:
    """B sessions. Turn 0 is the first; after turn t comes 2t + 1 where the system asks, 2t + 2 where it recommends.

    states (B, turns, FEATURES). can_ask (B, turns): where it cannot, to ask is to recommend. found (B, turns): to
    recommend here shows the target. ranks (B, turns): how many items would be shown before the target. sizes
    (B, turns): candidates. What follows a success, or a question that cannot be asked, is all zeros.
    """

    states: NDArray[np.float32]
    can_ask: NDArray[np.bool_]
    found: NDArray[np.bool_]
    ranks: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.states)


def play(practice: Practice, turn: Turn, turns: int) -> Playthroughs:
    """Every session of `practice` under every sequence of acts, `turns` long."""
    shape = (len(practice), 2**turns - 1)
    played = Playthroughs(
        np.zeros((*shape, FEATURES), np.float32),
        np.zeros(shape, bool),
        np.zeros(shape, bool),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
    )
    with step("CRIF, practice sessions", len(practice)) as bar:
        for start in range(0, len(practice), _TOGETHER):
            rows = np.arange(start, min(start + _TOGETHER, len(practice)))
            _play_on(practice, turn, played, rows, practice.begin(rows), 0)
            bar.advance(len(rows))
    return played


def _play_on(
    practice: Practice, turn: Turn, played: Playthroughs, rows: NDArray[np.int64], sessions: Sessions, number: int
) -> None:
    """Play turn `number` of the sessions `rows`, and all that follow it."""
    if len(rows) == 0:
        return
    targets = practice.targets[rows]
    standing = turn(sessions)
    items = turn.list_of(standing, sessions)
    found = (items == targets[:, None]).any(1)
    keys = np.where(sessions.gone, -np.inf, standing.keys)
    played.states[rows, number] = standing.state
    played.can_ask[rows, number] = standing.can_ask
    played.found[rows, number] = found
    played.ranks[rows, number] = (keys > keys[np.arange(len(rows)), targets][:, None]).sum(1)
    played.sizes[rows, number] = standing.candidates.sum(1)
    if 2 * number + 1 >= played.found.shape[1]:
        return
    recommends = np.full(len(rows), RECOMMEND)
    for after, going, asks in ((1, standing.can_ask, standing.question), (2, ~found, recommends)):
        some = np.flatnonzero(going)
        next_sessions = sessions.some(some)
        practice.step(next_sessions, Acts(asks[some], items[some]), targets[some])
        _play_on(practice, turn, played, rows[some], next_sessions, 2 * number + after)
