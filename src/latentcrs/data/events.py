"""Kinds of events (view, cart, purchase, refund, remove): which count, how much, and which take away."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import narwhals as nw

from latentcrs.data.engine import Plan
from latentcrs.data.ordering import ORDER

MOST = 50
"""A column with more kinds than this holds something else."""
ALL = "all"
NOT_COUNTED = "event of a kind that does not count"
TAKES_AWAY = "event that takes others away"
TAKEN_AWAY = "taken away by a later event"

# Tried in order on a kind in lower case; the first that fits wins. Weights say how much an event tells of liking.
_WITHDRAWN = re.compile(
    r"refund|return|cancel|chargeback|revers|refus|dislike|down ?vote|thumbs? ?down|uninstall|void|storno"
)
_TAKEN_OUT = re.compile(r"remov|delet|\bun ?(?:like|fav|save|wish|follow|bookmark|subscri)|drop")
_NOTHING = re.compile(
    r"fail|abandon|error|reject|declin|block|hide|report|skip|impression|search|log ?in|session|start$"
)
_WEIGHTS = (
    (
        re.compile(
            r"purchas|bu[yi]|bought|order|transact|check ?out|paid|pay|sale|sold|conver|subscri|rent|book(?!mark)"
        ),
        4.0,
    ),
    (
        re.compile(
            r"cart|basket|bag\b|wish|fav|save|bookmark|like|add|collect|share|review|comment|rat(?:e|ing)|star|upvote"
        ),
        2.0,
    ),
    (re.compile(r"view|click|visit|detail|open|\bpv\b|play|listen|watch|read|brows|stream|see|show|tap|hover"), 1.0),
)


@dataclass(frozen=True)
class Events:
    """What each kind of event means; a kind is a code, its place in `kinds`.

    weights: how much an event tells of liking; 0: it does not count.
    undoes: the code of a kind that takes away -> those of earlier events of the same person and item that it undoes.
    """

    kinds: tuple[str, ...]
    weights: tuple[float, ...]
    undoes: dict[int, tuple[int, ...]]

    @property
    def counted(self) -> list[int]:
        """The codes of the kinds that count."""
        return [code for code, weight in enumerate(self.weights) if weight > 0 and code not in self.undoes]

    def __str__(self) -> str:
        counts = ", ".join(f"{self.kinds[code]} ({self.weights[code]:g})" for code in self.counted)
        rest = [kind for code, kind in enumerate(self.kinds) if code not in (*self.counted, *self.undoes)]
        takes = "; ".join(
            f"{self.kinds[code]} takes away earlier {', '.join(self.kinds[other] for other in undone)}"
            for code, undone in self.undoes.items()
            if undone
        )
        parts = [f"of kinds of events count, with their weight, {counts or 'none'}", takes]
        return "; ".join([*(part for part in parts if part), *([f"not {', '.join(rest)}"] if rest else [])])


def simple(kind: str) -> str:
    """A kind in lower case, its words apart."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind)
    return re.sub(r"[^\w]+|_+", " ", apart).strip().lower()


def guess_events(kinds: Iterable[str]) -> Events | None:
    """What `kinds` (as the log has them) mean by their names; None where no name of one that counts is known."""
    ordered = tuple(sorted(kinds))
    weights, takers = [], {}
    for code, kind in enumerate(ordered):
        name = simple(kind)
        if _WITHDRAWN.search(name):
            takers[code] = ALL
        elif _TAKEN_OUT.search(name):
            takers[code] = "put in"
        known = next((weight for pattern, weight in _WEIGHTS if pattern.search(name)), 0.0)
        weights.append(0.0 if code in takers or _NOTHING.search(name) else known)
    if not any(weights):
        return None
    undoes = {
        code: tuple(
            other for other, weight in enumerate(weights) if weight and (what == ALL or weight == _WEIGHTS[1][1])
        )
        for code, what in takers.items()
    }
    return Events(ordered, tuple(weights), undoes)


def mapped_events(
    kinds: Iterable[str], weights: Mapping[str, float], takes_away: Mapping[str, list[str] | str]
) -> Events:
    """What `kinds` (as the log has them) mean by a mapping, in any case; those it does not name do not count."""
    ordered = tuple(sorted(kinds))
    weight_of = {simple(kind): weight for kind, weight in weights.items()}
    undone_of = {simple(kind): undone for kind, undone in takes_away.items()}
    names = [simple(kind) for kind in ordered]
    undoes: dict[int, tuple[int, ...]] = {}
    for code, name in enumerate(names):
        if name in undone_of:
            undone = undone_of[name]
            every = undone == ALL or undone == [ALL]
            wanted = {simple(kind) for kind in ([undone] if isinstance(undone, str) else undone)}
            undoes[code] = tuple(other for other, kind in enumerate(names) if every or kind in wanted)
    return Events(
        ordered, tuple(0.0 if code in undoes else weight_of.get(name, 0.0) for code, name in enumerate(names)), undoes
    )


def take_away(events: Events) -> Plan:
    """A plan over an encoded log (with `event`, a code): `why` a row does not count, null for one that does.

    A kind that takes away does so with all that the same person did with the same item before it, of the kinds it
    undoes; what comes later counts again.
    """

    def plan(log: nw.LazyFrame) -> nw.LazyFrame:
        gone = nw.lit(False)
        for number, (code, undone) in enumerate(events.undoes.items()):
            mark = f"__taker_{number}__"
            log = log.with_columns((nw.col("event") == code).cast(nw.Int64).alias(mark))
            later = nw.col(mark).cum_sum(reverse=True).over("user", "item", order_by=ORDER)
            log = log.with_columns(later.alias(f"{mark}later"))
            gone = gone | ((nw.col(f"{mark}later") > 0) & nw.col("event").is_in(list(undone)))
        why = (
            nw.when(nw.col("event").is_in(list(events.undoes)))
            .then(nw.lit(TAKES_AWAY))
            .otherwise(nw.when(gone).then(nw.lit(TAKEN_AWAY)))
        )
        log = log.with_columns(why.alias("why"))
        return log.drop([f"__taker_{n}__{end}" for n in range(len(events.undoes)) for end in ("", "later")])

    return plan
