"""The peer of the EM stages, written for the benchmark: histories encoded in every batch, B x K x negatives held.

Algorithm 1 as one would write it down first. Losses and models are those of `latentcrs.intent`; what differs is
how they are reached, and the test says that they are the same numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from latentcrs.behaviour import BehaviourEncoder
from latentcrs.behaviour.windows import history_tokens
from latentcrs.data import Histories
from latentcrs.intent import EM, Rows
from latentcrs.intent.losses import (
    e_step_loss,
    infonce_loss,
    kl_divergence,
    log_posterior,
    m_step_loss,
    mixture_loss,
    rec_loss,
    sampled_scores,
)


class PlainEM:
    """The losses of an M and of an E step from histories, without anything computed before."""

    def __init__(self, em: EM, encoder: BehaviourEncoder, seen: Histories) -> None:
        """em: the models and the settings, factorised; seen: as much of each row's history as its S is made of."""
        self.em, self.encoder, self.seen = em, encoder, seen

    @torch.no_grad()
    def encode(self, batch: Tensor) -> Tensor:
        """S of a batch of rows, (B, d), from their histories."""
        network, seen = self.encoder.network, self.seen[batch.cpu().numpy()]
        tokens, last = history_tokens(seen, network.config.length, network.start)
        hidden = network(torch.from_numpy(tokens).to(self.encoder.device))
        S: Tensor = hidden[torch.arange(len(batch)), torch.from_numpy(last)]
        return S if self.encoder.unordered is None else self.encoder.unordered.weighed(seen, S)

    def candidates(self, targets: Tensor) -> tuple[Tensor | None, Tensor]:
        """Each row's items in the softmax, (B, C), None for the whole catalogue; and the target's column, (B,)."""
        softmax = self.em.softmax
        if softmax.everything:
            return None, targets
        return softmax.candidates(targets, int(self.em.config.negatives)), torch.zeros_like(targets)

    def g(self, candidates: Tensor | None, rows: int) -> Tensor:
        """g of every row, intent and candidate, (B, K, C)."""
        model = self.em.generative
        intents, items = model.intent_vectors(), model.item_vectors()
        if candidates is None:
            return (intents @ items.T).expand(rows, -1, -1)
        return torch.einsum("kd,bcd->bkc", intents, F.embedding(candidates, items))

    def m_loss(self, rows: Rows, batch: Tensor) -> Tensor:
        """L^M of Eq. 11: h as the sum over intents of f times g."""
        em, model, config = self.em, self.em.generative, self.em.config
        S, targets = self.encode(batch), rows.targets[batch]
        log_f, _, query = model(S, rows.X(batch))
        candidates, column = self.candidates(targets)
        g = self.g(candidates, len(batch))
        scores = (log_f.exp()[:, :, None] * g).sum(1)
        d = model.V.shape[1]
        if query.shape[1] > d:  # the terms past the intents
            scores = scores + _scores(query[:, d:], model.items()[:, d:], candidates)
        rec, likelihood = rec_loss(scores, column), _of_target(F.log_softmax(g, dim=2), column)
        if config.intent_rec:
            rec = rec + config.intent_rec * mixture_loss(log_f, likelihood)
        with torch.no_grad():
            log_q = em.inference.log_q(S)
        infonce = infonce_loss(log_q.exp(), likelihood) if config.infonce else scores.new_zeros(())
        return m_step_loss(infonce, kl_divergence(log_q, log_f), rec, config.infonce, config.kl, config.alpha_m)

    def e_loss(self, rows: Rows, batch: Tensor) -> Tensor:
        """L^E of Eq. 17: the posterior over intents from f and g."""
        em = self.em
        S, targets = self.encode(batch), rows.targets[batch]
        candidates, column = self.candidates(targets)
        with torch.no_grad():
            log_f, _, _ = em.generative(S, rows.X(batch))
            g = self.g(candidates, len(batch))
            likelihood = F.log_softmax(g, dim=2) if em.over_catalogue else g
            posterior = log_posterior(log_f, _of_target(likelihood, column))
        log_q = em.inference.log_q(S)
        scores = _scores(em.inference.query(log_q), em.inference.items(), candidates)
        return e_step_loss(log_q, posterior, rec_loss(scores, column), em.config.alpha_e)


def _scores(query: Tensor, items: Tensor, candidates: Tensor | None) -> Tensor:
    """Inner products with the candidates, (B, C)."""
    return query @ items.T if candidates is None else sampled_scores(query, items, candidates)


def _of_target(values: Tensor, column: Tensor) -> Tensor:
    """(B, K, C), (B,) -> (B, K)."""
    return values[torch.arange(len(column)), :, column]
