"""Claims about B, F and V over many requests: they rank as a conversation does, and a judgement only reorders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from latentcrs.converse.conversation import Conversation
from latentcrs.converse.judge import JUDGED
from latentcrs.data import PreparedDataset
from latentcrs.data.ranking import both_ranks_of
from latentcrs.evaluate.judged import HardRules, judged_ranks
from latentcrs.fit.rows import request_rows
from latentcrs.hear import Hearer
from latentcrs.intent import Rows
from latentcrs.intent.em import model_scores
from latentcrs.llm import ChatRequest, Completion, ModelError
from latentcrs.recommend import Recommender
from latentcrs.store.session import Session

SOME = 60


class Judge:
    """A chat model that always gives the same grades, or fails."""

    id = "judge"

    def __init__(self, grades: Sequence[int] | None) -> None:
        self.grades = grades

    def complete(self, request: ChatRequest) -> Completion:
        if self.grades is None:
            raise ModelError("timeout", "It took too long.")
        return Completion(f'{{"grades": {list(self.grades)}}}', 1, 1, 1.0, self.id)


@pytest.fixture(scope="module")
def dataset(small_movielens: Path) -> PreparedDataset:
    return PreparedDataset(small_movielens)


@pytest.fixture(scope="module")
def texts(dataset: PreparedDataset) -> list[str]:
    return dataset.requests.filter(pl.col("split") == "test")["text"].to_list()


@pytest.fixture(scope="module")
def extractor(recommender: Recommender) -> Hearer:
    return Hearer(recommender.bundle.items, recommender.bundle.columns)


@pytest.fixture(scope="module")
def rows(dataset: PreparedDataset, recommender: Recommender, small_movielens_cache: Path) -> Rows:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
        bundle = recommender.bundle
        return request_rows(dataset, "test", bundle.behaviour, recommender.text_encoder, reader=bundle.reader)


@pytest.fixture(scope="module")
def rules(recommender: Recommender, extractor: Hearer, texts: list[str]) -> HardRules:
    return HardRules(recommender, extractor, texts)


@torch.no_grad()
def scores_of(recommender: Recommender, rows: Rows, part: slice) -> torch.Tensor:
    return model_scores(recommender.bundle.generative, rows)(part)


def test_variant_f_ranks_many_requests_as_a_conversation_ranks_one(
    recommender: Recommender,
    extractor: Hearer,
    dataset: PreparedDataset,
    rows: Rows,
    rules: HardRules,
    texts: list[str],
) -> None:
    ids = dataset.items["item_id"].to_numpy()
    filtered = rules.over(scores_of(recommender, rows, slice(0, SOME)), slice(0, SOME))
    requests = alike = 0
    for row in range(SOME):
        past = rows.histories[slice(row, row + 1)].pairs()[1]
        order = filtered[row].numpy().copy()
        order[past] = -np.inf
        best = np.sort(order)[::-1][:5]
        talk = Conversation(recommender, extractor, Session(history=ids[past].tolist()))
        turn = talk.reply(texts[row])
        requests += turn.kind == "request"
        # In a conversation words of numbers that filter are not looked for in texts; here requests are as they are.
        if turn.kind == "request" and talk.session.wording == texts[row]:
            # By score: where two differ in the last digits only, encoding one history or many may swap them.
            of_turn = order[recommender.item_numbers(item.item_id for item in turn.items)]
            assert of_turn == pytest.approx(best, rel=0, abs=5e-2), texts[row]
            alike += 1
    assert requests > SOME * 0.9 and alike > SOME * 0.4


def test_rules_raise_recall(recommender: Recommender, rows: Rows, rules: HardRules) -> None:
    def plain(part: slice) -> torch.Tensor:
        return scores_of(recommender, rows, part)

    n, targets = len(recommender.bundle.items), rows.targets.numpy()
    b, _ = both_ranks_of(plain, n, targets, rows.histories)
    f, _ = both_ranks_of(lambda part: rules.over(plain(part), part), n, targets, rows.histories)
    assert (f <= 5).mean() > (b <= 5).mean()


@pytest.mark.parametrize("grades", [[2] * JUDGED, None], ids=["all alike", "the model fails"])
def test_a_judgement_that_says_nothing_leaves_the_order_of_f(
    recommender: Recommender, rows: Rows, rules: HardRules, texts: list[str], grades: list[int] | None
) -> None:
    f, judged = ranks_of_f_and_v(recommender, rows, rules, texts, Judge(grades))
    ranks, asked, failed = judged
    assert ranks.tolist() == f[:SOME].tolist()
    assert asked == (f[:SOME] <= JUDGED).sum() > 0  # nobody else's rank can change
    assert failed == (asked if grades is None else 0)


def test_a_judgement_moves_an_item_up_past_its_equals_only(
    recommender: Recommender, rows: Rows, rules: HardRules, texts: list[str]
) -> None:
    f, judged = ranks_of_f_and_v(recommender, rows, rules, texts, Judge([0, 3] + [0] * (JUDGED - 2)))
    below = f[:SOME] > JUDGED
    assert judged[0][below].tolist() == f[:SOME][below].tolist()
    assert (np.abs(judged[0] - f[:SOME]) <= 6).all()  # three grades, two places each
    assert (judged[0] != f[:SOME]).any()  # the second came before the first


def ranks_of_f_and_v(
    recommender: Recommender, rows: Rows, rules: HardRules, texts: list[str], judge: Judge
) -> tuple[np.ndarray, tuple[np.ndarray, int, int]]:
    def filtered(part: slice) -> torch.Tensor:
        return rules.over(scores_of(recommender, rows, part), part)

    targets = rows.targets.numpy()
    f, _ = both_ranks_of(filtered, len(recommender.bundle.items), targets, rows.histories)
    chosen = np.arange(SOME)
    return f, judged_ranks(recommender, judge, rules, filtered, f, texts, targets, rows.histories, chosen, controls=0)
