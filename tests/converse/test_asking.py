"""Asking back: one question where much fits and little was said, whose answers can be said as they stand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from latentcrs.converse.asking import MOST, expected_left
from latentcrs.converse.conversation import Conversation
from latentcrs.hear.open import hearer_of
from latentcrs.recommend import Recommender
from latentcrs.serve.markdown import markdown
from latentcrs.store.session import Turn


def talk(recommender: Recommender, *said: str, asks: bool = True) -> list[Turn]:
    conversation = Conversation(recommender, hearer_of(recommender))
    conversation.asks = asks
    return [conversation.reply(words) for words in said]


def test_what_is_left_after_an_answer_is_expected_over_what_people_want() -> None:
    assert expected_left([["a"], ["a"], ["b"], ["b"]]) == (0.5, ["a", "b"])
    left, values = expected_left([["a"], ["a"], ["a"], ["b"]])
    assert left == pytest.approx((3 * 0.75 + 0.25) / 4) and values == ["a", "b"]
    # Half have x too: somebody who wants one of them says either.
    left, values = expected_left([["x", "y"], ["x", "y"], ["z"], []])
    assert sorted(values) == ["x", "y", "z"] and left == pytest.approx((0.5 + 0.5 + 0.25 + 0.25) / 4)
    assert len(expected_left([[str(number % 9)] for number in range(90)])[1]) == MOST


def test_who_says_little_is_asked_and_every_answer_is_heard_as_one(recommender: Recommender) -> None:
    (turn,) = talk(recommender, "something good please")
    asked = turn.question
    assert turn.items and asked is not None and 2 <= len(asked.answers) <= MOST
    assert asked.text.endswith("?") and markdown(turn, lambda item_id: None).endswith("?")
    for answer in asked.answers:
        _, after = talk(recommender, "something good please", answer)
        conditions = " ".join([*after.rules, *after.wishes])
        assert asked.column.replace("_", " ") in conditions, (answer, after)
        assert after.items and after.question is None  # not twice in a row


def test_it_asks_at_most_once_in_two_turns_and_never_the_same_again(recommender: Recommender) -> None:
    turns = talk(recommender, "something good please", "doesn't matter", "anything really", "whatever you have", "hm")
    asked = [turn.question.column if turn.question else "" for turn in turns]
    assert asked[0] and not any(first and second for first, second in pairwise(asked))
    columns = [column for column in asked if column]
    assert len(columns) == len(set(columns))


@pytest.mark.parametrize(
    "said",
    [
        "a comedy from the 90s",
        "something like Toy Story",
        "a film about a detective who hunts a killer in the rain",
        "the newest ones",
        "hello",
        "a western from 1931",
    ],
)
def test_who_was_clear_or_asked_for_nothing_is_not_asked(recommender: Recommender, said: str) -> None:
    (turn,) = talk(recommender, said)
    assert turn.question is None


def test_it_asks_only_where_it_is_to(recommender: Recommender) -> None:
    (turn,) = talk(recommender, "something good please", asks=False)
    assert turn.question is None
