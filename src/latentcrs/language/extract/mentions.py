"""One thing of the catalogue that an utterance speaks of, and how it speaks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from latentcrs.language.extract.years import Bound

Sort = Literal["category", "year", "number", "topic", "title"]


@dataclass
class Mention:
    """Tokens `start`..`end` mean `values` of `column`, or numbers from `low` to `high` of it.

    The flags are how it was said; see `scope`. `chained`: said in one breath with the mention before it, by "or",
    "and", or a comma ("" where it was not). `plural`: said of many ("westerns", "war movies"). `liked`: as a taste.
    `opposite`: its words deny
    it ("for adults"). `listed`: "that sort of thing" stands behind.
    """

    start: int
    end: int
    sort: Sort
    column: str
    values: tuple[str, ...] = ()
    op: Bound = "between"
    low: float = 0.0
    high: float = 0.0
    certainty: float = 1.0
    named: bool = False
    settled: bool = False
    opposite: bool = False
    negated: bool = False
    soft: bool = False
    firm: bool = False
    dropped: bool = False
    passed_over: bool = False
    plural: bool = False
    liked: bool = False
    listed: bool = False
    chained: str = ""

    @property
    def stands(self) -> bool:
        """Whether it is wanted, be it only wished for."""
        return not (self.negated or self.dropped or self.passed_over)
