from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs.data.prepare import prepare
from latentcrs.data.sources import SOURCES
from latentcrs.data.titles import FilmIndex, title_key

TITLES = {
    "1": "Toy Story  (1995)",
    "2": "The Matrix (1999)",
    "3": "Toy Story 2 (1999)",
    "4": "O Brother, Where Art Thou%3F (2000)",
    "5": "Unknown Film (1960)",
    "6": "Big (1988)",
}
MOVIES = (
    "1::Toy Story (1995)::Animation\n2::Matrix, The (1999)::Sci-Fi\n3::Toy Story 2 (1998)::Animation\n"
    "4::O Brother, Where Art Thou? (2000)::Comedy\n6::Big (1988)::Comedy\n7::Big (1975)::Drama\n"
)


def answers(liked: str, suggested: str) -> dict[str, dict[str, int]]:
    return {
        movie: {"suggested": int(movie in suggested), "seen": 1, "liked": 1 if movie in liked else 0}
        for movie in TITLES
    }


def dialogue(*said: str, liked: str = "", suggested: str = "", number: int = 1, **other: Any) -> dict[str, Any]:
    """Messages that begin with 'S:' are the seeker's, with 'R:' the recommender's."""
    return {
        "conversationId": str(number),
        "initiatorWorkerId": 10,
        "respondentWorkerId": 20,
        "movieMentions": TITLES,
        "messages": [{"senderWorkerId": 10 if words[0] == "S" else 20, "text": words[2:]} for words in said],
        "initiatorQuestions": answers(liked, suggested),
        "respondentQuestions": {},
        **other,
    }


@pytest.fixture
def films(tmp_path: Path) -> PreparedDataset:
    """A data set of films in MovieLens' layout."""
    source = tmp_path / "ml"
    source.mkdir()
    (source / "movies.dat").write_text(MOVIES)
    rows = [f"{user}::{item}::5::{item}" for user in (1, 2, 3) for item in (1, 2, 3, 4, 6, 7)]
    (source / "ratings.dat").write_text("\n".join(rows) + "\n")
    return prepare(SOURCES["ml-1m"].read(source, tmp_path / "work"), tmp_path / "films").dataset


@pytest.fixture
def talk(tmp_path: Path) -> Callable[..., Path]:
    def write(*dialogues: dict[str, Any] | str, name: str = "dialogues.jsonl") -> Path:
        folder = tmp_path / "redial"
        folder.mkdir(exist_ok=True)
        lines = [line if isinstance(line, str) else json.dumps(line) for line in dialogues]
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
        return folder

    return write


def test_interactions_are_what_the_seeker_liked_in_order_of_mention(
    talk: Callable[..., Path], tmp_path: Path
) -> None:
    first = dialogue("S:I like @2", "R:and @1 ? @5 ?", "S:yes, @2 @3", liked="1235", suggested="15")
    second = dialogue("R:@4 !", liked="4", initiatorWorkerId=None, initiatorQuestions=[], number=9)
    second["respondentQuestions"] = answers("4", "4")
    raw = SOURCES["redial"].read(talk(first, "{broken", {"messages": []}, second), tmp_path / "work")
    rows = raw.interactions.collect()
    assert rows.select("user_id", "item_id", "line").rows() == [
        ("10", "2", 1),
        ("10", "1", 1),
        ("10", "5", 1),
        ("10", "3", 1),
        ("conversation-9", "4", 4),
    ]
    items = {row["item_id"]: row for row in raw.items.to_dicts()}
    assert items["1"]["title"] == "Toy Story" and items["1"]["year"] == 1995
    assert items["4"]["title"] == "O Brother, Where Art Thou?"
    assert [(problem.line, problem.kind) for problem in raw.problems] == [
        (2, "broken JSON"),
        (3, "malformed dialogue"),
    ]


def test_the_official_files_are_read_together(talk: Callable[..., Path], tmp_path: Path) -> None:
    talk(dialogue("S:@1", liked="1"), name="train_data.jsonl")
    folder = talk(dialogue("S:@2", liked="2"), name="test_data.jsonl")
    assert len(SOURCES["redial"].read(folder, tmp_path / "work").interactions.collect()) == 2


def test_films_are_found_by_title_and_year_give_or_take_one(films: PreparedDataset) -> None:
    known = FilmIndex(films)
    asked = [("Toy Story 2", 1999), ("O Brother, Where Art Thou?", 2000), ("Big", 1988), ("the MATRIX", 1999)]
    assert [known.find(title, year) for title, year in asked] == ["3", "4", "6", "2"]
    assert known.find("Big", None) is None and known.find("Toy Story", None) == "1"
    assert known.find("Big", 1999) is None and known.find("Unknown Film", 1960) is None
    assert title_key("Les Mis\u00e9rables: A Tale & More") == "les miserables a tale and more"
    assert title_key("The Babadook") == title_key("babadook!") and title_key("The") == "the"


def test_a_folder_without_dialogues_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dialogues.jsonl or train_data.jsonl"):
        SOURCES["redial"].read(tmp_path, tmp_path / "work")
