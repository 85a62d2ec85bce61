"""The `attributes` user: asks for its target by two or three true conditions, never by its title."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.dataset import REQUESTS_SCHEMA, PreparedDataset
from latentcrs.data.roles import Role, roles_of
from latentcrs.users.conditions import Condition, ConditionTable, condition_table
from latentcrs.users.draws import Dice, UInts, mixed
from latentcrs.users.leak_check import LeakCheck
from latentcrs.users.nouns import Noun, guess_noun, noun_of_kind
from latentcrs.users.personas import Persona
from latentcrs.users.phrases import RequestPhrase, compose, noun_for
from latentcrs.users.rows import request_rows
from latentcrs.users.typos import hurried

THREE_CONDITIONS_SHARE = 0.45
MOST_DRAWN = 6  # conditions, of which two or three are said: some say no more than another
_BATCH = 20_000  # rows at a time: bounds memory, and moves the progress bar
_WITH_STORY, _WITHOUT_STORY, _ONE_CONDITION, _NO_CONDITION = 4, 8, 12, 60  # attempts before the next retreat
_TEXT = 2  # the stream of random numbers used here


@dataclass
class Utterances:
    """What was said for B rows: the texts, what each says, and how often a leak made it speak again."""

    texts: list[str]
    said: list[RequestPhrase]
    redrawn: int  # rows whose first sentence leaked
    retreated: int  # of these, rows that had to give up words of free text or conditions altogether
    leaked: list[int] = field(default_factory=list)  # which rows were redrawn


class AttributesUser:
    """Speaks about the items of one data set.

    Everything it says is a function of (seed, user, cut) and of the catalogue: rows may be asked for in any order, in
    any number, on any machine. `noun` and `roles` override what is guessed from the data set's name and columns.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        seed: int = 0,
        noun: str | None = None,
        roles: Mapping[str, Role] | None = None,
    ) -> None:
        self.seed = seed
        self.table: ConditionTable = condition_table(dataset, roles)
        self.titles: list[str | None] = dataset.items["title"].to_list()
        self.check = LeakCheck(dataset, roles)
        self.nouns: list[Noun] = _nouns(dataset, guess_noun(dataset) if noun is None else noun, roles)
        self._words = [frozenset((c.shown or "").lower().split()) for c in self.table.conditions]

    def speak(
        self,
        users: NDArray[np.integer],
        cuts: NDArray[np.integer],
        targets: NDArray[np.integer],
        progress: Callable[[int], None] | None = None,
        personas: Sequence[Persona] | None = None,
        conditions: int | None = None,
    ) -> Utterances:
        """One request per row, each in the words of its persona if there are any; `progress` is told how many rows
        were finished. conditions: how many each tells, where the catalogue says so many; two or three by default.

        A sentence that gives the title away is drawn again: first with other conditions and another pattern, then
        without words of free text, then with a single condition, last with none. None that leaks is ever returned.
        """
        keys = mixed(self.seed, _TEXT, users, cuts)
        out = Utterances([], [], 0, 0)
        for start in range(0, len(keys), _BATCH):
            part = slice(start, start + _BATCH)
            asked = personas[part] if personas else None
            self._speak(targets[part].astype(np.int64), keys[part], out, asked, conditions)
            if progress:
                progress(min(_BATCH, len(keys) - start))
        return out

    def _speak(
        self,
        targets: NDArray[np.int64],
        keys: UInts,
        out: Utterances,
        personas: Sequence[Persona] | None,
        conditions: int | None,
    ) -> None:
        drawn_most = max(MOST_DRAWN, 2 * (conditions or 0))
        first = len(out.texts)
        out.texts += [""] * len(targets)
        out.said += [RequestPhrase("", (), "")] * len(targets)
        waiting = np.arange(len(targets))
        for attempt in range(_NO_CONDITION):
            now = mixed(keys[waiting].view(np.int64), attempt)
            drawn = self.table.draw(targets[waiting], now, most=drawn_most, story=attempt < _WITH_STORY)
            most = 1 if attempt >= _WITHOUT_STORY else (conditions or 3)
            leaking = []
            for row, indices, key in zip(waiting.tolist(), drawn.tolist(), now.tolist(), strict=True):
                dice, item = Dice(key), int(targets[row])
                persona = personas[row] if personas else None
                three = persona.three if persona else THREE_CONDITIONS_SHARE
                count = min(most, conditions or (3 if dice.chance(three) else 2))
                chosen = [] if attempt >= _ONE_CONDITION else self._chosen(indices, count)
                said = compose(chosen, self.nouns[item], dice, persona.voice if persona else None)
                text = persona.typed(said.text, dice) if persona else hurried(said.text, dice)
                # A slip of the finger must neither hide a leak nor make one.
                if self.check.leaks(said.text, item) or (text != said.text and self.check.leaks(text, item)):
                    leaking.append(row)
                    continue
                out.texts[first + row], out.said[first + row] = text, said
            if attempt == 0:
                out.redrawn += len(leaking)
                out.leaked += [first + row for row in leaking]
            if attempt == _WITH_STORY - 1:
                out.retreated += len(leaking)
            waiting = np.array(leaking, np.int64)
            if not len(waiting):
                return
        item = int(targets[waiting[0]])
        raise AssertionError(f"every sentence gives away the title of item {item}: {self.titles[item]!r}")

    def _chosen(self, drawn: list[int], count: int) -> list[Condition]:
        """The first `count` drawn conditions, less those that say no more than one before: "rock" beside "progressive
        rock", a publisher that is its own developer.
        """
        chosen: list[int] = []
        for index in drawn:
            if index < 0 or len(chosen) == count:
                break
            if not self.repeats(index, chosen):
                chosen.append(index)
        return [self.table.conditions[index] for index in chosen]

    def repeats(self, index: int, told: Sequence[int]) -> bool:
        """Whether the words of condition `index` are among those of one `told`, or the other way round."""
        words = self._words[index]
        return bool(words) and any(
            words <= self._words[other] or self._words[other] <= words for other in told if self._words[other]
        )


