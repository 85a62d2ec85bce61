"""Where CRM's policy learns: whole conversations over training rows, with words that simulated users would say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.data.dataset import PreparedDataset
from latentcrs_lab.systems.crm.lessons import UserTurns
from latentcrs_lab.systems.crm.model import CrmModel
from latentcrs_lab.systems.crm.policy import Policy, State, max_entropy


@dataclass(frozen=True)
class Step:
    """One turn of the sessions that still went on: log-probabilities (B, C + 1), acts (B,), their numbers (B,)."""

    log_p: Tensor
    acts: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Episodes:
    """B conversations. rewards (B, turns). outcomes (B,): the turn that showed the target, 0 for none."""

    steps: list[Step]
    rewards: NDArray[np.float64]
    outcomes: NDArray[np.int64]

    @property
    def returns(self) -> NDArray[np.float64]:
        """What was still to come at each turn, (B, turns)."""
        return np.cumsum(self.rewards[:, ::-1], 1)[:, ::-1]


class Rehearsal:
    """R training rows, and what their users would say."""

    def __init__(self, dataset: PreparedDataset, model: CrmModel, spoken: UserTurns) -> None:
        self._model, self._speech, self._heard = model, spoken.speech, spoken.heard
        self._users, self._targets = spoken.users, spoken.targets
        self._histories = dataset.histories(spoken.users, spoken.rows["cut"].to_numpy().astype(np.int64))

    def __len__(self) -> int:
        return len(self._users)

    def play(
        self, rows: NDArray[np.int64], policy: Policy, rng: np.random.Generator | None = None, rule: bool = False
    ) -> Episodes:
        """A conversation of each of `rows`: by chance as the policy's probabilities are, without `rng` by the most
        probable act; with `rule` by the max-entropy rule.
        """
        settings, speech, count = self._model.settings, self._speech, len(rows)
        recommends = speech.answers.shape[1]
        said, asked = np.zeros((2, count, settings.turns), np.int64)
        said[:, 0] = speech.opening[rows]
        gone = np.zeros((count, len(self._model.values.has.indptr) - 1), bool)
        gone[self._histories[rows].pairs()] = True
        refused, outcomes = np.zeros((2, count), np.int64)
        rewards, steps, going = np.zeros((count, settings.turns)), [], np.arange(count)
        for turn in range(settings.turns):
            state, scores = self._model.read(
                self._heard, said[going, : turn + 1], asked[going, : turn + 1], self._users[rows[going]]
            )
            log_p = policy(state)
            acts = self._act(state, scores, log_p.detach(), rng, rule)
            steps.append(Step(log_p, acts, going))
            shown = scores.masked_fill(torch.from_numpy(gone[going]), -torch.inf).topk(settings.shown).indices.numpy()
            shows = acts == recommends
            hit = shows & (shown == self._targets[rows[going], None]).any(1)
            gone[going[shows][:, None], shown[shows]] = True
            rewards[going, turn] = settings.turn_cost + settings.success * hit
            outcomes[going[hit]] = turn + 1
            if turn + 1 == settings.turns:
                rewards[going[~hit], turn] += settings.quits
                break
            asking = going[~shows]
            said[asking, turn + 1] = speech.answers[rows[asking], acts[~shows]]
            asked[asking, turn + 1] = 1 + acts[~shows]
            refusing = going[shows & ~hit]
            said[refusing, turn + 1] = speech.refusals[rows[refusing], refused[refusing]]
            refused[refusing] += 1
            going = going[~hit]
            if not len(going):
                break
        return Episodes(steps, rewards, outcomes)

    def _act(
        self, state: State, scores: Tensor, log_p: Tensor, rng: np.random.Generator | None, rule: bool
    ) -> NDArray[np.int64]:
        if rule:
            settings, values = self._model.settings, self._model.values
            acts = max_entropy(state, scores, values.has, values.blocks, settings.questions)
            # The policy cannot follow a question in the last turn: it has the probability 0 there.
            return np.where(state.turns + 1 < settings.turns, acts, len(values.blocks))
        if rng is None:
            return log_p.argmax(1).numpy()
        reached = log_p.exp().cumsum(1).numpy()
        drawn = rng.random((len(reached), 1)) * reached[:, -1:]
        return np.minimum((reached <= drawn).sum(1), reached.shape[1] - 1)


def imitation_loss(played: Episodes) -> Tensor:
    """Cross-entropy of the acts that were taken, a mean over turns."""
    chosen = torch.cat([_chosen(step) for step in played.steps])
    return -chosen.mean()


def reinforce_loss(played: Episodes, exploring: float) -> Tensor:
    """REINFORCE (Williams, 1992): -(return - mean return of the turn) log pi(a | s), a mean over turns, less
    `exploring` times the policy's entropy.
    """
    returns = played.returns
    chosen, gains, entropy = [], [], []
    for turn, step in enumerate(played.steps):
        of_turn = returns[step.rows, turn]
        gains.append(torch.from_numpy(of_turn - of_turn.mean()))
        chosen.append(_chosen(step))
        entropy.append(-(step.log_p.exp() * step.log_p.clamp_min(-30)).sum(1))
    return -(torch.cat(gains).float() * torch.cat(chosen)).mean() - exploring * torch.cat(entropy).mean()


def _chosen(step: Step) -> Tensor:
    return step.log_p.gather(1, torch.from_numpy(step.acts)[:, None])[:, 0]
