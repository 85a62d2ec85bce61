"""Claims about BM25 over item texts: it is the formula, and beside behaviour it is a system like any other."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from latentcrs.evaluate.conversing import recommender_of
from latentcrs.evaluate.opened import WITH_BM25, EvaluationBundle
from latentcrs.recommend.index import ScoreRows
from latentcrs.text.lexical import Lexical

TEXTS = ["a robot learns to love", "robots at war, robots in love", "a quiet war drama", "cooking"]


def test_it_is_robertsons_formula_over_stems() -> None:
    k1, b = 1.5, 0.75
    words = [["robot", "learn", "love"], ["robot", "war", "robot", "love"], ["quiet", "war", "drama"], ["cook"]]
    mean = sum(map(len, words)) / len(words)
    expected = []
    for said in words:
        total = 0.0
        for word in ("robot", "war"):
            among = sum(word in other for other in words)
            idf = math.log(1 + (len(words) - among + 0.5) / (among + 0.5))
            count = said.count(word)
            total += idf * count / (count + k1 * (1 - b + b * len(said) / mean))
        expected.append(total)
    found = Lexical.build(TEXTS).scores(["the robots of war"])
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)


def test_words_that_say_nothing_of_what_answers_count_for_nothing() -> None:
    plots = ["something strange in a french village"] * 20 + ["a quiet town"] * 20 + ["something else in a town"] * 20
    requests = ["something french please"] * 30 + ["something about a town"] * 30
    targets = np.array([*range(20), *range(10), *range(20, 50)])
    plain = Lexical.build(plots)
    heard = plain.listening(requests, targets)
    weight = dict(zip(heard.words, heard.telling, strict=True))
    assert weight["french"] > 0.9 > 0.2 > weight["someth"]
    assert weight["quiet"] == 1, "nobody has said it, so it may tell"
    assert not heard.tells("something") and heard.tells("zyzzyva")
    french, town = heard.scores(["something french"])[0], plain.scores(["something french"])[0]
    assert french[40:].max() < 0.1 * town[40:].min(), "without listening, every something matches"
    grown = heard.with_texts(["a french film about something new"])
    assert grown.scores(["something french"])[0, -1] > 0 and len(grown.telling) == len(grown.words)


def test_words_that_no_item_has_score_nothing() -> None:
    found = Lexical.build(TEXTS).scores(["", "zyzzyva", "the and of", "love"])
    assert found.shape == (4, 4)
    assert not found[:3].any() and found[3].argmax() in (0, 1)


def test_beside_behaviour_it_ranks_what_was_asked_for(
    bundle: Path, small_movielens_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    monkeypatch.delenv("LATENTCRS_PRECISION")  # the vectors that are kept there are the machine's own
    opened = EvaluationBundle(bundle, device="cpu")
    for beside in WITH_BM25.values():
        assert 0 < opened.bm25_weight(beside) < 1
    recommender = recommender_of(opened, "bm25-sum")
    items = opened.bundle.items
    history = items["item_id"].to_list()[:3]
    wanted = items["director"].list.first().drop_nulls().mode().sort()[0]
    named = recommender.recommend(history, f"something by {wanted}", 5)
    rows = items.filter(items["item_id"].is_in([each.item_id for each in named]))
    assert rows["director"].list.contains(wanted).any()
    silent = recommender.recommend(history, "", 5)
    plain = recommender_of(opened, "behaviour").recommend(history, "", 5)
    assert [each.item_id for each in silent] == [each.item_id for each in plain]


def test_rows_of_scores_are_an_index() -> None:
    scores = np.array([0.2, 0.9, 0.5, 0.1], np.float32)
    index = ScoreRows()
    assert index.top(scores, 2)[0].tolist() == [1, 2]
    assert index.top(scores, 9, np.array([True, False, True, False]))[0].tolist() == [2, 0]
    assert index.top(scores, 1, bonus=np.array([1, 0, 0, 0], np.float32))[0].tolist() == [0]
    assert (index.scores(scores) == scores).all()


def test_what_a_hyphen_joins_is_found_however_it_is_written() -> None:
    texts = ["a feel-good romance", "good people who feel little", "a light-hearted tale", "hearts of light metal"]
    lexical = Lexical.build(texts)
    for said, wanted in (
        ("feel-good", 0),
        ("a feel good film", 0),
        ("feelgood", 0),
        ("lighthearted", 2),
        ("light hearted", 2),
    ):
        assert lexical.scores([said])[0].argmax() == wanted, said
