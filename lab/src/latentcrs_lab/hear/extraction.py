"""How well an extractor hears: precision, recall and F1 of predicates against utterances labelled by hand."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentcrs.base.progress import step
from latentcrs.data import ColumnKind
from latentcrs.data.rules import ALWAYS_THERE, Rule
from latentcrs.evaluate.intervals import RESAMPLES
from latentcrs.evaluate.predicates import SAID, Predicate, Said, canonical
from latentcrs.hear import Extractor, Heard
from latentcrs.llm import ModelError
from latentcrs_lab.hear.utterances import Utterance


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


def _in_words(predicates: Iterable[Predicate]) -> tuple[str, ...]:
    return tuple(sorted(str(predicate) for predicate in predicates))
