"""What came of the conversations in a store: counts by day, and by bundle the share of those that ended well."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import combinations

from pydantic import BaseModel

from latentcrs.store.conversations import ConversationStore

Z = 1.959964  # of 95%


class Day(BaseModel):
    """The counts of one day (UTC). asked: utterances. nothing: those that were answered with no item although some
    were wanted. relaxed: those whose items do not pass every rule. undecided: those with a condition that the
    catalogue cannot decide. shown: items. accepted: utterances that took one. opened, bought: events of such kinds.
    """

    day: date
    conversations: int = 0
    asked: int = 0
    nothing: int = 0
    relaxed: int = 0
    undecided: int = 0
    shown: int = 0
    accepted: int = 0
    opened: int = 0
    bought: int = 0


class Share(BaseModel):
    """Of a bundle's conversations in which something was shown, those in which an item was taken, or opened or bought
    by their user after it was shown. low, high: Wilson's 95% interval.
    """

    bundle: str
    conversations: int
    successful: int
    share: float
    low: float
    high: float


class Difference(BaseModel):
    """The share of `bundle` less that of `than`, with Newcombe's 95% interval (Statistics in Medicine, 1998)."""

    bundle: str
    than: str
    difference: float
    low: float
    high: float


class Statistics(BaseModel):
    """unmet: what could not be given, in people's words, the commonest first; only where it was asked for."""

    days: list[Day]
    shares: list[Share]
    differences: list[Difference]
    unmet: dict[str, int] = {}


def statistics(
    store: ConversationStore, days: int = 14, owner: str | None = None, words: int = 0, now: datetime | None = None
) -> Statistics:
    """Of the last `days` days, today among them. owner: of one key's name alone. words: how many of what could not be
    given to name in people's words.
    """
    now = now or datetime.now(UTC)
    since = datetime.combine((now - timedelta(days=days - 1)).date(), datetime.min.time(), UTC)
    by_day: defaultdict[date, Counter[str]] = defaultdict(Counter)
    seen: set[tuple[date, str]] = set()
    shown_at: defaultdict[tuple[str, str | None, str], list[tuple[datetime, str]]] = defaultdict(list)
    bundles: dict[str, str] = {}
    successful: set[str] = set()
    unmet: Counter[str] = Counter()
    for id, of, user, bundle, at, turn in store.turns_since(since, owner):
        counts = by_day[at.date()]
        counts["conversations"] += (at.date(), id) not in seen
        seen.add((at.date(), id))
        if turn["kind"] == "command":
            continue
        nothing = turn["kind"] in ("request", "more") and not turn["items"]
        counts.update(
            asked=1,
            nothing=nothing,
            relaxed=bool(turn["relaxed"]) or turn.get("nearest", False),
            undecided=bool(turn["unknown"]),
            shown=len(turn["items"]),
            accepted=turn["kind"] == "accepted",
        )
        unmet.update([*turn["unknown"], *([turn["utterance"]] if nothing else [])])
        if turn["items"]:
            bundles[id] = bundle
        if turn["kind"] == "accepted":
            successful.add(id)
        for item in turn["items"]:
            shown_at[of, user, item["item_id"]].append((at, id))
    for _, of, user, item_id, kind, at in store.every_event(owner, since):
        name = {"click": "opened", "purchase": "bought"}.get(kind)
        if name is not None:
            by_day[at.date()][name] += 1
            successful |= {id for when, id in shown_at[of, user, item_id] if when <= at}
    shares = _shares(bundles, successful)
    return Statistics(
        days=[Day(day=day, **counts) for day, counts in sorted(by_day.items())],
        shares=shares,
        differences=[_difference(one, other) for other, one in combinations(shares, 2)],
        unmet=dict(unmet.most_common(words)),
    )


def _shares(bundles: Mapping[str, str], successful: set[str]) -> list[Share]:
    shares = []
    for bundle, n in sorted(Counter(bundles.values()).items()):
        good = sum(bundles[id] == bundle for id in successful & bundles.keys())
        low, high = wilson(good, n)
        shares.append(Share(bundle=bundle, conversations=n, successful=good, share=good / n, low=low, high=high))
    return shares


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    share, spread = successes / n, Z * Z / n
    half = Z * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return (share + spread / 2 - half) / (1 + spread), (share + spread / 2 + half) / (1 + spread)


def _difference(one: Share, than: Share) -> Difference:
    difference = one.share - than.share
    below = math.hypot(one.share - one.low, than.high - than.share)
    above = math.hypot(one.high - one.share, than.share - than.low)
    return Difference(
        bundle=one.bundle, than=than.bundle, difference=difference, low=difference - below, high=difference + above
    )
