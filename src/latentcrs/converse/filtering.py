"""Ranking under rules (variant F): items that pass come first, and rules are relaxed only as far as they must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentcrs.hear import HeardRule
from latentcrs.recommend import Query, Recommender
from latentcrs.recommend.policy import Policy, Shelf

WISH = 2.0
"""What a wish adds to an item's score, in standard deviations of the request's scores, times the wish's certainty.
Chosen on validation, where the gain levels off (lab/notes/results.md): more would make a filter of it."""


INSISTED = 100.0
"""What failing a rule that was insisted on counts where every item fails one: more than all other rules together."""


@dataclass(frozen=True)
class RankedItems:
    """The best items under rules: what each lacks (`costs`, see `violation`) and the rules that it `fails`; `relaxed`
    are those that some item fails. `nearest`: not one item passes what was insisted on; these lack least of it.
    """

    numbers: NDArray[np.int64]
    scores: NDArray[np.float32]
    costs: NDArray[np.float32]
    relaxed: list[HeardRule]
    fails: list[list[HeardRule]]
    nearest: bool

    def at(self, places: Sequence[int]) -> RankedItems:
        """The items at these places, in this order."""
        order, fails = np.array(places, np.int64), [self.fails[place] for place in places]
        relaxed = [heard for heard in self.relaxed if any(heard in failed for failed in fails)]
        return RankedItems(self.numbers[order], self.scores[order], self.costs[order], relaxed, fails, self.nearest)


def violation(recommender: Recommender, rules: Sequence[HeardRule], insisted: float = np.inf) -> NDArray[np.float32]:
    """What each item lacks, (n,): the certainties of the rules it fails, summed, and `insisted` for each that was
    insisted on. Sorted by it, the rule that is least certain is given up first, and as few as possible.
    """
    cost = np.zeros(len(recommender.bundle.items), np.float32)
    for heard in rules:
        cost[~recommender.mask(heard.rule)] += insisted if heard.insisted else max(heard.certainty, 0.01)
    return np.round(cost, 3)


def wish_bonus(recommender: Recommender, wishes: Sequence[HeardRule]) -> NDArray[np.float32] | None:
    """What wishes add to each item's score, (n,), in standard deviations; None without wishes."""
    if not wishes:
        return None
    bonus = np.zeros(len(recommender.bundle.items), np.float32)
    for heard in wishes:
        bonus[recommender.mask(heard.rule)] += WISH * heard.certainty
    return bonus


def rank_under_rules(
    recommender: Recommender,
    query: Query,
    rules: Sequence[HeardRule],
    wishes: Sequence[HeardRule],
    available: NDArray[np.bool_],
    k: int,
    shelf: Shelf | None = None,
) -> RankedItems:
    """The best k of the `available` items (n,): those that pass all rules, then those that lack least. `shelf`: by
    whose policy they are ordered.
    """
    shelf = shelf or Shelf(recommender, query, Policy())
    bonus = wish_bonus(recommender, wishes)
    if bonus is not None:
        bonus = bonus * query.scores().std()
    cost = violation(recommender, rules)
    nearest = bool(rules) and bool(available.any()) and not np.isfinite(cost[available]).any()
    if nearest:
        cost = violation(recommender, rules, INSISTED)
    numbers: list[NDArray[np.int64]] = []
    scores: list[NDArray[np.float32]] = []
    missing = k
    for level in np.unique(cost[available]):
        if missing == 0 or not np.isfinite(level):
            break
        found, found_scores = shelf.top(missing, available & (cost == level), bonus)
        numbers.append(found)
        scores.append(found_scores)
        missing -= len(found)
    chosen = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
    chosen_scores = np.concatenate(scores) if scores else np.zeros(0, np.float32)
    masks = [recommender.mask(heard.rule) for heard in rules]
    fails = [[heard for heard, mask in zip(rules, masks, strict=True) if not mask[item]] for item in chosen]
    relaxed = [heard for heard in rules if any(heard in failed for failed in fails)]
    return RankedItems(chosen, chosen_scores, cost[chosen], relaxed, fails, nearest)


def least_fitting(recommender: Recommender, query: Query, rules: Sequence[HeardRule], count: int) -> list[int]:
    """The `count` items that lack most of the rules, and of these the ones with the lowest scores."""
    scores = query.scores()
    cost = violation(recommender, rules, INSISTED)
    return np.lexsort((scores, -cost))[:count].tolist()
