"""Asking back: the one question that would halve what fits, where much does and the person has said little."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.roles import Role, roles_of
from latentcrs.hear import HeardRule, Reading
from latentcrs.recommend import Query, Recommender
from latentcrs.recommend.explain import words_of
from latentcrs.store.session import Question, Session, Turn

MANY, POOL, LEFT = 40, 200, 0.5
"""Items that have to fit (among fewer, another list is no slower); the best of them, by whose values a question is
chosen; the share of these that may be expected to be left after the answer."""
MOST, LEAST_SHARE = 4, 0.08
"""Values that are named, and the share of the items that each has to have."""
CLEAR, TURNS = 4, 2
"""Telling words, or conditions twice, from which on somebody said what they want; turns from question to question."""
WANTING = frozenset({"request", "more", "refused", "seen"})
"""Kinds of utterance after which somebody still looks for something."""
_SAID: dict[Role, str] = {
    "kind": "Which of these: {values}?",
    "platform": "For which platform: {values}?",
    "genre": "What kind should it be: {values}?",
    "year": "From when: {values}?",
    "language": "In which language: {values}?",
    "publisher": "Which maker: {values}?",
    "creator": "By whom: {values}?",
    "director": "Directed by whom: {values}?",
    "country": "From where: {values}?",
    "certificate": "For which age: {values}?",
}
"""How a column is asked about: those that people think of first before others, whichever halves more."""


def question(
    recommender: Recommender,
    query: Query,
    available: NDArray[np.bool_],
    turn: Turn,
    session: Session,
    reading: Reading,
) -> Question | None:
    """What to ask behind the list of a turn; None where somebody was clear, was just asked, or no question halves
    what fits. `available` (n,): what could be recommended.
    """
    if session.asked_at and turn.number - session.asked_at < TURNS:
        return None
    if not turn.items or turn.relaxed or turn.nearest or turn.sorted_by or turn.kind not in WANTING:
        return None
    if reading.titles or is_clear(turn.request, [*session.rules, *session.wishes]):
        return None
    fits = available.copy()
    for heard in session.rules:
        fits &= recommender.mask(heard.rule)
    if fits.sum() < MANY:
        return None
    pool = recommender.bundle.items[query.top(POOL, fits)[0]]
    about = {heard.rule.column for heard in (*session.rules, *session.wishes)} | set(session.asked)
    roles, order = roles_of(recommender.bundle.columns), list(_SAID)
    found = [
        (order.index(roles[column]) if roles[column] in order else len(order), left, column, values)
        for column, kind in recommender.bundle.columns.items()
        if kind in ("category", "multi-category", "year") and column not in about
        for left, values in [expected_left(_lists(pool[column], kind))]
        if left <= LEFT and len(values) > 1
    ]
    if not found:
        return None
    _, _, column, values = min(found)
    role = roles[column]
    answers = [f"rated {value}" for value in values] if role == "certificate" else values
    listed = f"{', '.join(values[:-1])} or {values[-1]}"
    said = _SAID.get(role, f"Which {column.replace('_', ' ')}: {{values}}?")
    return Question(column=column, text=said.format(values=listed), answers=answers)


def is_clear(request: str, rules: Sequence[HeardRule]) -> bool:
    """Whether a request says what is wanted: several conditions, or telling words that are not in one."""
    known = words_of(" ".join(heard.words for heard in rules))
    return 2 * len(rules) + len(words_of(request) - known) >= CLEAR


def expected_left(lists: Sequence[Sequence[str]]) -> tuple[float, list[str]]:
    """The share of items that may be expected to be left when somebody who wants one of them says which of the `MOST`
    commonest values it has (one of them, by chance; or none), and these values. `lists`: the values of each item.
    """
    n = len(lists)
    counts = pl.Series([value for values in lists for value in set(values)], dtype=pl.String).value_counts(sort=True)
    common = [
        (str(value), count / n) for value, count in counts.head(MOST).iter_rows() if LEAST_SHARE <= count / n < 1
    ]
    shares = dict(common)
    none = sum(not shares.keys() & set(values) for values in lists) / n
    left = [
        float(np.mean([shares[value] for value in set(values) & shares.keys()]))
        if shares.keys() & set(values)
        else none
        for values in lists
    ]
    return float(np.mean(left)), list(shares)


def _lists(values: pl.Series, kind: str) -> list[list[str]]:
    """The values of each item; of a year its decade."""
    if kind == "year":
        return [[] if year is None else [f"{year // 10 * 10}s"] for year in values.to_list()]
    return [value if isinstance(value, list) else [] if value is None else [value] for value in values.to_list()]