def _nouns(dataset: PreparedDataset, domain: str, roles: Mapping[str, Role] | None) -> list[Noun]:
    """What each item is called. Where a column says which items are games and which accessories, it decides."""
    column = next((c for c, role in roles_of(dataset.info.columns, roles).items() if role == "kind"), None)
    if column is None or isinstance(dataset.items.schema[column], pl.List):
        return [noun_for(domain)] * len(dataset.items)
    values = dataset.items[column].to_list()
    if not {str(value).lower() for value in values} & {domain, "accessory", "console", "series", "film"}:
        return [noun_for(domain)] * len(dataset.items)
    return [noun_for(noun_of_kind(value, domain)) for value in values]


def simulate(
    dataset: PreparedDataset,
    seed: int = 0,
    augmentations: int = 5,
    noun: str | None = None,
    roles: Mapping[str, Role] | None = None,
    progress: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    """Requests of the `attributes` user for all training, validation and test rows of `dataset` (`REQUESTS_SCHEMA`,
    source "attributes", ordered by split, user, cut); which rows: `rows.request_rows`.

    Raises:
        UserError: `roles` names an unknown column or role.
    """
    rows = request_rows(dataset, seed, augmentations)
    return requests_for(AttributesUser(dataset, seed, noun, roles), rows, progress)[0]


def requests_for(
    user: AttributesUser, rows: pl.DataFrame, progress: Callable[[int], None] | None = None
) -> tuple[pl.DataFrame, Utterances]:
    """Let `user` speak for `rows` (user, cut, target, split): the requests, and the utterances behind them."""
    spoken = user.speak(rows["user"].to_numpy(), rows["cut"].to_numpy(), rows["target"].to_numpy(), progress)
    requests = rows.with_columns(
        history=pl.lit(None, pl.List(pl.Int32)),
        text=pl.Series(spoken.texts, dtype=pl.String),
        source=pl.lit("attributes"),
    )
    return requests.select([pl.col(name).cast(kind) for name, kind in REQUESTS_SCHEMA.items()]), spoken
