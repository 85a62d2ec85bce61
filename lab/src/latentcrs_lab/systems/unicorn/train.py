"""Trains UNICORN on a prepared data set: node embeddings, then the policy by deep Q-learning; both are kept."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from latentcrs.base.checkpoint import Checkpoint, load_tensors, save_tensors
from latentcrs.base.device import quick_products
from latentcrs.base.progress import say, step
from latentcrs.data.dataset import PreparedDataset
from latentcrs.fit.training import fingerprint, work_folder
from latentcrs.systems.hearing import FacetHearing
from latentcrs_lab.systems.practice import Practice, practice_of
from latentcrs_lab.systems.unicorn.embeddings import NodeEmbeddings
from latentcrs_lab.systems.unicorn.episodes import exploring, mean_turns, play, played
from latentcrs_lab.systems.unicorn.network import QNetwork
from latentcrs_lab.systems.unicorn.policy import Unicorn
from latentcrs_lab.systems.unicorn.pretraining import train_ranking
from latentcrs_lab.systems.unicorn.replay import Replay
from latentcrs_lab.systems.unicorn.settings import UnicornSettings
from latentcrs_lab.systems.unicorn.transe import train_transe

_OF_NODES = {
    "pretraining", "width", "newest", "told", "told_not", "steps", "rows", "rate", "negatives", "validation_rows",
    "seed",
}  # fmt: skip
"""The settings that node embeddings depend on."""


def train_unicorn(
    dataset: PreparedDataset,
    hearing: FacetHearing,
    settings: UnicornSettings | None = None,
    fresh: bool = False,
) -> Unicorn:
    """UNICORN, trained on the requests of the training split, or as an earlier call has left it.

    hearing: hears the facets in them. fresh: train anew.

    Raises:
        UserError: the data set has no requests.
    """
    settings, facets = settings or UnicornSettings(), hearing.facets
    dump = settings.model_dump(mode="json")
    marks = {
        "nodes": fingerprint(
            "UNICORN's nodes", dataset.info.checksums, {key: dump[key] for key in sorted(_OF_NODES)}
        ),
        "policy": fingerprint("UNICORN", dataset.info.checksums, dump),
    }
    files = {part: work_folder() / f"unicorn-{mark}.safetensors" for part, mark in marks.items()}
    checkpoints = {
        part: Checkpoint(path.with_suffix(".checkpoint.safetensors"), marks[part]) for part, path in files.items()
    }
    if fresh:
        for part, path in files.items():
            path.unlink(missing_ok=True)
            checkpoints[part].remove()
    train, valid = (dataset.requests.filter(pl.col("split") == split) for split in ("train", "valid"))
    judged = practice_of(dataset, hearing, valid, settings.validation_rows)
    nodes = NodeEmbeddings(len(facets.has), len(facets), settings.width, settings.newest)
    if files["nodes"].is_file():
        nodes.load_state_dict(load_tensors(files["nodes"])[0])
    else:
        if settings.pretraining == "transe":
            nodes, report = train_transe(dataset, facets, settings, checkpoints["nodes"])
        else:
            nodes, report = train_ranking(dataset, facets, judged, settings, checkpoints["nodes"])
        save_tensors(files["nodes"], nodes.state_dict(), report)
        checkpoints["nodes"].remove()
    torch.manual_seed(settings.seed)
    policy = Unicorn(nodes, QNetwork(nodes, facets, settings), facets, settings)
    if files["policy"].is_file():
        policy.network.load_state_dict(load_tensors(files["policy"])[0])
        say("UNICORN: taken as it was trained before on these requests")
    else:
        report = train_policy(policy, practice_of(dataset, hearing, train), judged, checkpoints["policy"])
        save_tensors(files["policy"], policy.network.state_dict(), report)
        checkpoints["policy"].remove()
    policy.network.eval()
    return policy


class Learner:
    """Double deep Q-learning (van Hasselt et al., AAAI 2016) from prioritised transitions."""

    def __init__(self, network: QNetwork, settings: UnicornSettings) -> None:
        self.network, self.target = network, copy.deepcopy(network)
        self.adam = torch.optim.Adam(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        self.replay, self._settings = Replay(settings.memory), settings

    def update(self, rng: np.random.Generator) -> float:
        """Learn from one batch; returns its loss."""
        settings = self._settings
        slots, batch, weights = self.replay.draw(settings.batch, rng)
        with torch.no_grad():
            best = self.network(batch.then).argmax(1, keepdim=True)
            after = self.target(batch.then).gather(1, best)[:, 0]
            wanted = torch.from_numpy(batch.rewards) + settings.discount * after * torch.from_numpy(~batch.ended)
        values = self.network(batch.graphs).gather(1, torch.from_numpy(batch.actions)[:, None])[:, 0]
        errors = values - wanted
        loss = (torch.from_numpy(weights) * errors.square()).mean()
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_value_(self.network.parameters(), 1.0)
        self.adam.step()
        self.replay.update(slots, errors.detach().numpy())
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, settings.target_rate)
        return loss.item()


def train_policy(policy: Unicorn, train: Practice, valid: Practice, checkpoint: Checkpoint) -> dict[str, Any]:
    """Train `policy.network`: rounds of sessions, each followed by batches of what is remembered. The weights with
    the highest return on the validation sessions are kept.
    """
    settings = policy.settings
    learner = Learner(policy.network, settings)
    modules, adam = {"network": learner.network, "target": learner.target}, {"adam": learner.adam}
    loop: dict[str, Any] = {"round": 0, "best": -math.inf, "curve": []}
    kept: dict[str, Tensor] = {}
    if restored := checkpoint.restore(modules, adam):
        tensors, loop = restored
        kept = {name.removeprefix("kept/"): t for name, t in tensors.items() if name.startswith("kept/")}
        learner.replay.restore({n.removeprefix("replay/"): t for n, t in tensors.items() if n.startswith("replay/")})
    with step("UNICORN's policy", settings.rounds) as bar:
        bar.advance(loop["round"])
        while loop["round"] < settings.rounds:
            rng = np.random.default_rng([settings.seed, 1, loop["round"]])
            done = min(1.0, 2 * loop["round"] / settings.rounds)
            share = settings.explore[0] + done * (settings.explore[1] - settings.explore[0])
            rows = rng.choice(len(train), min(settings.sessions, len(train)), replace=False)
            policy.network.train()
            for happened in play(policy, train, rows, exploring(share, rng))[1]:
                learner.replay.add(happened)
            for group in learner.adam.param_groups:
                group["lr"] = settings.learning_rate * max(0.02, 1 - loop["round"] / settings.rounds)
            with quick_products():
                for _ in range(settings.updates):
                    learner.update(rng)
            loop["round"] += 1
            bar.advance()
            if loop["round"] % settings.validate_every and loop["round"] < settings.rounds:
                continue
            outcomes, gain = played(policy, valid)
            turns, successes = mean_turns(outcomes, settings.turns), float((outcomes > 0).mean())
            loop["curve"].append([round(gain, 4), round(turns, 4), round(successes, 4)])
            if gain > loop["best"]:
                loop["best"] = gain
                kept = {name: tensor.detach().clone() for name, tensor in policy.network.state_dict().items()}
            bar.note(f"validation return {gain:.3f}, best {loop['best']:.3f}, S@{settings.turns} {successes:.3f}")
            memory = {f"replay/{name}": tensor for name, tensor in learner.replay.state().items()}
            checkpoint.save(modules, adam, {f"kept/{name}": t for name, t in kept.items()} | memory, loop)
    policy.network.load_state_dict(kept)
    return {"validation_return": loop["best"], "curve": loop["curve"]}
