"""Tune the behaviour encoder along with f and g, after the three stages that hold it fixed (an ablation)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.behaviour import BehaviourEncoder
from latentcrs.behaviour.windows import history_tokens
from latentcrs.intent.em import EM
from latentcrs.intent.stage import Rows, run_stage

NEWEST = 50
"""Items of a history that are encoded while tuning, for speed; the default encoder sees no more anyway."""


def tune_encoder(
    em: EM, encoder: BehaviourEncoder, train: Rows, valid: Rows, checkpoint: Checkpoint
) -> dict[str, Any]:
    """Train `encoder`, in place, and the generative model of `em` by L^M for `tune_encoder` epochs at most.

    V follows the encoder's item table, which learns too: a bundle reads V from its encoder, so there is one of it.
    The centroids M stay where they are, and the fixed q of L^M reads the S of the frozen encoder. The weights that
    it begins with are kept where no epoch is better on `valid`.
    """
    config, network = em.config, encoder.network
    longest = config.max_history or network.config.length
    seen, held_out = train.histories.newest(min(longest, NEWEST)), valid.histories.newest(longest)

    def follow() -> None:
        em.inference.V = em.generative.V = encoder.item_vectors(learning=True)

    def loss(batch: Tensor) -> Tensor:
        follow()
        tokens, last = history_tokens(seen[batch.cpu().numpy()], network.config.length, network.start)
        hidden = network(torch.from_numpy(tokens).to(encoder.device))
        S = hidden[torch.arange(len(batch)), torch.from_numpy(last.astype(np.int64))]
        if encoder.unordered is not None:
            S = encoder.unordered.weighed(seen[batch.cpu().numpy()], S)
        return em.m_loss(train, batch, S)

    def validate() -> float:
        follow()
        return em.ndcg20(valid, encoder.encode_tensor(held_out))

    both = nn.ModuleList([network, em.generative])
    adam = torch.optim.AdamW(both.parameters(), lr=config.tune_learning_rate, weight_decay=config.weight_decay)
    budget = {"learning_rate": config.tune_learning_rate, "epochs": config.tune_encoder, "min_steps": 0}
    report = run_stage(
        "behaviour encoder with f, g",
        {"encoder": network, "fg": em.generative},
        {"both": adam},
        [("both", loss)],
        validate,
        len(train),
        config.model_copy(update=budget),
        checkpoint,
        keep_start=True,
    )
    em.inference.V = em.generative.V = encoder.item_vectors().clone()
    return report
