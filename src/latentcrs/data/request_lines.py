"""Reads a file of requests (JSON lines): the well-formed lines, and what is wrong with each of the others."""

import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NotRequired

import polars as pl
from pydantic import Field, Json, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from latentcrs.base.errors import UserError
from latentcrs.data.archives import open_text
from latentcrs.data.dataset import Split
from latentcrs.data.lines import readable

LINES_AT_ONCE = 100_000
Id = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), Field(coerce_numbers_to_str=True)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class RequestLine(TypedDict):
    """One line of a file of requests. `history` stands in place of `user_id` for people who are not in the log."""

    user_id: NotRequired[Id | None]
    history: NotRequired[list[Id] | None]
    target: Id
    split: Split
    text: Words


LINES = TypeAdapter(list[Json[RequestLine]])
LINES_SCHEMA: dict[str, Any] = {
    "line": pl.Int64,
    "user_id": pl.String,
    "history": pl.List(pl.String),
    "target": pl.String,
    "split": pl.String,
    "text": pl.String,
}


def parse_lines(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The well-formed lines (`LINES_SCHEMA`) and what is wrong with the others (line, mistake).

    Raises:
        UserError: there is no such file.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; --requests wants a file of JSON lines.")
    frames = [pl.DataFrame(schema=LINES_SCHEMA)]
    mistakes: dict[int, str] = {}
    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace:
        file = readable(path, Path(workspace))
        mistakes.update({problem.line: f"{problem.kind}: {problem.detail}" for problem in file.problems})
        for numbers, texts in numbered_lines(file.path):
            try:
                rows = LINES.validate_python(texts)
            except ValidationError as error:
                wrong = {int(one["loc"][0]): in_words(one) for one in reversed(error.errors())}
                for row, words in wrong.items():
                    mistakes.setdefault(numbers[row], words)
                good = [row for row in range(len(texts)) if row not in wrong]
                numbers, texts = [numbers[row] for row in good], [texts[row] for row in good]
                rows = LINES.validate_python(texts)
            columns = {name: [row.get(name) for row in rows] for name in LINES_SCHEMA if name != "line"}
            frames.append(pl.DataFrame({"line": numbers, **columns}, schema=LINES_SCHEMA))
    lines = pl.concat(frames)
    who = pl.col("user_id").is_null().cast(pl.Int8) + pl.col("history").is_null().cast(pl.Int8)
    unclear = lines.filter(who != 1).select(
        "line",
        pl.when(pl.col("user_id").is_null())
        .then(pl.lit("it has neither user_id (someone of the log) nor history (a list of item ids); give one"))
        .otherwise(pl.lit("it has both user_id and history; give one of them"))
        .alias("mistake"),
    )
    malformed = pl.DataFrame({"line": list(mistakes), "mistake": list(mistakes.values())}, schema=unclear.schema)
    return lines.filter(who == 1), pl.concat([malformed, unclear])


def numbered_lines(path: Path) -> Iterator[tuple[list[int], list[str]]]:
    """Batches of lines that hold something, with their numbers."""
    with open_text(path) as stream:
        numbered = ((number, text) for number, text in enumerate(stream, start=1) if not text.isspace())
        while batch := list(islice(numbered, LINES_AT_ONCE)):
            yield [number for number, _ in batch], [text for _, text in batch]


def in_words(error: Any) -> str:
    """One validation error as a sentence a writer of requests understands."""
    place = ".".join(str(part) for part in error["loc"][1:])
    if error["type"] == "json_invalid":
        return f"it is not JSON ({error['ctx']['error']})"
    if not place:
        return "it is not a JSON object"
    if error["type"] == "missing":
        return f"'{place}' is missing"
    if error["type"] == "string_too_short":
        return f"'{place}' is empty"
    if error["type"] == "literal_error":
        return f"the split {json.dumps(error['input'])} is none of train, valid, test"
    wanted = {"history": "a list of item ids", "text": "a string"}.get(place, "a string or a number")
    return f"'{place}' is {json.dumps(error['input'], ensure_ascii=False)[:60]}; it has to be {wanted}"
