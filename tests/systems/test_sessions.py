"""Claims about sessions of systems that ask: what is noted and what may still be shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from latentcrs.data import Histories, PreparedDataset
from latentcrs.evaluate.multi_turn import talk_rows
from latentcrs.systems.asking import AttributeFilter, FacetDialogues
from latentcrs.systems.facets import Facets
from latentcrs.systems.hearing import FacetHearing
from latentcrs.systems.sessions import Sessions, best
from latentcrs.users.dialogue import Dialogue, SystemTurn, answer_to, dialogues_of
from latentcrs.users.open import open_user

HAS = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]], bool)
"""Four items, three facets."""


@pytest.fixture
def facets() -> Facets:
    known = np.ones_like(HAS)
    known[2] = [False, True, True]
    return Facets(("genres",) * 3, ("Comedy", "Drama", "War"), HAS, known)


def begun(facets: Facets, accepted: list[list[int]], histories: list[list[int]]) -> Sessions:
    said = np.zeros((2, len(accepted), len(facets)), bool)
    for row, wanted in enumerate(accepted):
        said[0, row, wanted] = True
    return Sessions.begin(facets, np.arange(len(accepted)), Histories.from_lists(histories), said[0], said[1])


def test_candidates_have_every_accepted_facet_and_were_not_seen(facets: Facets) -> None:
    sessions = begun(facets, [[0], [0, 1], []], [[], [0], [3]])
    assert sessions.candidates().tolist() == [
        [True, True, False, True],
        [False, False, False, True],
        [True, True, True, False],
    ]
    assert sessions.matches.tolist() == [[1, 1, 0, 1], [2, 1, 1, 2], [0, 0, 0, 0]]


def test_where_nothing_fits_those_that_lack_least_are_left(facets: Facets) -> None:
    sessions = begun(facets, [[0, 1, 2]], [[3]])
    assert sessions.candidates().tolist() == [[True, True, True, False]]


def test_an_answer_counts_once_and_a_no_takes_no_item_away(facets: Facets) -> None:
    sessions = begun(facets, [[0]], [[]])
    yes, no, unsaid = (np.array([answer], np.int8) for answer in (1, 0, -1))
    row = np.array([0])
    for _ in range(2):
        sessions.answered(row, np.array([1]), yes)
    assert sessions.matches.tolist() == [[2, 1, 1, 2]]
    sessions.answered(row, np.array([2]), no)
    assert sessions.rejected.tolist() == [[False, False, True]] and sessions.accepted.tolist() == [
        [True, True, False]
    ]
    assert sessions.askable().sum() == 0
    fresh = begun(facets, [[]], [[]])
    fresh.answered(row, np.array([2]), unsaid)
    assert not fresh.accepted.any() and not fresh.rejected.any() and not fresh.askable()[0, 2]


def test_what_was_refused_is_gone(facets: Facets) -> None:
    sessions = begun(facets, [[0], [0]], [[], []])
    sessions.refused(np.array([1]), np.array([[0, 3, -1]]))
    assert sessions.candidates().tolist() == [[True, True, False, True], [False, True, False, False]]
    assert sessions.shown.tolist() == [[False] * 4, [True, False, False, True]]
    assert sessions.some(np.array([1])).candidates().tolist() == [[False, True, False, False]]


def test_the_best_are_those_allowed_in_order() -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.7]], np.float32)
    assert best(scores, np.array([[True, False, True, True]]), 2).tolist() == [[3, 2]]
    assert best(scores, np.array([[True, False, False, False]]), 3).tolist() == [[0, -1, -1]]
    assert best(scores, np.ones((1, 4), bool), 9).tolist() == [[1, 3, 2, 0]]


@pytest.fixture(scope="module")
def dataset(small_movielens: Path) -> PreparedDataset:
    return PreparedDataset(small_movielens)


def shares(dataset: PreparedDataset, hearing: FacetHearing, policy: AttributeFilter) -> tuple[float, int, int]:
    """The share of users who are shown their item in five turns; how many questions were asked, and said yes to."""
    user = open_user("attributes", dataset)
    dialogues = dialogues_of(dataset, talk_rows(dataset, "test", 120))
    system = FacetDialogues(dataset, hearing, policy)
    system.meet(dialogues)
    going, asked, agreed = list(dialogues), 0, 0
    for _ in range(5):
        user.speak(going)
        for dialogue in going:
            if dialogue.shown and (question := dialogue.shown[-1].question):
                truth = answer_to(question, dataset, dialogue.target)
                assert dialogue.answer == truth
                agreed += truth is True
        for dialogue, shown in zip(going, system.reply(going), strict=True):
            assert len(set(shown.items)) == len(shown.items) <= 5
            assert not {*shown.items} & {*dialogue.history.tolist()}
            assert not {*shown.items} & {item for before in dialogue.shown for item in before.items}
            asked += shown.question is not None
            dialogue.shown.append(shown)
        going = [dialogue for dialogue in going if not was_found(dialogue)]
    return 1 - len(going) / len(dialogues), asked, agreed


def was_found(dialogue: Dialogue) -> bool:
    last: SystemTurn = dialogue.shown[-1]
    return dialogue.target in last.items


def test_filtering_beats_popularity_in_conversation_and_questions_are_answered(
    dataset: PreparedDataset, hearing: FacetHearing
) -> None:
    counts = dataset.training_counts
    filtered, asked, _ = shares(dataset, hearing, AttributeFilter(counts, asks=False))
    assert asked == 0
    deaf = FacetHearing(dataset, hearing.facets)
    deaf.heard = lambda texts: np.zeros((2, len(texts), len(deaf.facets)), bool)  # type: ignore[method-assign, assignment, return-value]
    popular, _, _ = shares(dataset, deaf, AttributeFilter(counts, asks=False))
    assert filtered > popular + 0.2
    with_questions, asked, agreed = shares(dataset, hearing, AttributeFilter(counts, asks=True))
    assert 0 < agreed < asked and with_questions > popular
    only_asking, _, _ = shares(dataset, deaf, AttributeFilter(counts, asks=True))
    assert only_asking > popular  # what it hears is what it asked for


def test_one_turn_scores_put_what_fits_first_and_the_popular_before_the_rest(
    dataset: PreparedDataset, hearing: FacetHearing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    requests = dataset.requests.filter(pl.col("split") == "test").head(60)
    accepted, rejected = hearing.heard(requests["text"].to_list())
    scores = FacetDialogues(dataset, hearing, AttributeFilter(dataset.training_counts, asks=False)).scores(requests)
    assert scores.shape == (60, len(dataset.items))
    has, counts = hearing.facets.has, dataset.training_counts
    for row in np.flatnonzero(accepted.any(1)):
        first = scores[row].argmax()
        fitting = has[:, accepted[row]].sum(1) - has[:, rejected[row]].sum(1)
        assert fitting[first] == fitting.max()
        assert counts[first] == counts[fitting == fitting.max()].max()
