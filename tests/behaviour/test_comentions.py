"""Claims about co-mentions: what is counted, and that a row never sees its own conversation."""

from __future__ import annotations

import numpy as np
import polars as pl

from latentcrs.behaviour.comentions import CoMentions, profiles_of
from latentcrs.data.dataset import MENTIONS_SCHEMA

# Items 0 to 3, and one outside item, 4. Conversation 2 is for validation; in 1, item 3 is disliked.
NAMED = [
    (0, 0, True, "liked", "train", False), (0, 4, True, None, "train", False), (0, 1, False, None, "train", True),
    (1, 4, True, "liked", "train", False), (1, 2, False, "liked", "train", True),
    (1, 3, False, "disliked", "train", True),
    (2, 4, True, None, "valid", False), (2, 0, False, None, "valid", True),
]  # fmt: skip


def mentions() -> pl.DataFrame:
    return pl.DataFrame(NAMED, schema=MENTIONS_SCHEMA, orient="row")


def test_what_is_named_together_is_counted_and_what_is_disliked_or_held_out_is_not() -> None:
    talk = CoMentions.build(mentions(), 4, 1)
    assert talk.C.toarray()[4].tolist() == [1, 1, 1, 0]
    assert talk.named.tolist() == [1, 1, 1, 0, 2]
    assert talk.suggested.tolist() == [0, 1, 1, 0]


def test_an_outside_item_tells_of_items_though_it_is_never_recommended() -> None:
    talk = CoMentions.build(mentions(), 4, 1)
    bonus = talk.bonus([[4], []]).toarray()
    assert bonus.shape == (2, 4)
    assert (bonus[0] > 0).tolist() == [True, True, True, False]
    assert not bonus[1].any()


def test_a_row_is_told_what_all_conversations_but_its_own_say() -> None:
    whole = mentions()
    own = profiles_of(whole["conversation"].to_numpy(), whole["item"].to_numpy(), 5)[[0]]
    talk = CoMentions.build(whole, 4, 1)
    without = CoMentions.build(whole.filter(pl.col("conversation") != 0), 4, 1)
    without.suggested = talk.suggested  # the prior is taken away apart
    np.testing.assert_allclose(talk.bonus([[4]], own).toarray(), without.bonus([[4]]).toarray(), rtol=1e-6)


def test_new_items_take_their_place_before_outside_items() -> None:
    talk = CoMentions.build(mentions(), 4, 1)
    grown = talk.with_items(2)
    np.testing.assert_allclose(grown.bonus([[6]]).toarray()[0, :4] > 0, talk.bonus([[4]]).toarray()[0] > 0)
    assert grown.items == 6 and not grown.bonus([[4], [5]]).toarray().any()
