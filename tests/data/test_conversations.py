"""Claims about recorded conversations: what is named and asked for in them is matched, counted, and never lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.data import PreparedDataset
from latentcrs.data.conversations import chosen_for_validation, read_talks

TITLES = ["Toy Story (1995)", "Matrix, The (1999)", "Big (1988)", "Alien (1979)", "Heat (1995)"]
ItemId = dict[str, Any]
Take = Callable[..., PreparedDataset]


def turn(speaker: str, text: str, *items: ItemId) -> dict[str, Any]:
    return {"speaker": speaker, "text": text, "items": list(items)}


def talk(*turns: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {"turns": list(turns), **other}


ASKS = talk(
    turn("ann", "I love Toy Story, what else is there?", {"id": "0", "stance": "liked"}),
    turn("shop", "Try Matrix.", {"title": "The Matrix (1999)"}),
    turn("ann", "Seen it. I hated Heat, not Solaris.", {"title": "Heat", "stance": "disliked"}, {"title": "Solaris"}),
    turn("shop", "Then Big, or Stalker?", {"id": 2}, {"title": "Stalker (1979)"}),
)  # fmt: skip
OTHER = talk(turn("bob", "Something like Solaris?", {"title": "Solaris"}), turn("shop", "Alien.", {"id": "3"}))


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """Prepares a small shop of five films with conversations (objects, or lines as they are)."""
    rows = [f"u{user},{item},5,{item}" for user in range(3) for item in range(len(TITLES))]
    (tmp_path / "log.csv").write_text("user_id,item_id,rating,timestamp\n" + "\n".join(rows) + "\n")
    items = pl.DataFrame({"item_id": [str(number) for number in range(len(TITLES))], "title": TITLES})
    items.write_csv(tmp_path / "items.csv")

    def run(*lines: Any, out: str = "out") -> PreparedDataset:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (tmp_path / "talk.jsonl").write_text("".join(f"{text}\n" for text in texts), "utf-8")
        command = ["data", "prepare", "own", "--interactions", str(tmp_path / "log.csv")]
        command += ["--items", str(tmp_path / "items.csv"), "--conversations", str(tmp_path / "talk.jsonl")]
        command += ["--user-core", "3", "--item-core", "1", "--out", str(tmp_path / out)]
        done = CliRunner().invoke(app, command)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert "written to" in done.output
        return PreparedDataset(tmp_path / out)

    return run


def named(dataset: PreparedDataset, numbers: list[int]) -> list[str]:
    titles = [*dataset.items["title"], *dataset.outside["title"]]
    return [titles[number].split(" (")[0] for number in numbers]


def test_a_request_is_what_the_seeker_said_and_named_before_an_item_was_suggested(take: Take) -> None:
    dataset = take(ASKS, OTHER)
    spoken = dataset.spoken.filter(pl.col("conversation") == 0)
    assert named(dataset, spoken["target"].to_list()) == ["Matrix, The", "Big", "Big"]
    alone = "I love Toy Story, what else is there? Seen it. I hated Heat, not Solaris."
    assert spoken["text"].to_list()[:2] == ["I love Toy Story, what else is there?", alone]
    assert [named(dataset, row) for row in spoken["history"]][:2] == [["Toy Story"], ["Toy Story", "Solaris"]]
    assert [named(dataset, row) for row in spoken["disliked"]] == [[], ["Heat"], ["Heat"]]


def test_a_request_stands_once_more_after_what_was_suggested_before(take: Take) -> None:
    spoken = take(ASKS, OTHER).spoken.filter(pl.col("conversation") == 0)
    first, alone, after = spoken["history"].to_list()
    assert set(alone) < set(after) and len(after) == len(alone) + 1 and len(first) == 1
    assert spoken["target"].to_list()[0] in after


def test_what_two_conversations_name_and_the_shop_lacks_becomes_an_outside_item_and_what_one_names_does_not(
    take: Take,
) -> None:
    dataset = take(ASKS, OTHER)
    assert dataset.outside["title"].to_list() == ["Solaris"]
    assert dataset.outside["conversations"].to_list() == [2]
    counts = dataset.info.conversations
    assert counts["mentions left out: neither in the catalogue nor named by two conversations"] == 1
    assert counts["mentions of outside items"] == 2
    assert counts["conversations"] == 2


def test_every_mention_is_counted_once_as_an_item_an_outside_item_or_left_out(take: Take) -> None:
    counts = take(ASKS, OTHER).info.conversations
    left_out = sum(number for name, number in counts.items() if name.startswith("mentions left out"))
    assert counts["mentions"] == counts["mentions of items"] + counts["mentions of outside items"] + left_out == 8


def test_mentions_say_who_named_what_and_what_was_suggested(take: Take) -> None:
    dataset = take(ASKS, OTHER)
    rows = dataset.mentions.filter(pl.col("conversation") == 0)
    told = dict(
        zip(
            named(dataset, rows["item"].to_list()),
            rows.select("by_seeker", "stance", "suggested").rows(),
            strict=True,
        )
    )
    assert told == {
        "Toy Story": (True, "liked", False),
        "Matrix, The": (False, None, True),
        "Heat": (True, "disliked", False),
        "Solaris": (True, None, False),
        "Big": (False, None, True),
    }  # fmt: skip


def test_a_suggestion_that_is_disliked_or_comes_before_any_word_is_no_request_and_is_counted(take: Take) -> None:
    first = talk(turn("ann", "", {"id": 0}), turn("shop", "Alien, or Big?", {"id": "3"}, {"id": "2"}))
    refused = talk(
        turn("ann", "Something tense."),
        turn("shop", "Heat?", {"id": "4"}),
        turn("ann", "Hated it.", {"id": "4", "stance": "disliked"}),
    )
    dataset = take(first, refused, OTHER)
    assert named(dataset, dataset.spoken["target"].to_list()) == ["Alien"]
    assert dataset.info.conversations["suggestions left out: nothing was said before"] == 2
    assert dataset.info.conversations["suggestions left out: disliked"] == 1


def test_a_message_that_says_the_target_in_plain_words_is_no_part_of_its_request(take: Take) -> None:
    dataset = take(
        talk(turn("ann", "Space horror."), turn("ann", "Is Alien good?"), turn("shop", "Yes.", {"id": "3"}))
    )
    assert dataset.spoken["text"].to_list() == ["Space horror."]


def test_people_in_conversations_are_no_users_of_the_log(take: Take) -> None:
    dataset = take(ASKS, OTHER)
    assert dataset.info.users == 3
    assert dataset.info.interactions == 15


def test_lines_that_are_no_conversation_are_counted_and_the_others_taken_in(take: Take) -> None:
    counts = take("{", {"turns": []}, {"turns": [{"speaker": "a"}]}, OTHER).info.conversations
    assert counts["lines left out: no conversation"] == 3
    assert counts["conversations"] == 1


def test_conversations_that_suggest_nothing_of_the_catalogue_are_refused_and_nothing_is_written(
    take: Take, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="None of the 1 conversations"):
        take(talk(turn("ann", "Hello."), turn("shop", "Stalker?", {"title": "Stalker"})), out="none")
    assert not (tmp_path / "none").exists()


def test_a_conversation_is_for_training_or_validation_as_a_whole_and_the_same_every_time(take: Take) -> None:
    talks = [{**ASKS, "id": str(number)} for number in range(60)]
    dataset = take(*talks)
    splits = dataset.mentions.group_by("conversation").agg(pl.col("split").unique())
    assert splits["split"].list.len().max() == 1
    valid = set(dataset.spoken.filter(pl.col("split") == "valid")["conversation"])
    assert valid == {number for number in range(60) if chosen_for_validation(str(number))}
    assert 0 < len(valid) < 20


def test_what_is_named_again_is_remembered_with_its_place_in_both_layouts(tmp_path: Path) -> None:
    redial = {
        "conversationId": "1", "initiatorWorkerId": 1, "respondentWorkerId": 2, "movieMentions": {"7": "Big (1988)"},
        "messages": [
            {"senderWorkerId": 1, "text": "I like @7"}, {"senderWorkerId": 2, "text": "@7, @7!"},
        ],
        "initiatorQuestions": {"7": {"suggested": 0, "seen": 1, "liked": 1}}, "respondentQuestions": {},
    }  # fmt: skip
    plain = talk(
        turn("ann", "I like Big (1988)", {"title": "Big (1988)", "stance": "liked"}),
        turn("x", "Big, Big!", {"title": "Big (1988)"}),
    )
    told = []
    for name, line in (("redial", redial), ("plain", plain)):
        (tmp_path / name).write_text(json.dumps(line) + "\n")
        told.append(next(read_talks(tmp_path / name, Counter())))
    for found in told:
        assert found.again == [(1, 0)]
        assert found.said[0][:2] == (True, "I like Big (1988)")
        (mention,) = found.mentions
        assert (mention.place, mention.by_seeker, mention.title, mention.year, mention.stance) == (
            0,
            True,
            "Big",
            1988,
            "liked",
        )
