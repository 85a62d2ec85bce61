"""Variants F and V over requests: hard rules, and a language model that judges the top of F's lists."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.base.progress import step
from latentcrs.converse.bookkeeping import applicable
from latentcrs.converse.filtering import INSISTED, violation, wish_bonus
from latentcrs.converse.judge import CONTROLS, JUDGED, PLACES, grades, reordered
from latentcrs.data import Histories
from latentcrs.hear import Extractor, Heard
from latentcrs.llm import Call, ChatModel, ModelError
from latentcrs.recommend import Recommender


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
        ruled, wished = (sum(bool(getattr(heard, kind)) for heard in self.heard) for kind in ("rules", "wishes"))
        rules = sum(len(heard.rules) for heard in self.heard)
        return {"requests with a rule": ruled, "requests with a wish": wished, "rules": rules}


def judged_ranks(
    recommender: Recommender,
    model: ChatModel,
    rules: HardRules,
    scores: Callable[[slice], Tensor],
    ranks: NDArray[np.int64],
    requests: Sequence[str],
    targets: NDArray[np.integer],
    histories: Histories,
    chosen: NDArray[np.int64],
    places: float = PLACES,
    controls: int = CONTROLS,
    judged: int = JUDGED,
    liked: Sequence[Sequence[int]] | None = None,
) -> tuple[NDArray[np.int64], int, int]:
    """Ranks of the `chosen` requests (row numbers) under V, from F's `scores` and `ranks` of all rows; how many the
    model was asked about, and how many of these judgements failed (F's order stood there).

    A target below F's first `judged` keeps its rank whatever the model says, which is then not asked; within them the
    order is that of `converse.judge`, among items that fail the same rules. liked: the items of each row that the
    judge is told of; by default what leaves the ranking, `histories`.
    """
    bundle, found, asked, failed = recommender.bundle, [], 0, 0
    with step("judging", len(chosen)) as bar:
        for row in chosen.tolist():
            bar.advance()
            rank = int(ranks[row])
            found.append(rank)
            if rank > judged:
                continue
            past = histories[slice(row, row + 1)].pairs()[1]
            order = scores(slice(row, row + 1))[0].clone()
            order[torch.from_numpy(past).to(order.device)] = -torch.inf
            values, top = order.topk(judged)
            order[torch.from_numpy(past).to(order.device)] = torch.inf
            unfit = order.topk(controls, largest=False)[1]
            items, hidden = ([bundle.items.row(n, named=True) for n in some.tolist()] for some in (top, unfit))
            told = [str(bundle.items["title"][int(number)]) for number in (liked[row] if liked else past)[-5:]]
            asked += 1
            try:
                call = Call("judge", "evaluation", row)
                given = grades(model, call, requests[row], told, items, bundle.columns, hidden)
            except ModelError:
                failed += 1
                continue
            if int(targets[row]) in top.tolist():
                level = np.round(-values.cpu().numpy() / FAR, 3)  # items that fail the same rules stand on one level
                ordered = sorted(reordered(given, places), key=lambda place: level[place])
                found[-1] = 1 + ordered.index(top.tolist().index(int(targets[row])))
    return np.array(found, np.int64), asked, failed


FAR = 1e6
"""More than any two scores of one request differ by: what fails more stands behind, whatever its score."""
