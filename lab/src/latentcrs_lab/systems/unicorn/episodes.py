"""Sessions played to their end against truthful users: the transitions that UNICORN learns from, and how it does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from latentcrs.systems.sessions import RECOMMEND
from latentcrs_lab.systems.practice import Practice
from latentcrs_lab.systems.unicorn.policy import Unicorn, acts_of
from latentcrs_lab.systems.unicorn.replay import Transitions

Choose = Callable[[NDArray[np.float32]], NDArray[np.int64]]
"""Q-values (B, a), -inf where there is no action -> actions (B,)."""


def greedy(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """The best action of each row."""
    return values.argmax(1)


def exploring(share: float, rng: np.random.Generator) -> Choose:
    """The best action, in this share of the rows any action."""

    def choose(values: NDArray[np.float32]) -> NDArray[np.int64]:
        anyhow = np.where(np.isneginf(values), -1.0, rng.random(values.shape)).argmax(1)
        return np.where(rng.random(len(values)) < share, anyhow, values.argmax(1))

    return choose


def play(
    policy: Unicorn, practice: Practice, rows: NDArray[np.int64], choose: Choose
) -> tuple[NDArray[np.int64], list[Transitions]]:
    """The turn that showed the target, 0 for none, (len(rows),), and what happened, turn by turn."""
    settings = policy.settings
    sessions, targets = practice.begin(rows), practice.targets[rows]
    outcomes, going, happened = np.zeros(len(rows), np.int64), np.arange(len(rows)), []
    graphs = policy.pruning(sessions)
    while len(going):
        values = policy.values(graphs)
        actions = choose(values)
        acts = acts_of(graphs, actions, values, settings)
        found = practice.step(sessions, acts, targets) >= 0
        asked = acts.asks != RECOMMEND
        accepted = np.zeros(len(going), bool)
        accepted[asked] = sessions.accepted[np.flatnonzero(asked), acts.asks[asked]]
        over = ~found & (sessions.turns >= settings.turns)
        rewards = np.where(asked, settings.rejects, settings.not_found)
        for where, reward in ((accepted, settings.accepts), (over, settings.quits), (found, settings.found)):
            rewards = np.where(where, reward, rewards)
        outcomes[going[found]] = sessions.turns[found]
        left = np.flatnonzero(~found & ~over)
        sessions, targets, going = sessions.some(left), targets[left], going[left]
        then = policy.pruning(sessions)
        happened.append(
            Transitions(graphs, actions, rewards.astype(np.float32), graphs.replaced(left, then), found | over)
        )
        graphs = then
    return outcomes, happened


def mean_turns(outcomes: NDArray[np.int64], turns: int) -> float:
    """AT: turns until the target was shown, one more than there are where it was not."""
    return float(np.where(outcomes > 0, outcomes, turns + 1).mean())


def played(policy: Unicorn, practice: Practice, together: int = 256) -> tuple[NDArray[np.int64], float]:
    """All sessions of `practice`, each step the best action: their outcomes, see `play`, and their mean return (the
    sum of a session's rewards, not discounted).
    """
    outcomes, total = [], 0.0
    for rows in np.split(np.arange(len(practice)), range(together, len(practice), together)):
        found, happened = play(policy, practice, rows, greedy)
        outcomes.append(found)
        total += sum(float(each.rewards.sum()) for each in happened)
    return np.concatenate(outcomes), total / len(practice)
