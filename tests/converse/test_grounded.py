"""Claims about worded replies: no title, price, year or name in them that the items shown do not have."""

from __future__ import annotations

import pytest

from latentcrs.converse.grounded import SentenceCheck
from latentcrs.llm import ModelError

ITEMS = [
    "Toy Story (1995) | Animation, Children's, Comedy | 1995 | $7.99 | A cowboy doll named Woody.",
    "Dr. Strangelove or: How I Learned to Stop Worrying (1963) | Sci-Fi, War | 1963 | $12.50 | An insane general.",
]
TRUE = [
    "Toy Story is a warm comedy from 1995 for $7.99.",
    "Here are two films you may like: Woody's adventures, and a dark one.",
    "You could try \u201cDr. Strangelove\u201d, a satire of the 1960s.",
    "Both of these 2 fit what you asked for!",
    "I'd start with Toy Story, which costs 7.99.",
]
INVENTED = [
    "Buy the Zorblax for $1.",
    "Zorblax is what you want.",
    "You will love Finding Nemo.",
    "Toy Story (1994) is for you.",
    "Toy Story costs $9.99.",
    "It stars Tom Hanks.",
    "You could try \u201cthe big sleep\u201d.",
    "It won 7 Oscars.",
    "Toy Story is about an insane General.",
    "Toy Story, from 1963, is a satire.",
    "See http://evil.example for more.",
    "<b>Toy Story</b> is great.",
]


@pytest.mark.parametrize("sentence", TRUE)
def test_what_the_items_have_may_be_said(sentence: str) -> None:
    assert SentenceCheck(ITEMS).wrong(sentence) == ""


@pytest.mark.parametrize("sentence", INVENTED)
def test_what_no_item_has_may_not(sentence: str) -> None:
    assert SentenceCheck(ITEMS).wrong(sentence)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_sentence_is_passed_on_when_it_is_whole_and_true_and_nothing_after_one_that_is_not(size: int) -> None:
    heard: list[str] = []
    grounded = SentenceCheck(ITEMS, on_text=heard.append)
    text = "Toy Story is warm. It costs $1. Woody is in it."

    def write() -> None:
        for at in range(0, len(text), size):
            grounded.write(text[at : at + size])
        grounded.end(text, finished=True)

    with pytest.raises(ModelError) as refused:
        write()
    assert refused.value.outcome == "invented" and "$1" in str(refused.value)
    assert "".join(heard).strip() == " ".join(grounded.said) == "Toy Story is warm."


def test_a_sentence_that_was_cut_off_is_left_out_where_there_is_another() -> None:
    assert SentenceCheck(ITEMS).end("Toy Story is warm. It is for the", finished=False) == "Toy Story is warm."
    assert SentenceCheck(ITEMS).end("Toy Story is for the", finished=False) == "Toy Story is for the"
