"""Trains CRM: the tracker on words, the machine on the log, the policy in rehearsed conversations; each resumed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.base.device import quick_products
from latentcrs.base.errors import UserError
from latentcrs.behaviour.softmax import Proposal, full_softmax_loss, sampled_softmax_loss
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.ranking import ndcg_at, ranks_of_scores
from latentcrs.fit.training import fingerprint, work_folder
from latentcrs_lab.systems.crm.belief import tracking_loss
from latentcrs_lab.systems.crm.fitting import fit
from latentcrs_lab.systems.crm.lessons import Lessons, UserTurns, prepare
from latentcrs_lab.systems.crm.machine import bags_of
from latentcrs_lab.systems.crm.model import CrmModel
from latentcrs_lab.systems.crm.rehearsal import Rehearsal, imitation_loss, reinforce_loss
from latentcrs_lab.systems.crm.settings import CrmSettings
from latentcrs_lab.systems.crm.values import Values, shared_out

PARTS = ("tracker", "machine", "imitation", "reinforce")
_TRACKED = 300  # validation rows that the tracker is judged on: whole sessions, over all values
_TOGETHER = 50


def train_crm(dataset: PreparedDataset, settings: CrmSettings | None = None, fresh: bool = False) -> CrmModel:
    """CRM for this data set: as it was trained before, resumed, or trained. `fresh` forgets both.

    Raises:
        UserError: the catalogue has no column that could be asked about.
    """
    settings = settings or CrmSettings()
    files = [dataset.info.checksums[name] for name in ("interactions.parquet", "items.parquet")]
    mark = fingerprint("crm", files, settings.model_dump())
    finished = work_folder() / f"crm-{mark}.safetensors"
    kept = {part: Checkpoint(work_folder() / f"crm-{mark}.{part}.safetensors", mark) for part in PARTS}
    if fresh:
        finished.unlink(missing_ok=True)
        for checkpoint in kept.values():
            checkpoint.remove()
    values = Values.of(dataset)
    if not values.columns:
        raise UserError(f"CRM asks about columns of categories and years, and {dataset.path} has none with a value.")
    if finished.is_file():
        return CrmModel.load(finished, dataset, settings, values)
    model, lessons = prepare(dataset, settings, values)
    model.report["tracker"] = fit_tracker(model, lessons, kept["tracker"])
    model.report["machine"] = fit_machine(dataset, model, lessons, kept["machine"])
    model.report |= fit_policy(dataset, model, lessons, kept["imitation"], kept["reinforce"])
    model.save(finished)
    for checkpoint in kept.values():
        checkpoint.remove()
    return model


def fit_tracker(model: CrmModel, lessons: Lessons, checkpoint: Checkpoint) -> dict[str, Any]:
    """Learn what sessions told, from sessions in which half of the turns after the first answer a question."""
    settings, tracker = model.settings, model.tracker
    adam = torch.optim.AdamW(tracker.parameters(), lr=settings.tracker_rate, weight_decay=1e-5)

    def loss(spoken: UserTurns, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        said, asked = spoken.speech.drawn(rows, settings.turns, 0.5, rng)
        wanted = [shared_out(told @ lessons.wished, model.values) for told in spoken.speech.conditions(said)]
        also = np.concatenate([turn.indices for turn in wanted])
        return tracking_loss(tracker(spoken.heard, said, asked, also), wanted)

    def one_round(rng: np.random.Generator) -> None:
        for _ in range(settings.tracker_steps):
            rows = rng.integers(0, len(lessons.tracking), settings.tracker_batch)
            with quick_products():
                _step(adam, tracker, loss(lessons.tracking, rows, rng))

    @torch.no_grad()
    def measure() -> float:
        rng = np.random.default_rng(settings.seed)
        rows = np.arange(min(_TRACKED, len(lessons.judged)))
        parts = np.array_split(rows, -(-len(rows) // _TOGETHER))
        return -sum(float(loss(lessons.judged, part, rng)) * len(part) for part in parts) / len(rows)

    rounds = settings.tracker_rounds
    return fit("CRM's belief tracker", tracker, adam, one_round, rounds, measure, checkpoint, settings.seed)


def fit_machine(
    dataset: PreparedDataset, model: CrmModel, lessons: Lessons, checkpoint: Checkpoint
) -> dict[str, Any]:
    """Learn to rank the item of each row of the log first, given its user and a belief about it."""
    settings, machine = model.settings, model.machine
    log = lessons.log(dataset)
    words = beliefs_of_words(model, lessons.tracking) if settings.heard_share else None
    proposal = Proposal(torch.from_numpy(dataset.training_counts))
    adam = torch.optim.Adam(machine.parameters(), lr=settings.machine_rate)

    def batches(rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], sparse.csr_matrix]:
        """(user, item, belief) of all rows of a round."""
        count = settings.machine_steps * settings.machine_batch
        of_words = int(count * settings.heard_share) if words is not None else 0
        rows = rng.integers(0, len(log[0]), count - of_words)
        users, items = log[0][rows], log[1][rows]
        beliefs = lessons.drawn(items, settings.told, rng)
        if words is None:
            return users, items, beliefs
        chosen, order = rng.integers(0, words.shape[0], of_words), rng.permutation(count)
        lesson = chosen % len(lessons.tracking)
        users = np.concatenate([users, lessons.tracking.users[lesson]])[order]
        items = np.concatenate([items, lessons.tracking.targets[lesson]])[order]
        return users, items, sparse.vstack([beliefs, words[chosen]], "csr")[order]

    def one_round(rng: np.random.Generator) -> None:
        users, items, beliefs = batches(rng)
        for start in range(0, len(users), settings.machine_batch):
            part = slice(start, start + settings.machine_batch)
            wanted = torch.from_numpy(items[part])
            with quick_products():
                query = machine.query(torch.from_numpy(users[part]), machine.wishes(*bags_of(beliefs[part])))
                vectors = machine.items()
                if len(vectors) <= settings.full_softmax_items:
                    loss = full_softmax_loss(query, vectors, wanted)
                else:
                    among = partial(F.embedding, weight=vectors)
                    loss = sampled_softmax_loss(query, among, wanted, proposal, settings.samples)
                _step(adam, machine, loss)

    said = lessons.judged.speech.opening[:, None]

    @torch.no_grad()
    def measure() -> float:
        queries = machine.query(torch.from_numpy(lessons.judged.users), machine.wishes(*opened))
        ranks = ranks_of_scores(queries @ machine.items().T, lessons.judged.targets, histories)
        return float(ndcg_at(ranks, 20).mean())

    opened = bags_of(model.tracker.believe(lessons.judged.heard, said, np.zeros_like(said)).values)
    histories = dataset.histories(lessons.judged.users, lessons.judged.rows["cut"].to_numpy())
    rounds = settings.machine_rounds
    return fit("CRM's factorisation machine", machine, adam, one_round, rounds, measure, checkpoint, settings.seed)


def beliefs_of_words(model: CrmModel, spoken: UserTurns, times: int = 3) -> sparse.csr_matrix:
    """What the tracker believes at some point of sessions of each row, (times * rows, F)."""
    rng = np.random.default_rng(model.settings.seed)
    rows = np.tile(np.arange(len(spoken)), times)
    said, asked = spoken.speech.drawn(rows, model.settings.turns, 0.3, rng)
    ends = rng.integers(1, model.settings.turns + 1, len(rows))
    order = [np.flatnonzero(ends == end) for end in range(1, model.settings.turns + 1)]
    parts = [
        model.tracker.believe(spoken.heard, said[chosen, :end], asked[chosen, :end]).values
        for end, chosen in enumerate(order, 1)
    ]
    return sparse.vstack(parts, "csr")[np.argsort(np.concatenate(order))]


def fit_policy(
    dataset: PreparedDataset, model: CrmModel, lessons: Lessons, imitation: Checkpoint, reinforce: Checkpoint
) -> dict[str, Any]:
    """Learn to act as the max-entropy rule does, then by REINFORCE to act better."""
    settings, policy = model.settings, model.policy
    practice = Rehearsal(dataset, model, lessons.practice)
    judged = Rehearsal(dataset, model, lessons.judged)

    def update(rng: np.random.Generator, adam: torch.optim.Optimizer, imitates: bool) -> None:
        rows = rng.choice(len(practice), min(settings.sessions, len(practice)), replace=False)
        played = practice.play(rows, policy, rng, rule=imitates)
        _step(adam, policy, imitation_loss(played) if imitates else reinforce_loss(played, settings.exploring))

    def learn(imitates: bool, rounds: int, checkpoint: Checkpoint) -> dict[str, Any]:
        adam = torch.optim.Adam(policy.parameters(), lr=settings.policy_rate)

        def one_round(rng: np.random.Generator) -> None:
            for _ in range(settings.updates):
                update(rng, adam, imitates)

        name = "CRM's policy, as the rule" if imitates else "CRM's policy, by reward"
        measure = likeness if imitates else reward
        return fit(name, policy, adam, one_round, rounds, measure, checkpoint, settings.seed, keep_start=not imitates)

    @torch.no_grad()
    def likeness() -> float:
        return -float(imitation_loss(judged.play(np.arange(len(judged)), policy, rule=True)))

    @torch.no_grad()
    def reward() -> float:
        return float(judged.play(np.arange(len(judged)), policy).returns[:, 0].mean())

    return {
        "imitation": learn(True, settings.imitation_rounds, imitation),
        "reinforce": learn(False, settings.reinforce_rounds, reinforce),
    }


def _step(optimizer: torch.optim.Optimizer, module: nn.Module, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimizer.step()
