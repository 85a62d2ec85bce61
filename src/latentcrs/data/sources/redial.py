"""Reads ReDial, dialogues of a film seeker and a recommender: who liked what, in order of mention."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.data.archives import open_text
from latentcrs.data.known import REDIAL_TERMS
from latentcrs.data.lines import BROKEN_JSON, LineProblem, TextFile, readable
from latentcrs.data.raw import RawData, Source, raw_interactions
from latentcrs.data.titles import split_title

MENTION = re.compile(r"@(\d+)")
LIKED, DISLIKED = 1, 0  # and 2: did not say
FILES = ("dialogues.jsonl", "*_data.jsonl")


@dataclass(frozen=True)
class Dialogue:
    """One conversation.

    movies: film id -> title as annotated ("The Shining  (1980)"). said: (by the seeker?, words with @film ids).
    liked, disliked: film ids of which the seeker says so. Where their own form is silent, the recommender's counts.
    """

    path: Path
    line: int
    identity: str
    seeker: str
    movies: dict[str, str]
    said: list[tuple[bool, str]]
    liked: frozenset[str]
    disliked: frozenset[str]

    def first_mentions(self) -> dict[str, int]:
        """film id -> the message that mentions it first, in order of mention."""
        found: dict[str, int] = {}
        for place, (_, words) in enumerate(self.said):
            for movie in MENTION.findall(words):
                if movie in self.movies:
                    found.setdefault(movie, place)
        return found


def dialogue_files(path: Path) -> list[Path]:
    """The files of dialogues at `path`, a folder or one such file."""
    if path.is_file():
        return [path]
    found = next((files for pattern in FILES if (files := sorted(path.glob(pattern)))), [])
    if not found:
        raise UserError(
            f"{path} does not hold dialogues.jsonl or train_data.jsonl and test_data.jsonl; "
            "fetch them with 'latentcrs data fetch redial'."
        )
    return found


def read_dialogues(file: TextFile) -> Iterator[Dialogue | LineProblem]:
    """Every dialogue of a file, or what is wrong with its line."""
    with open_text(file.path) as stream:
        for number, text in enumerate(stream, start=1):
            if text.isspace():
                continue
            try:
                yield _dialogue(file.original, number, json.loads(text))
            except json.JSONDecodeError as error:
                yield LineProblem(file.original, number, BROKEN_JSON, f"column {error.colno}: {error.msg}")
            except (KeyError, TypeError, AttributeError) as error:
                detail = f"this line is no dialogue of ReDial ({type(error).__name__}: {error})"
                yield LineProblem(file.original, number, "malformed dialogue", detail)


def _dialogue(path: Path, line: int, record: dict[str, Any]) -> Dialogue:
    # Forms that nobody filled in are empty lists in the published files.
    own, other = (dict(record.get(form) or {}) for form in ("initiatorQuestions", "respondentQuestions"))
    answers = {**other, **own}
    seeker = record.get("initiatorWorkerId")
    identity = str(record.get("conversationId", line))
    return Dialogue(
        path=path,
        line=line,
        identity=identity,
        seeker=f"conversation-{identity}" if seeker is None else str(seeker),
        movies={str(movie): unquote(title or "") for movie, title in dict(record["movieMentions"] or {}).items()},
        said=[(message["senderWorkerId"] == seeker, str(message["text"])) for message in record["messages"]],
        liked=frozenset(str(movie) for movie, answer in answers.items() if answer["liked"] == LIKED),
        disliked=frozenset(str(movie) for movie, answer in answers.items() if answer["liked"] == DISLIKED),
    )


def read_redial(path: Path, workspace: Path) -> RawData:
    """ReDial as a log: a seeker's interactions are the films they liked, dialogue by dialogue, in order of mention.

    Raises:
        UserError: there are no dialogues at `path`.
    """
    files = [readable(file, workspace) for file in dialogue_files(path)]
    problems = [problem for file in files for problem in file.problems]
    rows: list[tuple[str, str, int]] = []
    movies: dict[str, tuple[str, int]] = {}
    for file in files:
        for dialogue in read_dialogues(file):
            if isinstance(dialogue, LineProblem):
                problems.append(dialogue)
                continue
            for movie, title in dialogue.movies.items():
                movies.setdefault(movie, (title, dialogue.line))
            mentioned = dialogue.first_mentions()
            rows += [(dialogue.seeker, movie, dialogue.line) for movie in mentioned if movie in dialogue.liked]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "line"], orient="row").with_row_index("order")
    items = pl.DataFrame(
        [(movie, title, line) for movie, (title, line) in movies.items()],
        schema=["item_id", "raw", "line"],
        orient="row",
    )
    names = ", ".join(file.original.name for file in files)
    return RawData(
        name="redial",
        source=f"ReDial ({names})",
        terms=REDIAL_TERMS,
        interactions=raw_interactions(log.lazy()),
        items=items.select("item_id", *split_title("raw")),
        kinds={"year": "year"},
        has_ratings=False,
        user_core=3,
        item_core=1,
        files={"interactions": files[0].original, "items": files[0].original},
        problems=problems,
        item_lines=items["line"],
    )


REDIAL = [Source("redial", "ReDial: films that the seekers of 11,348 dialogues liked", REDIAL_TERMS, read_redial)]
