"""How well an extractor hears: precision, recall and F1 of predicates against utterances labelled by hand."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from latentcrs.base.progress import step
from latentcrs.data import ColumnKind
from latentcrs.data.rules import ALWAYS_THERE, Rule
from latentcrs.evaluate.intervals import RESAMPLES
from latentcrs.evaluate.utterances import Utterance
from latentcrs.hear import Extractor, Heard
from latentcrs.llm import ModelError

Said = Literal["rule", "wish", "dropped"]
SAID: tuple[Said, ...] = ("rule", "wish", "dropped")
Range = tuple[float, float]


@dataclass(frozen=True, order=True)
class Predicate:
    """One thing said about a column, in a form that is equal wherever the meaning is.

    said: whether it filters, ranks or is taken back. values: lowered words; or closed ranges of whole years, endless
    ones with an infinite end; or numbers as they are.
    """

    said: Said
    column: str
    test: str  # any, not, contains, in, or the operator of a number
    values: tuple[Any, ...]

    def __str__(self) -> str:
        """E.g. "wish year in 1990..1999"."""
        shown = [_range_in_words(value) if isinstance(value, tuple) else str(value) for value in self.values]
        return f"{self.said} {self.column} {self.test} {' | '.join(shown)}"


@dataclass(frozen=True)
class Figures:
    """Precision, recall and F1 of some predicates over a set, with 95% intervals over utterances where computed."""

    labelled: int
    heard: int
    right: int
    precision: float
    recall: float
    f1: float
    ci95: dict[str, tuple[float, float]]  # precision, recall, f1


@dataclass(frozen=True)
class Mistake:
    """An utterance that was not heard exactly as it is labelled: what was not heard, and what was not said."""

    id: str
    text: str
    missing: tuple[str, ...]
    extra: tuple[str, ...]


@dataclass(frozen=True)
class ExtractionResult:
    """How one extractor did on one set."""

    extractor: str
    n: int
    all: Figures
    said: dict[str, Figures]  # rule, wish, dropped
    columns: dict[str, Figures]  # without intervals
    exact: float  # share of utterances with every predicate right and none too many
    exact_ci95: tuple[float, float]
    unknown: dict[str, int]  # utterances: labelled with an unknown condition, of those noticed, others alarmed about
    milliseconds: float  # mean per utterance
    failed: int  # utterances for which a language model gave no usable answer: nothing was heard
    mistakes: list[Mistake]

    def as_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return asdict(self)


def evaluate_extraction(
    extractor: Extractor, utterances: Sequence[Utterance], columns: Mapping[str, ColumnKind]
) -> ExtractionResult:
    """Let `extractor` hear every one of `utterances`, and compare with the labels as `Predicate`s.

    Unknown conditions are in the user's words and cannot be compared as such: of them it is only counted in how many
    utterances one was noticed. A share of nothing is 0.
    """
    labelled, heard, unknown = [], [], {"labelled": 0, "noticed": 0, "alarmed": 0}
    seconds, failed = 0.0, 0
    with step("hearing", len(utterances)) as bar:
        for utterance in utterances:
            began = time.perf_counter()
            try:
                found = extractor.extract(utterance.text, utterance.before)
            except ModelError:
                found, failed = Heard(), failed + 1
            seconds += time.perf_counter() - began
            bar.advance()
            labelled.append(
                _canonical_all(
                    zip(SAID, (utterance.rules, utterance.wishes, utterance.dropped), strict=True), columns
                )
            )
            heard.append(_canonical_all(zip(SAID, _rules_of(found), strict=True), columns))
            unknown["labelled"] += bool(utterance.unknown)
            unknown["noticed"] += bool(utterance.unknown and found.unknown)
            unknown["alarmed"] += bool(found.unknown and not utterance.unknown)
    mistakes = [
        Mistake(utterance.id, utterance.text, _in_words(wanted - got), _in_words(got - wanted))
        for utterance, wanted, got in zip(utterances, labelled, heard, strict=True)
        if wanted != got
    ]
    exact = np.array([[wanted == got] for wanted, got in zip(labelled, heard, strict=True)], np.float64)
    low, high = np.percentile(_resampled(exact) / len(utterances), [2.5, 97.5])
    used = {predicate.column for predicates in labelled + heard for predicate in predicates}
    return ExtractionResult(
        extractor=extractor.name,
        n=len(utterances),
        all=_figures(labelled, heard),
        said={said: _figures(_only(labelled, said=said), _only(heard, said=said)) for said in SAID},
        columns={
            column: _figures(_only(labelled, column=column), _only(heard, column=column), intervals=False)
            for column in (*columns, *ALWAYS_THERE)
            if column in used
        },
        exact=float(exact.mean()),
        exact_ci95=(float(low), float(high)),
        unknown=unknown,
        milliseconds=seconds / len(utterances) * 1000,
        failed=failed,
        mistakes=mistakes,
    )


def canonical(rule: Rule, columns: Mapping[str, ColumnKind], said: Said = "rule") -> frozenset[Predicate]:
    """The predicates that a rule amounts to: one, or one for each value where all must hold or none may.

    Texts are one: the title, the text and text columns are compared as "text".
    """
    kind: str = "text" if rule.column in ALWAYS_THERE else columns.get(rule.column, "category")
    values: Sequence[str | float] = rule.value if isinstance(rule.value, list) else [rule.value]
    if kind in ("year", "number"):
        numbers = sorted({float(value) for value in values})
        if kind == "number":
            return frozenset({Predicate(said, rule.column, rule.op, tuple(numbers))})
        test = "not" if rule.op == "not" else "in"
        return frozenset({Predicate(said, rule.column, test, _years(rule.op, numbers))})
    words = {str(value).lower() for value in values}
    if kind == "text":
        column, test = "text", rule.op
        words = {word.removesuffix("s") or word for word in words} if rule.op in ("contains", "not") else words
    else:
        column = rule.column
        every = rule.op == "has all" or (rule.op == "is" and kind == "multi-category")
        if every:
            return frozenset(Predicate(said, column, "any", (word,)) for word in words)
        test = "any" if rule.op in ("is", "has any") else rule.op
    if test == "not":
        return frozenset(Predicate(said, column, test, (word,)) for word in words)
    return frozenset({Predicate(said, column, test, tuple(sorted(words)))})


def _years(op: str, values: list[float]) -> tuple[Range, ...]:
    """The whole years that pass (for `not`: that do not), as closed ranges without neighbours. values: ascending."""
    first = values[0]
    if op == "between":
        return ((math.ceil(first), math.floor(values[-1])),)
    if op in ("<", "<="):
        return ((-math.inf, math.floor(first) if op == "<=" else math.ceil(first) - 1),)
    if op in (">", ">="):
        return ((math.ceil(first) if op == ">=" else math.floor(first) + 1, math.inf),)
    ranges: list[Range] = []
    for year in values:
        if ranges and year == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], year)
        else:
            ranges.append((year, year))
    return tuple(ranges)


def _canonical_all(
    said: Iterable[tuple[Said, Iterable[Rule]]], columns: Mapping[str, ColumnKind]
) -> frozenset[Predicate]:
    return frozenset(
        predicate for how, rules in said for rule in rules for predicate in canonical(rule, columns, how)
    )


def _rules_of(heard: Heard) -> tuple[Iterable[Rule], Iterable[Rule], Iterable[Rule]]:
    return [one.rule for one in heard.rules], [one.rule for one in heard.wishes], heard.dropped


def _only(
    side: list[frozenset[Predicate]], said: str | None = None, column: str | None = None
) -> list[frozenset[Predicate]]:
    """`side` less the predicates that are said in another way or about another column."""
    return [
        frozenset(one for one in predicates if said in (None, one.said) and column in (None, one.column))
        for predicates in side
    ]


def _figures(
    labelled: list[frozenset[Predicate]], heard: list[frozenset[Predicate]], intervals: bool = True
) -> Figures:
    tallies = np.array(
        [(len(wanted), len(got), len(wanted & got)) for wanted, got in zip(labelled, heard, strict=True)], np.float64
    )
    totals = tallies.sum(axis=0)
    precision, recall, f1 = _shares(totals[None])[0]
    bounds = np.percentile(_shares(_resampled(tallies)), [2.5, 97.5], axis=0).T if intervals else np.empty((0, 2))
    return Figures(
        labelled=int(totals[0]),
        heard=int(totals[1]),
        right=int(totals[2]),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        ci95={
            name: (float(low), float(high))
            for name, (low, high) in zip(("precision", "recall", "f1"), bounds, strict=False)
        },
    )


def _resampled(tallies: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Sums over utterances (n, m), each drawn anew with replacement: (RESAMPLES, m)."""
    n = len(tallies)
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES) @ tallies


def _shares(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Precision, recall and F1, (B, 3), of the sums labelled, heard and right, (B, 3)."""
    labelled, heard, right = totals.T
    over = np.stack([heard, labelled, (heard + labelled) / 2], axis=1)
    return np.divide(right[:, None], over, out=np.zeros_like(over), where=over > 0)


def _range_in_words(years: Range) -> str:
    low, high = ("" if math.isinf(year) else f"{year:g}" for year in years)
    return low if low == high else f"{low}..{high}"


def _in_words(predicates: Iterable[Predicate]) -> tuple[str, ...]:
    return tuple(sorted(str(predicate) for predicate in predicates))
