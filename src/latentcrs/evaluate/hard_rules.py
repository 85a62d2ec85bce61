"""Variant F over many requests at once: what `converse.filtering` does for one, as scores of the whole catalogue."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from latentcrs.base.progress import step
from latentcrs.converse.bookkeeping import applicable
from latentcrs.converse.filtering import INSISTED, violation, wish_bonus
from latentcrs.hear import Extractor, Heard
from latentcrs.recommend import Recommender

FAR = 1e6
"""More than any two scores of one request differ by: what fails more stands behind, whatever its score."""


class HardRules:
    """The rules and wishes of n requests, heard once."""

    def __init__(
        self,
        recommender: Recommender,
        extractor: Extractor,
        requests: Sequence[str],
        known: dict[str, Heard] | None = None,
    ) -> None:
        """known: what was heard in requests before, which is taken and added to."""
        self.recommender = recommender
        known = {} if known is None else known
        with step("hearing the rules", len(requests)) as bar:
            for request in requests:
                if request not in known:
                    known[request] = applicable(recommender, extractor.extract(request))[0]
                bar.advance()
        self.heard: list[Heard] = [known[request] for request in requests]

    def over(self, scores: Tensor, part: slice) -> Tensor:
        """The order of variant F as scores, (b, n) float64, from the scores (b, n) of the requests `part`."""
        deviations = scores.std(1, correction=0).cpu().numpy()
        found = scores.double().cpu().numpy()
        for row, heard in enumerate(self.heard[part]):
            bonus = wish_bonus(self.recommender, heard.wishes)
            if bonus is not None:
                found[row] += bonus * deviations[row]
            if heard.rules:
                found[row] -= violation(self.recommender, heard.rules, INSISTED) * FAR
        return torch.from_numpy(found).to(scores.device)

    def counts(self) -> dict[str, int]:
        """How many requests have a rule, how many a wish, and how many rules there are."""
        return {
            "requests with a rule": sum(bool(heard.rules) for heard in self.heard),
            "requests with a wish": sum(bool(heard.wishes) for heard in self.heard),
            "rules": sum(len(heard.rules) for heard in self.heard),
        }
