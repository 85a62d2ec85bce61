"""The tools that plans use, on a list of candidates that they share: query, filter, similar, rank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional as F

from latentcrs.base.errors import UserError
from latentcrs.converse.judge import described
from latentcrs.data import Histories, PreparedDataset
from latentcrs.data.rules import Rule
from latentcrs.recommend import Recommender
from latentcrs_lab.systems.interec.plan import Order, Step
from latentcrs_lab.systems.named import NamedTitles
from latentcrs_lab.systems.prompted import Behaviour, Talk

SIMILAR_SHARE = 0.1
"""Of all items, those most like the ones that "similar" is given are kept (the reference code's default)."""
MOST_RANKED = 100
"""Candidates that are ranked (the reference code's default)."""
LOOKED_UP = 3


@dataclass
class Candidates:
    """What the tools of one plan share.

    kept (n,): the candidates that are left. scores (n,): their order, by which `order` says; None while nothing has
    ranked them. alike (n,): how much each item is like those of "similar", None where it was not used. track: what
    each step did, in words. counts: titles that were written, and those of them that the catalogue has.
    """

    kept: NDArray[np.bool_]
    scores: NDArray[np.float32] | None = None
    alike: NDArray[np.float32] | None = None
    track: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def ranked(self) -> list[int]:
        """The numbers of the candidates, best first, at most `MOST_RANKED`."""
        assert self.scores is not None
        found = np.flatnonzero(self.kept)
        order = np.argsort(-self.scores[found], kind="stable")[:MOST_RANKED]
        return [int(item) for item in found[order]]


class Tools:
    """The tools over one catalogue: rules of `data.rules`, similar items, and behaviour for ranking."""

    def __init__(
        self, dataset: PreparedDataset, recommender: Recommender, behaviour: Behaviour, named: NamedTitles
    ) -> None:
        self._items, self._columns = dataset.items, dataset.info.columns
        self._recommender, self._behaviour, self._named = recommender, behaviour, named
        self._popularity = dataset.training_counts.astype(np.float32)
        model, n = recommender.bundle.generative, len(dataset.items)
        self._directions = [F.normalize(matrix[:n], dim=1).cpu().numpy() for matrix in (model.V, model.T)]

    def run(self, steps: Sequence[Step], talk: Talk) -> Candidates:
        """Use the tools as planned, on all items that may be shown. A plan that ends without ranking what is left is
        completed by the order of behaviour.
        """
        found = Candidates(talk.open)
        for step in steps:
            match step.tool:
                case "query":
                    self._query(found, step)
                case "filter":
                    self._filter(found, step.rules)
                case "similar":
                    self._similar(found, step.titles)
                case "rank":
                    self._rank(found, step, talk)
                case _:
                    assert_never(step.tool)
        if found.scores is None:
            found.scores = talk.behaviour
            found.counts["unranked"] += bool(steps)
        return found

    def _query(self, found: Candidates, step: Step) -> None:
        facts = [
            described(self._items.row(item, named=True), self._columns) for item in self._known(found, step.titles)
        ]
        if step.rules:
            passing = np.flatnonzero(self._mask(found, step.rules))
            most = passing[np.argsort(-self._popularity[passing], kind="stable")[:LOOKED_UP]]
            titles = ", ".join(self._items["title"].gather(most).to_list())
            facts.append(f"{len(passing)} items" + (f", such as {titles}" if titles else ""))
        found.track.append(f"query {_in_words(step.rules, step.titles)}: {'; '.join(facts[:LOOKED_UP]) or 'nothing'}")

    def _filter(self, found: Candidates, rules: Sequence[Rule]) -> None:
        found.kept &= self._mask(found, rules)
        found.track.append(f"filter {_in_words(rules)}: {found.kept.sum()} candidates are left")

    def _similar(self, found: Candidates, titles: Sequence[str]) -> None:
        seeds = self._known(found, titles)
        if not seeds:
            found.track.append(f"similar {_in_words((), titles)}: the catalogue has none of these")
            return
        found.alike = sum(matrix @ matrix[seeds].mean(0) for matrix in self._directions) / len(self._directions)
        most = max(1, round(SIMILAR_SHARE * len(found.alike)))
        near = np.zeros(len(found.alike), bool)
        near[np.argsort(-found.alike, kind="stable")[:most]] = True
        near[seeds] = False  # something like it, not it
        found.kept &= near
        found.track.append(f"similar {_in_words((), titles)}: {found.kept.sum()} candidates are left")

    def _rank(self, found: Candidates, step: Step, talk: Talk) -> None:
        preferred, unwanted = self._known(found, step.titles), self._known(found, step.unwanted)
        found.kept[preferred + unwanted] = False
        by: Order = step.by
        if by == "similarity" and found.alike is None:
            by = "preference"
        if by == "similarity":
            found.scores = found.alike
        elif by == "popularity":
            found.scores = self._popularity
        elif preferred:
            found.scores = self._behaviour(Histories.from_lists([[*talk.history.tolist(), *preferred]]))[0]
        else:
            found.scores = talk.behaviour
        named = [f"{word} {_in_words((), titles)}" for word, titles in _titled(step) if titles]
        found.track.append(", ".join([f"rank by {by}", *named]))

    def _mask(self, found: Candidates, rules: Sequence[Rule]) -> NDArray[np.bool_]:
        """The items that pass all rules, (n,); one that does not fit the catalogue is left out and counted."""
        passing = np.ones(len(self._items), bool)
        for rule in rules:
            try:
                passing &= self._recommender.mask(rule)[: len(passing)]
            except UserError as error:
                found.counts["unfit"] += 1
                found.track.append(str(error))
        return passing

    def _known(self, found: Candidates, titles: Sequence[str]) -> list[int]:
        """The items that titles name, each once."""
        items = [named.item for named in self._named.find(titles)]
        found.counts["titles"] += len(items)
        found.counts["matched"] += len(items) - items.count(None)
        return list(dict.fromkeys(item for item in items if item is not None))


def _titled(step: Step) -> list[tuple[str, tuple[str, ...]]]:
    return [("prefer", step.titles), ("unwanted", step.unwanted)]


def _in_words(rules: Sequence[Rule] = (), titles: Sequence[str] = ()) -> str:
    return "; ".join([*map(str, rules), *titles]) or "nothing"
