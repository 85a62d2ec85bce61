"""Variant V over a sample of requests: a language model judges the top of F's lists, and they are reordered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
