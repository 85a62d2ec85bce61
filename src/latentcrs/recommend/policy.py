"""What a shop's operator says about what is recommended, beside the model: what always holds, and what goes first."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentcrs.base.errors import UserError
from latentcrs.data.rules import Rule

if TYPE_CHECKING:
    from latentcrs.recommend.recommender import Query, Recommender

POOL = 4  # how many times as many items are looked at as are wanted, where a policy thins them out; then again
PINNED = "chosen for this place"


class Boost(Rule):
    """What passes the rule is ranked higher `by` so many standard deviations of the scores; lower where below 0."""

    by: float = Field(allow_inf_nan=False)


class Policy(BaseModel):
    """always: rules that no talk lifts and that are never relaxed. boost: what ranks higher, or lower. pin: ids of
    items that come first, in this order, where they pass. most: column -> how many items of a list may share a value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    always: tuple[Rule, ...] = ()
    boost: tuple[Boost, ...] = ()
    pin: tuple[str, ...] = ()
    most: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)

    def __or__(self, other: Policy) -> Policy:
        """Both; the pins and bounds of `other` go first."""
        return Policy(
            always=(*self.always, *other.always),
            boost=(*self.boost, *other.boost),
            pin=tuple(dict.fromkeys((*other.pin, *self.pin))),
            most=self.most | other.most,
        )

    def check(self, recommender: Recommender) -> None:
        """Refuse what does not fit a catalogue; a pin of an item that it does not have waits for it.

        Raises:
            UserError: an unknown column, or a value that is none of its kind.
        """
        for rule in (*self.always, *self.boost):
            recommender.mask(rule)
        strange = next((column for column in self.most if column not in recommender.bundle.columns), None)
        if strange is not None:
            has = ", ".join(recommender.bundle.columns)
            raise UserError(f"most: the catalogue has no column {strange!r}; it has {has}.")

    def offered(self, recommender: Recommender) -> NDArray[np.bool_]:
        """The items that may be recommended under it, (n,): a copy."""
        offered = recommender.offered.copy()
        for rule in self.always:
            offered &= recommender.mask(rule)
        return offered


class Shelf:
    """One list in the making, by scores and a policy. promoted: item number -> why the policy moved it up."""

    def __init__(self, recommender: Recommender, query: Query, policy: Policy) -> None:
        self._recommender, self._query, self._policy = recommender, query, policy
        self._pinned = recommender.find_items(policy.pin, unknown="leave out").tolist()
        self._shared: Counter[tuple[str, str]] = Counter()
        self._bonus: NDArray[np.float32] | None = None
        if policy.boost:
            self._bonus = np.zeros(len(recommender.bundle.items), np.float32)
            for boost in policy.boost:
                self._bonus[recommender.mask(boost)] += boost.by
            self._bonus *= query.scores().std()

    def top(
        self, k: int, passing: NDArray[np.bool_], bonus: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The next k items and their scores; as `Query.top`, which this is without a policy."""
        if self._bonus is not None:
            bonus = self._bonus if bonus is None else self._bonus + bonus
        pinned = [n for n in self._pinned if passing[n]]
        if not pinned and not self._policy.most:
            return self._query.top(k, passing, bonus)
        chosen: list[int] = []
        size = k
        while True:
            size *= POOL
            numbers, scores = self._query.top(size, passing, bonus)
            score_of = dict(zip(numbers.tolist(), scores.tolist(), strict=True))
            shared = self._shared.copy()
            chosen = self._thinned([*pinned, *(n for n in numbers.tolist() if n not in pinned)], k, shared)
            if len(chosen) == k or len(numbers) < size:
                break
        self._shared = shared
        all_scores = self._query.scores() if any(n not in score_of for n in chosen) else np.zeros(0)
        found = [score_of[n] if n in score_of else float(all_scores[n]) for n in chosen]
        return np.array(chosen, np.int64), np.array(found, np.float32)

    def promoted(self, number: int) -> str:
        """Why the policy has moved an item up; "" where it has not."""
        if number in self._pinned:
            return PINNED
        forward = [boost for boost in self._policy.boost if boost.by > 0 and self._recommender.mask(boost)[number]]
        return f"put forward: {', '.join(map(str, forward))}" if forward else ""

    def _thinned(self, numbers: Sequence[int], k: int, shared: Counter[tuple[str, str]]) -> list[int]:
        """The first k of which no more share a value than may; `shared` counts on."""
        items = self._recommender.bundle.items
        chosen: list[int] = []
        for number in numbers:
            if len(chosen) == k:
                break
            cells = {column: items[column][number] for column in self._policy.most}
            lists = {column: cell if isinstance(cell, pl.Series) else [cell] for column, cell in cells.items()}
            values = [(column, str(value)) for column, found in lists.items() for value in found if value is not None]
            if all(shared[value] < self._policy.most[value[0]] for value in values):
                shared.update(values)
                chosen.append(number)
        return chosen


class Policies(Policy):
    """The policy of a server, and what is added to it for the keys of each name."""

    keys: dict[str, Policy] = Field(default_factory=dict)

    def of(self, owner: str) -> Policy:
        """The policy for what is asked with a key of this name."""
        return self | self.keys.get(owner, Policy())


def read_policies(path: Path | None) -> Policies:
    """The policies in a TOML file; none without one.

    Raises:
        UserError: it cannot be read, or says what no policy has.
    """
    if path is None:
        return Policies()
    try:
        return Policies.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{path}: {where}: {first['msg']}; a policy has {', '.join(Policies.model_fields)}."
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"The policy {path} cannot be read: {error}.") from None
