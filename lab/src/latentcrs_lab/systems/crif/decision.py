"""CRIF's decision phase: a policy that asks or recommends, and the reward it is trained with, learned together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latentcrs.base.progress import step
from latentcrs_lab.systems.crif.practice import Playthroughs
from latentcrs_lab.systems.crif.reward import ASK, Reward, ask_is_better, comparison_loss
from latentcrs_lab.systems.crif.settings import DecisionSettings
from latentcrs_lab.systems.crif.tracking import FEATURES


class Decision(nn.Module):
    """pi(a | s): two layers over the state."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, states: Tensor) -> Tensor:
        """states (B, FEATURES) -> logits (B, 2) of `ASK` and `SHOW`."""
        logits: Tensor = self.network(states)
        return logits

    def asks(self, states: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether the more likely act is to ask, (B,)."""
        with torch.inference_mode():
            asks: NDArray[np.bool_] = (self(torch.from_numpy(states)).argmax(1) == ASK).numpy()
        return asks


def outcomes(played: Playthroughs, decision: Decision) -> NDArray[np.int64]:
    """The turn, from 1, in which each session shows its target if the more likely act is always taken; 0: in none."""
    found, places = np.zeros(len(played), np.int64), np.zeros(len(played), np.int64)
    rows, turn = np.arange(len(played)), 0
    while len(rows):
        at = rows, places[rows]
        asks = decision.asks(played.states[at]) & played.can_ask[at]
        turn += 1
        found[rows[~asks & played.found[at]]] = turn
        places[rows] = 2 * places[rows] + np.where(asks, 1, 2)
        rows = rows[(found[rows] == 0) & (places[rows] < played.found.shape[1])]
    return found


def average_turns(found: NDArray[np.int64], turns: int) -> float:
    """The mean of `outcomes` (B,); a failure counts as one turn more than there are."""
    return float(np.where(found > 0, found, turns + 1).mean())


def train_decision(played: Playthroughs, settings: DecisionSettings) -> tuple[Decision, dict[str, Any]]:
    """The policy with the fewest average turns in practice, of those after each epoch; and a report: these
    `turns`, and the `curve` of all epochs.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    decision = Decision(settings.hidden)
    reward = Reward(settings.hidden)
    adams = [torch.optim.Adam(network.parameters(), lr=settings.learning_rate) for network in (decision, reward)]
    better = ask_is_better(played, settings.shown)
    fewest, best, curve = np.inf, {}, []
    with step("CRIF, decision phase", settings.epochs) as bar:
        for _ in range(settings.epochs):
            order = rng.permutation(len(played))
            for start in range(0, len(order), settings.batch):
                episodes = draw_episodes(played, order[start : start + settings.batch], decision)
                states = torch.from_numpy(played.states[episodes.sessions, episodes.turns])
                earned = reward(states)
                returns = discounted(episodes, earned.detach().numpy(), settings)
                log_p = decision(states).log_softmax(1)[torch.arange(len(states)), torch.from_numpy(episodes.acts)]
                wanted = torch.from_numpy(better[episodes.sessions, episodes.turns])
                losses = (-(log_p * torch.from_numpy(returns)).mean(), comparison_loss(earned, wanted))
                for adam, loss in zip(adams, losses, strict=True):
                    adam.zero_grad(set_to_none=True)
                    loss.backward()
                    adam.step()
            curve.append(average_turns(outcomes(played, decision), settings.turns))
            if curve[-1] < fewest:
                fewest = curve[-1]
                best = {name: tensor.clone() for name, tensor in decision.state_dict().items()}
            bar.advance()
            bar.note(f"{curve[-1]:.3f} turns on average, fewest {fewest:.3f}")
    decision.load_state_dict(best)
    return decision, {"turns": fewest, "curve": [round(turns, 4) for turns in curve]}


@dataclass(frozen=True)
class Episodes:
    """R turns in which acts were drawn from a policy, first turns first: whose session, which turn of
    `Playthroughs`, the act, and whether it showed the target.
    """

    sessions: NDArray[np.int64]
    turns: NDArray[np.int64]
    acts: NDArray[np.int64]
    found: NDArray[np.bool_]


def draw_episodes(played: Playthroughs, rows: NDArray[np.int64], decision: Decision) -> Episodes:
    """An episode of each of the sessions `rows`, each until its target is shown or the turns are over."""
    live, places, parts = rows, np.zeros(len(rows), np.int64), []
    while len(live):
        with torch.no_grad():
            shares = decision(torch.from_numpy(played.states[live, places])).softmax(1)
        acts = torch.multinomial(shares, 1)[:, 0].numpy()
        asks = (acts == ASK) & played.can_ask[live, places]
        found = ~asks & played.found[live, places]
        parts.append((live, places, acts, found))
        following = 2 * places + np.where(asks, 1, 2)
        going = ~found & (following < played.found.shape[1])
        live, places = live[going], following[going]
    sessions, turns, acts, found = (np.concatenate([part[place] for part in parts]) for place in range(4))
    return Episodes(sessions, turns, acts, found)


def discounted(episodes: Episodes, earned: NDArray[np.float32], settings: DecisionSettings) -> NDArray[np.float32]:
    """earned (R, 2) by either act, by the learned reward -> the return of each turn, standardised over all, (R,).

    A turn earns that and `settings.turn`, with `found` where it shows the target, and with `quits` where it is the
    last and does not.
    """
    rewards = earned[np.arange(len(earned)), episodes.acts] + settings.turn + settings.found * episodes.found
    number = np.floor(np.log2(episodes.turns + 1)).astype(int)  # 0 for a first turn
    rewards += settings.quits * (~episodes.found & (number == settings.turns - 1))
    coming = np.zeros(int(episodes.sessions.max()) + 1)
    returns = np.zeros(len(rewards))
    for turn in range(settings.turns - 1, -1, -1):
        rows = np.flatnonzero(number == turn)
        sessions = episodes.sessions[rows]
        coming[sessions] = returns[rows] = rewards[rows] + settings.discount * coming[sessions]
    return ((returns - returns.mean()) / (returns.std() + 1e-6)).astype(np.float32)
