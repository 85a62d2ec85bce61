"""Claims about the `plot` user."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.dialogue import Dialogue, Question, SystemTurn
from latentcrs.users.fill import fill_requests
from latentcrs.users.leak import leaks
from latentcrs.users.plot import PlotUser

NOBODY = np.array([], np.int32)


def dialogues(dataset: PreparedDataset, count: int) -> list[Dialogue]:
    targets = np.linspace(0, dataset.info.items - 1, count).astype(int).tolist()
    return [Dialogue(number, 3, target, NOBODY) for number, target in enumerate(targets)]


@pytest.fixture(scope="module")
def talks(movies: PreparedDataset) -> list[Dialogue]:
    """Conversations of five turns about 400 films, in which nothing shown is right."""
    user, found = PlotUser(movies), dialogues(movies, 400)
    for _ in range(5):
        user.speak(found)
        for dialogue in found:
            dialogue.shown.append(SystemTurn((1, 2, 3)))
    return found


def test_no_sentence_gives_its_title_away(movies: PreparedDataset, talks: list[Dialogue]) -> None:
    titles = movies.items["title"].to_list()
    assert not [said for talk in talks for said in talk.said if leaks(said, titles[talk.target])]


def test_no_sentence_has_a_genre_a_year_or_somebody_of_the_crew(
    movies: PreparedDataset, talks: list[Dialogue]
) -> None:
    genres = {genre.lower() for genre in movies.items["genres"].explode().drop_nulls()}
    people = movies.items.select(pl.concat_list("director", "actors", "writers"))["director"].to_list()
    for talk in talks:
        for said in talk.said:
            assert genres.isdisjoint(re.findall(r"[\w'-]+", said.lower())), said
            assert not re.search(r"(?<!\d)(?:1[0-9]|20)\d\d|\d0'?s\b", said), said
            assert not any(" " in name and name in said for name in people[talk.target] or []), said


def test_most_films_have_something_to_tell(movies: PreparedDataset) -> None:
    user = PlotUser(movies)
    assert np.mean([user.has_something_to_tell(item) for item in range(0, movies.info.items, 9)]) > 0.9


def test_a_refusal_brings_something_new_until_there_is_nothing_left(talks: list[Dialogue]) -> None:
    for talk in talks:
        left = [
            at for at, said in enumerate(talk.said) if re.search("remember anything|all I|any more|everything", said)
        ]
        told = talk.said[1 : left[0]] if left and left[0] else talk.said
        assert len(set(told)) == len(told)
    assert any("remember anything else" in said for talk in talks for said in talk.said)


def test_what_is_said_depends_on_the_seed_and_the_dialogue_alone(movies: PreparedDataset) -> None:
    together, apart = dialogues(movies, 30), dialogues(movies, 30)
    PlotUser(movies, seed=4).speak(together)
    again = PlotUser(movies, seed=4)
    for dialogue in reversed(apart):
        again.speak([dialogue])
    assert [each.said for each in together] == [each.said for each in apart]
    other = dialogues(movies, 30)
    PlotUser(movies, seed=5).speak(other)
    assert [each.said for each in together] != [each.said for each in other]


def test_a_leaking_sentence_is_said_otherwise_and_counted(movies: PreparedDataset) -> None:
    """Every plot is told to its end; what would name its title is passed over."""
    user, found = PlotUser(movies), dialogues(movies, 150)
    for _ in range(20):
        user.speak(found)
        for dialogue in found:
            dialogue.shown.append(SystemTurn((1,)))
    assert sum(dialogue.leaks for dialogue in found) > 0
    titles = movies.items["title"].to_list()
    assert not any(leaks(said, titles[each.target]) for each in found for said in each.said)


def test_an_item_without_a_text_is_asked_for_vaguely(albums: PreparedDataset) -> None:
    user, (dialogue,) = PlotUser(albums), dialogues(albums, 1)
    user.speak([dialogue])
    assert not user.has_something_to_tell(dialogue.target)
    assert dialogue.said[0].endswith(".") and "None" not in dialogue.said[0]


def test_a_question_is_answered_from_the_catalogue(tiny: PreparedDataset) -> None:
    def answer(question: Question) -> str:
        dialogue = Dialogue(0, 3, 1, NOBODY, said=["Hello."], shown=[SystemTurn(question=question)])
        PlotUser(tiny).speak([dialogue])
        return dialogue.said[-1]

    assert re.match(r"Yes|I believe", answer(Question("genres", "Comedy")))
    assert re.match(r"No|I don't believe", answer(Question("genres", "Western")))
    assert "remember" in answer(Question("director"))
    assert "remember" in answer(Question("studio", "Pixar"))


def test_names_are_put_into_words(tiny: PreparedDataset) -> None:
    tiny.items = tiny.items.with_columns(
        plot=pl.lit(
            "Harold, a lonely plumber, meets his neighbour Maude Quince. He goes to live in a house with Maude."
        )
    )
    dialogue = Dialogue(0, 3, 1, NOBODY)
    user = PlotUser(tiny)
    for _ in range(3):
        user.speak([dialogue])
        dialogue.shown.append(SystemTurn((2,)))
    told = " ".join(dialogue.said)
    assert "plumber" in told
    assert not re.search("Harold|Maude|Quince", told)


def test_plots_are_told_beside_conditions_and_never_in_the_test_split(
    movies: PreparedDataset, tmp_path: Path
) -> None:
    dataset = PreparedDataset(shutil.copytree(movies.path, tmp_path / "films"))
    filled = fill_requests(dataset, augmentations=0, force=True, plots=0.25)
    assert filled is not None
    counts = {
        (row["split"], row["source"]): row["len"]
        for row in dataset.requests.group_by("split", "source").len().to_dicts()
    }
    assert 0.2 < counts["train", "plot"] / counts["train", "attributes"] < 0.27
    assert counts["valid", "plot"] and ("test", "plot") not in counts
    pairs = dataset.requests.filter(pl.col("split") == "train").group_by("user", "cut").agg("target", "source")
    assert all(len(set(row["target"])) == 1 for row in pairs.to_dicts())  # both speak of the same item
