"""Claims about ranking under rules, against a reference that sorts every item by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from converse_stubs import genre, rule, years
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcrs.converse.filtering import WISH, RankedItems, rank_under_rules
from latentcrs.hear import HeardRule
from latentcrs.recommend import Recommender
from latentcrs.recommend.index import ItemIndex
from latentcrs.recommend.recommender import Query


def catalogue(masks: np.ndarray, scores: np.ndarray) -> tuple[Any, Query]:
    """A recommender over items that have column c0 = "yes" where the first mask says so, ...; and a query that gives
    each item its score.
    """
    frame = pl.DataFrame({"item_id": [str(n) for n in range(len(scores))]})
    frame = frame.with_columns(
        [pl.Series(f"c{n}", ["yes" if passes else "no" for passes in mask]) for n, mask in enumerate(masks)]
    )
    columns = {f"c{n}": "category" for n in range(len(masks))}
    recommender = Recommender(
        SimpleNamespace(items=frame, columns=columns, facts=(frame, columns), hidden=frozenset())
    )  # type: ignore[arg-type]
    index = ItemIndex.build(scores.astype(np.float32)[:, None])
    one = np.ones(1, np.float32)
    return recommender, Query("", np.zeros(0, np.int64), one, one, index)


def reference(
    masks: np.ndarray,
    scores: np.ndarray,
    rules: list[HeardRule],
    wishes: list[HeardRule],
    available: np.ndarray,
    k: int,
) -> list[tuple[float, float]]:
    """(what it lacks, score) of the best k, item by item; rules and wishes are on the columns c0, c1, ..."""

    def holds(heard: HeardRule, item: int) -> bool:
        return bool(masks[int(heard.rule.column[1:])][item])

    def key(item: int, nothing_passes: bool) -> tuple[float, float] | None:
        failed = [heard for heard in rules if not holds(heard, item)]
        if any(heard.insisted for heard in failed) and not nothing_passes:
            return None
        lacks = sum(100.0 if heard.insisted else max(heard.certainty, 0.01) for heard in failed)
        wished = sum(WISH * heard.certainty for heard in wishes if holds(heard, item)) * scores.std()
        return round(lacks, 3), -round(float(scores[item] + wished), 2)

    here = [item for item in range(len(scores)) if available[item]]
    keys = [key(item, False) for item in here]
    if here and all(found is None for found in keys):
        keys = [key(item, True) for item in here]
    return sorted(found for found in keys if found is not None)[:k]


@st.composite
def situations(draw: st.DrawFn) -> tuple[Any, ...]:
    n, r, w = draw(st.integers(1, 40)), draw(st.integers(0, 5)), draw(st.integers(0, 2))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    masks = random.random((r + w, n)) < random.choice([0.05, 0.3, 0.7, 0.95], (r + w, 1))
    scores = random.permutation(n).astype(np.float64) * 3 + random.random()  # no two are nearly equal
    certainties = [draw(st.integers(0, 20)) / 20 for _ in range(r + w)]
    insisted = [draw(st.integers(0, 3)) == 0 for _ in range(r)]
    heard = [rule(f"c{i}", "is", "yes", certainty=c) for i, c in enumerate(certainties)]
    rules = [one.model_copy(update={"insisted": yes}) for one, yes in zip(heard[:r], insisted, strict=True)]
    available = random.random(n) < draw(st.sampled_from([0.0, 0.2, 0.9, 1.0]))
    return masks, scores, rules, heard[r:], available, draw(st.integers(1, 12))


def lacks_of(found: RankedItems) -> list[float]:
    return [
        round(sum(100.0 if heard.insisted else max(heard.certainty, 0.01) for heard in fails), 3)
        for fails in found.fails
    ]


@settings(max_examples=400, deadline=None)
@given(situations())
def test_the_order_is_what_is_lacking_then_the_score(situation: tuple[Any, ...]) -> None:
    masks, scores, rules, wishes, available, k = situation
    recommender, query = catalogue(masks, scores)
    found = rank_under_rules(recommender, query, rules, wishes, available, k)
    by_hand = reference(masks, scores, rules, wishes, available, k)
    ranked = list(zip(lacks_of(found), found.scores.tolist(), strict=True))
    assert [lacks for lacks, _ in ranked] == pytest.approx([lacks for lacks, _ in by_hand])
    assert [score for _, score in ranked] == pytest.approx([-score for _, score in by_hand], abs=0.02)
    assert found.costs.tolist() == pytest.approx(lacks_of(found), abs=1e-3)


@settings(max_examples=400, deadline=None)
@given(situations())
def test_what_is_insisted_on_holds_and_as_many_come_as_there_are(situation: tuple[Any, ...]) -> None:
    masks, scores, rules, wishes, available, k = situation
    recommender, query = catalogue(masks, scores)
    found = rank_under_rules(recommender, query, rules, wishes, available, k)
    insisted = [n for n, heard in enumerate(rules) if heard.insisted]
    may = available & masks[insisted].all(0) if insisted else available
    assert found.nearest == (bool(available.any()) and not may.any())
    if found.nearest:
        may = available
    assert len(found.numbers) == len(set(found.numbers.tolist())) == min(k, int(may.sum()))
    assert may[found.numbers].all()


@settings(max_examples=200, deadline=None)
@given(situations())
def test_fails_and_relaxed_say_what_the_items_lack_and_nothing_else(situation: tuple[Any, ...]) -> None:
    masks, scores, rules, wishes, available, k = situation
    recommender, query = catalogue(masks, scores)
    found = rank_under_rules(recommender, query, rules, wishes, available, k)
    for number, fails in zip(found.numbers.tolist(), found.fails, strict=True):
        assert fails == [heard for n, heard in enumerate(rules) if not masks[n][number]]
    assert found.relaxed == [heard for heard in rules if any(heard in fails for fails in found.fails)]


@settings(max_examples=200, deadline=None)
@given(situations())
def test_wishes_change_the_order_only(situation: tuple[Any, ...]) -> None:
    masks, scores, rules, wishes, available, _ = situation
    recommender, query = catalogue(masks, scores)
    n = len(scores)
    with_wishes = rank_under_rules(recommender, query, rules, wishes, available, n)
    without = rank_under_rules(recommender, query, rules, [], available, n)
    assert sorted(with_wishes.numbers.tolist()) == sorted(without.numbers.tolist())
    assert lacks_of(with_wishes) == lacks_of(without)
    assert with_wishes.relaxed == without.relaxed and with_wishes.nearest == without.nearest


def test_the_least_certain_rule_is_given_up_first() -> None:
    masks = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], bool)  # item 0 has both, 1 the first, 2 the second, 3 neither
    scores = np.array([1.0, 2.0, 3.0, 9.0])
    recommender, query = catalogue(masks, scores)
    sure, unsure = rule("c0", "is", "yes", certainty=0.9), rule("c1", "is", "yes", certainty=0.4)
    found = rank_under_rules(recommender, query, [sure, unsure], [], np.ones(4, bool), 4)
    assert found.numbers.tolist() == [0, 1, 2, 3]
    assert found.fails == [[], [unsure], [sure], [sure, unsure]]
    assert rank_under_rules(recommender, query, [sure, unsure], [], np.ones(4, bool), 2).relaxed == [unsure]
    assert rank_under_rules(recommender, query, [sure, unsure], [], np.ones(4, bool), 1).relaxed == []


def test_where_nothing_passes_what_was_insisted_on_the_nearest_lack_least_of_it() -> None:
    masks = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]], bool)
    scores = np.array([1.0, 2.0, 3.0, 9.0])
    recommender, query = catalogue(masks, scores)
    first, second = (rule(f"c{n}", "is", "yes", certainty=0.5, insisted=True) for n in range(2))
    other = rule("c2", "is", "yes", certainty=1.0)
    found = rank_under_rules(recommender, query, [first, second, other], [], np.ones(4, bool), 4)
    assert found.nearest
    assert found.numbers.tolist() == [1, 0, 3, 2]  # one of both, then what at least has the third


def test_on_real_films_a_rule_and_a_wish_do_what_they_say(recommender: Recommender) -> None:
    query = recommender.read(np.zeros(0, np.int64), "a war film", recommender.embed("a war film"))
    everything = np.ones(len(recommender.bundle.items), bool)
    plain = rank_under_rules(recommender, query, [], [], everything, 50)
    comedies = rank_under_rules(recommender, query, [genre("Comedy")], [], everything, 50)
    wished = rank_under_rules(recommender, query, [], [genre("Comedy")], everything, 50)
    both = rank_under_rules(recommender, query, [genre("Comedy")], [years(1990, 1999)], everything, 50)
    rows = recommender.bundle.items

    def share(found: RankedItems) -> float:
        return sum("Comedy" in rows["genres"][int(number)] for number in found.numbers) / len(found.numbers)

    assert share(comedies) == share(both) == 1.0
    assert share(plain) < share(wished)

    def nineties(found: RankedItems) -> int:
        return sum(1990 <= rows["year"][int(number)] <= 1999 for number in found.numbers[:10])

    assert nineties(both) > nineties(comedies) or nineties(comedies) == 10
