"""Algorithm 1: q, then f and g, then the two against each other by variational EM; and Table 5's other schemes."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.data.ranking import ranks_in_parts
from latentcrs.intent import losses
from latentcrs.intent.config import EMSection
from latentcrs.intent.model import GenerativeModel, InferenceModel
from latentcrs.intent.stage import Rows, Softmax, mean_ndcg20, ndcg20, run_stage


class EM:
    """The two models, their optimisers and the losses of a batch; `fit` runs the three stages."""

    def __init__(self, inference: InferenceModel, generative: GenerativeModel, softmax: Softmax, config: EMSection):
        self.inference, self.generative, self.softmax, self.config = inference, generative, softmax, config

    def _adam(self, module: torch.nn.Module) -> torch.optim.Optimizer:
        config = self.config
        return torch.optim.AdamW(module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)

    @property
    def over_catalogue(self) -> bool:
        """Whether g is normalised over the whole catalogue, rather than over sampled candidates."""
        factorised = self.generative.config.form == "factorised"
        return factorised and self.softmax.everything and not self.softmax.large

    def item_vectors(self, items: Tensor) -> Tensor:
        """v W_v of items of any shape (..., d). One product for the catalogue where that is small, as ever."""
        if self.softmax.large:
            return self.generative.item_vectors(items.flatten()).unflatten(0, items.shape)
        return F.embedding(items, self.generative.item_vectors())

    def log_likelihood(self, Z: Tensor, targets: Tensor) -> Tensor:
        """log p(v | m_j, S, x) of each row's target, (B, K): what Eq. 8 sums and Eq. 13 multiplies.

        The factorised g is normalised over the catalogue (one K x n product for all rows) where every softmax is, and
        over sampled candidates otherwise; the full form always over sampled ones. Never B x K x n.
        """
        model = self.generative
        intents, factor = model.intent_vectors(), model.factor(Z)
        if self.over_catalogue:
            return losses.catalogue_log_likelihood(intents, model.item_vectors(), targets)
        count = self.config.infonce_negatives if self.softmax.everything else int(self.config.negatives)
        candidates = self.softmax.candidates(targets, count)
        g = torch.einsum("kd,bcd->bkc", intents, self.item_vectors(candidates))  # (B, K, 1 + negatives)
        return losses.candidates_log_likelihood(g if factor is None else g * factor[..., None])

    def target_log_ratio(self, Z: Tensor, targets: Tensor) -> Tensor:
        """What stands for log p(v | m_j) in Eq. 13, (B, K): g_j(v) itself, a log density ratio, when it was trained
        with sampled negatives; its log softmax over the catalogue when it was trained with that.
        """
        if self.over_catalogue:
            return self.log_likelihood(Z, targets)
        g = self.item_vectors(targets) @ self.generative.intent_vectors().T
        factor = self.generative.factor(Z)
        return g if factor is None else g * factor

    def inference_rec_loss(self, log_q: Tensor, targets: Tensor) -> Tensor:
        """Eq. 16."""
        return self.softmax(self.inference.query(log_q), self.inference.items, targets)

    def e_loss(self, rows: Rows, batch: Tensor) -> Tensor:
        """L^E of Eq. 17, the generative model held fixed."""
        S, targets = rows.S[batch], rows.targets[batch]
        log_q = self.inference.log_q(S)
        with torch.no_grad():
            Z = self.generative.read(S, rows.X(batch))
            posterior = losses.log_posterior(self.generative.log_f(Z), self.target_log_ratio(Z, targets))
        rec = self.inference_rec_loss(log_q, targets)
        if self.config.posterior == "hard":
            return losses.hard_posterior_loss(log_q, posterior) + self.config.alpha_e * rec
        return losses.e_step_loss(log_q, posterior, rec, self.config.alpha_e)

    def m_loss(self, rows: Rows, batch: Tensor, S: Tensor | None = None) -> Tensor:
        """L^M of Eq. 11, the inference model held fixed; without one, alpha^M L_rec^M alone.

        S (B, d) stands in for the rows' own where the encoder is being tuned. q, held fixed, goes on reading theirs.
        """
        targets, model = rows.targets[batch], self.generative
        S, X = rows.S[batch] if S is None else S, rows.X(batch)
        gates = channels = facts = None
        if rows.clues is not None and model.config.clues and self.softmax.sees_clues:
            clues = rows.clues.take(batch.cpu().numpy())
            channels = clues.channels().to(S.device)
            facts = clues.facts.to(S.device)
            priors, gates = model.gate(X, facts)
            if clues.own is not None and model.config.popularity:
                # what a row's own conversation adds to how often its items are suggested
                own = torch.from_numpy(clues.own.toarray()).to(S.device)[None]
                channels, gates = torch.cat([channels, -own]), torch.cat([gates, priors[:, 1:2]], 1)
        log_f, Z, query = model(S, X, facts)
        rec = self.softmax(query, model.items, targets, gates, channels)
        if self.config.intent_rec:
            rec = rec + self.config.intent_rec * losses.mixture_loss(log_f, self.log_likelihood(Z, targets))
        if self.config.scheme == "no-inference":
            return self.config.alpha_m * rec
        with torch.no_grad():
            log_q = self.inference.log_q(rows.S[batch])
        infonce = rec.new_zeros(())
        if self.config.infonce:
            infonce = losses.infonce_loss(log_q.exp(), self.log_likelihood(Z, targets))
        kl = losses.kl_divergence(log_q, log_f) if self.config.kl else rec.new_zeros(())
        return losses.m_step_loss(infonce, kl, rec, self.config.infonce, self.config.kl, self.config.alpha_m)

    def direct_loss(self, rows: Rows, batch: Tensor) -> Tensor:
        """Table 5's "direct KL align": both models learn at once."""
        S, targets = rows.S[batch], rows.targets[batch]
        log_q = self.inference.log_q(S)
        log_f, _, query = self.generative(S, rows.X(batch))
        rec_e = self.inference_rec_loss(log_q, targets)
        rec_m = self.softmax(query, self.generative.items, targets)
        return losses.direct_kl_loss(
            log_q, log_f, rec_e, rec_m, self.config.kl, self.config.alpha_e, self.config.alpha_m
        )

    def ndcg20(self, valid: Rows, S: Tensor | None = None) -> float:
        """NDCG@20 of `valid` by h; S (R, d) stands in for the rows' own."""
        return mean_ndcg20(model_ranks(self.generative, valid, S), valid)

    def fit(self, train: Rows, valid: Rows, checkpoints: Mapping[str, Checkpoint] | None = None) -> dict[str, Any]:
        """Train over `train` by the configured scheme, each stage stopping on NDCG@20 of `valid` and ending with its
        best weights. `checkpoints`: where each stage of `stages(scheme)` goes on.
        """
        inference, generative, config = self.inference, self.generative, self.config
        began = time.perf_counter()

        def valid_q() -> float:
            return ndcg20(inference.query(inference.log_q(valid.S)), inference.items(), valid)

        def valid_h() -> float:
            return self.ndcg20(valid)

        def run(
            stage: str,
            name: str,
            passes: list[tuple[str, Callable[[Tensor], Tensor]]],
            validate: Callable[[], float] = valid_h,
            optimizers: Mapping[str, torch.optim.Optimizer] | None = None,
        ) -> None:
            modules = {"q": inference, "fg": generative}
            if optimizers is None:
                modules = {which: modules[which] for which, _ in passes}
                optimizers = {which: self._adam(module) for which, module in modules.items()}
            saved = Checkpoint(None, "") if checkpoints is None else checkpoints[stage]
            report[stage] = run_stage(
                name, modules, optimizers, passes, validate, len(train), config, saved, keep_start=stage == "em"
            )

        def of_inference(batch: Tensor) -> Tensor:
            return self.inference_rec_loss(inference.log_q(train.S[batch]), train.targets[batch])

        report: dict[str, Any] = {}
        m_pass = ("fg", lambda batch: self.m_loss(train, batch))
        if config.scheme == "direct-kl":
            both = {"both": self._adam(torch.nn.ModuleList([inference, generative]))}
            direct = ("both", lambda batch: self.direct_loss(train, batch))
            run("direct", "q and f, g at once", [direct], optimizers=both)
        if config.scheme == "variational":
            run("inference", "inference model q", [("q", of_inference)], valid_q)
        if config.scheme != "direct-kl":
            run("generative", "generative model f, g", [m_pass])
        if config.scheme == "variational":
            run("em", "variational EM", [("q", lambda batch: self.e_loss(train, batch)), m_pass])
        report["seconds"] = round(time.perf_counter() - began, 1)
        return report


def model_ranks(model: GenerativeModel, rows: Rows, S: Tensor | None = None) -> NDArray[np.int64]:
    """Rank of each row's target among the whole catalogue by h, (R,), histories left out."""
    scores = model_scores(model, rows, S)
    return ranks_in_parts(scores, len(model.V), rows.targets.cpu().numpy(), rows.histories)


def model_scores(model: GenerativeModel, rows: Rows, S: Tensor | None = None) -> Callable[[slice], Tensor]:
    """h of the whole catalogue, (b, n), for a slice of the rows; S (R, d) stands in for the rows' own."""
    with torch.no_grad():
        items = model.items().T.contiguous()
    S = rows.S if S is None else S

    def scores(part: slice) -> Tensor:
        clues = None if rows.clues is None else rows.clues.take(part)
        _, query, bonus = model.ask(S[part], rows.X(part), clues)
        return query @ items if bonus is None else query @ items + bonus

    return scores


def stages(scheme: str) -> tuple[str, ...]:
    """The names of a scheme's stages, in order."""
    schemes = {"direct-kl": ("direct",), "no-inference": ("generative",)}
    return schemes.get(scheme, ("inference", "generative", "em"))
