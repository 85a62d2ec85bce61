"""Variant V over a sample of requests: a language model judges the top of F's lists, and they are reordered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentcrs.base.progress import step
from latentcrs.converse.judge import CONTROLS, JUDGED, PLACES, grades, reordered
from latentcrs.data import Histories
from latentcrs.evaluate.hard_rules import FAR, HardRules
from latentcrs.llm import Call, ChatModel, ModelError
from latentcrs.recommend import Recommender


@dataclass(frozen=True)
class JudgedRanks:
    """Ranks of the targets by variant V and how many judgements failed (F's order stood there)."""

    ranks: NDArray[np.int64]
    failed: int


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
) -> JudgedRanks:
    """Ranks of the `chosen` requests (row numbers) under V, from F's `scores` and `ranks` of all rows.

    A target below F's first 20 keeps its rank; within them the order is that of `converse.judge`, among items that
    fail the same rules.
    """
    bundle, found, failed = recommender.bundle, [], 0
    with step("judging", len(chosen)) as bar:
        for row in chosen.tolist():
            past = histories[slice(row, row + 1)].pairs()[1]
            order = scores(slice(row, row + 1))[0].clone()
            order[torch.from_numpy(past).to(order.device)] = -torch.inf
            values, top = order.topk(JUDGED)
            order[torch.from_numpy(past).to(order.device)] = torch.inf
            unfit = order.topk(controls, largest=False)[1]
            items, hidden = ([bundle.items.row(n, named=True) for n in some.tolist()] for some in (top, unfit))
            liked = [str(bundle.items["title"][int(number)]) for number in past[-5:]]
            rank = int(ranks[row])
            try:
                call = Call("judge", "evaluation", row)
                given = grades(model, call, requests[row], liked, items, bundle.columns, hidden)
            except ModelError:
                failed += 1
                given = [0] * len(items)
            if rank <= JUDGED and int(targets[row]) in top.tolist():
                level = np.round(-values.cpu().numpy() / FAR, 3)  # items that fail the same rules stand on one level
                judged = sorted(reordered(given, places), key=lambda place: level[place])
                rank = 1 + judged.index(top.tolist().index(int(targets[row])))
            found.append(rank)
            bar.advance()
    return JudgedRanks(np.array(found, np.int64), failed)
