"""Utterances labelled by hand with what they say about a catalogue: see README.md beside this file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentcrs.base.errors import UserError
from latentcrs.data import ColumnKind
from latentcrs.data.lines import readable
from latentcrs.data.request_lines import numbered_lines
from latentcrs.data.rules import ALWAYS_THERE, Rule

FOLDER = Path(__file__).parent
SETS = {name: FOLDER / f"{name}.jsonl" for name in ("movies", "games", "albums")}
"""The sets that come with the package, by name."""


class Utterance(BaseModel):
    """One utterance and all that it says, the labels meaning what they mean in `Heard`.

    before: what the same person said earlier, oldest first. origin: where a real utterance was said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    source: Literal["ours", "redial"]
    text: str = Field(min_length=1)
    origin: str = ""
    before: tuple[str, ...] = ()
    rules: tuple[Rule, ...]
    wishes: tuple[Rule, ...] = ()
    dropped: tuple[Rule, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def predicates(self) -> tuple[Rule, ...]:
        """Everything it says about columns: rules, wishes and what it takes back."""
        return self.rules + self.wishes + self.dropped


def read_utterances(path: Path, columns: Mapping[str, ColumnKind] | None = None) -> list[Utterance]:
    """The utterances of a file of JSON lines, every label of which must make sense on `columns` where given.

    Raises:
        UserError: no such file, nothing in it, an id twice, or a line that is no utterance: with file and line.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; a set of utterances is a file of JSON lines.")
    utterances: dict[str, Utterance] = {}
    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace:
        file = readable(path, Path(workspace))
        for problem in file.problems:
            raise UserError(f"{path}, line {problem.line}: {problem.detail}.")
        for numbers, texts in numbered_lines(file.path):
            for number, text in zip(numbers, texts, strict=True):
                try:
                    utterance = _read_line(text, columns)
                except UserError as error:
                    raise UserError(f"{path}, line {number}: {error}") from None
                if utterance.id in utterances:
                    raise UserError(f"{path}, line {number}: the id {utterance.id!r} stands on an earlier line too.")
                utterances[utterance.id] = utterance
    if not utterances:
        raise UserError(f"{path} has no utterances.")
    return list(utterances.values())


def fitting_set(columns: Mapping[str, ColumnKind]) -> Path:
    """The set that comes with the package and is labelled over these columns: of those that use no other column, the
    one that uses the most.

    Raises:
        UserError: every set uses a column that is not there.
    """
    used = {
        path: {rule.column for utterance in read_utterances(path) for rule in utterance.predicates}
        for path in SETS.values()
    }
    fitting = [path for path in used if used[path] <= {*columns, *ALWAYS_THERE}]
    if not fitting:
        raise UserError(
            f"None of the sets {', '.join(SETS)} is labelled over the columns {', '.join(columns) or '(none)'}; "
            "name one of your own with --set."
        )
    return max(fitting, key=lambda path: len(used[path]))


def _read_line(text: str, columns: Mapping[str, ColumnKind] | None) -> Utterance:
    try:
        utterance = Utterance.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{f'{place}: ' if place else ''}{first['msg']}.") from None
    if columns is not None:
        for rule in utterance.predicates:
            rule.expression(columns)
    return utterance
