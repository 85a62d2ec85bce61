"""How well real people are heard: stance, titles, acts and what is in force, against messages labelled by hand.

Two kinds of file (JSON lines): single messages (`text`, `before`, `rules`, `mentions`, `act`), and dialogues
(`turns`, each of a "recommender" or a "seeker", the latter with what is `in_force` right after).
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.errors import UserError
from latentcrs.converse.bookkeeping import applicable, update
from latentcrs.data import ColumnKind
from latentcrs.data.rules import Rule
from latentcrs.evaluate.predicates import SAID, Predicate, canonical
from latentcrs.hear.hearer import Hearer as HeadHearer
from latentcrs.hear.reading import Context, Extractor, HeardRule, Reading
from latentcrs.llm import ModelError
from latentcrs.recommend.titles import TitleFinder
from latentcrs.store.session import Session

KINDS = {"rule": "rule", "wish": "wish", "taken back": "dropped"}
SAME_USE = {"wants_similar": "liked", "rejected": "disliked", "not_seen": "named"}
"""Stances of which the same is made: what is liked and what others are to be like joins the history, what is disliked
or rejected is left out."""


class Hearer(Protocol):
    """What is measured: reads an utterance in its context."""

    def read(self, utterance: str, context: Context) -> Reading:
        """What `utterance` says."""


class ExtractorHearer:
    """An extractor, a language model perhaps, as what is measured. failed: utterances that it gave no answer to."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor, self.failed = extractor, 0

    def read(self, utterance: str, context: Context) -> Reading:
        """What the extractor hears; nothing where it fails."""
        try:
            heard = self.extractor.extract(utterance, context)
        except ModelError:
            self.failed += 1
            return Reading()
        return Reading(**dict(heard))


@dataclass
class Tally:
    """Counts over one file; `figures` makes shares of them. confused: (labelled, heard) -> how often."""

    n: int = 0
    opposites: int = 0
    soft_opposites: int = 0
    uninvited: int = 0
    likings: int = 0  # of the uninvited: what was said was liked, not asked for
    labelled: int = 0
    heard: int = 0
    right: int = 0
    labelled_alike: int = 0  # rule and wish counted alike
    heard_alike: int = 0
    right_alike: int = 0
    titles: list[int] = field(default_factory=lambda: [0] * 4)  # labelled, noticed, right in use, exactly right
    pointed: list[int] = field(default_factory=lambda: [0, 0])  # "that one": labelled, with the right stance
    acts: list[int] = field(default_factory=lambda: [0, 0, 0])  # messages, right, acts heard
    state: list[int] = field(default_factory=lambda: [0, 0, 0])  # turns, equal, equal with rule and wish alike
    resets: list[int] = field(default_factory=lambda: [0, 0])  # turns to something new, with a stale rule
    confused: dict[str, Counter[tuple[str, str]]] = field(
        default_factory=lambda: {"stance": Counter(), "title": Counter(), "act": Counter()}
    )
    mistakes: list[tuple[str, str, str, str]] = field(default_factory=list)  # id, text, missing, extra

    def __add__(self, other: Tally) -> Tally:
        """The counts of both."""
        total = Tally()
        for name in self.__dataclass_fields__:
            one, two = getattr(self, name), getattr(other, name)
            if name == "confused":
                setattr(total, name, {key: one[key] + two[key] for key in one})
            else:
                setattr(total, name, one + two if isinstance(one, int) or name == "mistakes" else added(one, two))
        return total

    @property
    def figures(self) -> dict[str, float | int | None]:
        """The figures by name; None where the file has no labels for one."""
        per_100 = 100 / self.n if self.n else 0.0
        precision, recall, f1 = _prf(self.labelled, self.heard, self.right)
        *_, alike = _prf(self.labelled_alike, self.heard_alike, self.right_alike)
        return {
            "n": self.n,
            "opposites_per_100": self.opposites * per_100,
            "opposite_wishes_per_100": self.soft_opposites * per_100,
            "uninvited_per_100": self.uninvited * per_100,
            "likings_made_rules_per_100": self.likings * per_100,
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "f1_without_kind": alike,
            "titles": _share(self.titles[2], self.titles[0]),
            "titles_exactly": _share(self.titles[3], self.titles[0]),
            "titles_noticed": _share(self.titles[1], self.titles[0]),
            "pointed": _share(self.pointed[1], self.pointed[0]),
            "acts": _share(self.acts[1], self.acts[0]),
            "acts_each": _share(self.acts[2], self.acts[0]),
            "state": _share(self.state[1], self.state[0]),
            "state_without_kind": _share(self.state[2], self.state[0]),
            "stale_after_reset": self.resets[1] if self.resets[0] else None,
            "resets": self.resets[0] or None,
        }


THRESHOLDS = (0.3, 0.45, 0.6, 0.75, 0.9)
"""From which probability on a rule filters, for `trade_off`."""


class Masks:
    """Which items of a catalogue pass a rule: what bookkeeping needs of a recommender."""

    def __init__(self, items: pl.DataFrame, columns: Mapping[str, ColumnKind]) -> None:
        self.items, self.columns = items, columns
        self._known: dict[str, NDArray[np.bool_]] = {}

    def mask(self, rule: Rule) -> NDArray[np.bool_]:
        """Which items pass, (n,). Raises `UserError` as `Rule.expression` does."""
        key = rule.model_dump_json()
        if key not in self._known:
            self._known[key] = self.items.select(rule.expression(self.columns)).to_series().to_numpy()
        return self._known[key]


def read_labels(path: Path) -> list[dict[str, Any]]:
    """The lines of a labelled file.

    Raises:
        UserError: no such file, or a line that is neither a message nor a dialogue, with its number.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; labels are a file of JSON lines.")
    lines = []
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except ValueError as error:
            raise UserError(f"{path}, line {number} is not JSON ({error}).") from None
        if not isinstance(line, dict) or not ("turns" in line or ("text" in line and "rules" in line)):
            raise UserError(f"{path}, line {number} is neither a message (text, rules) nor a dialogue (turns).")
        lines.append(line)
    if not lines:
        raise UserError(f"{path} has no lines.")
    return lines


def dev_labels() -> list[Path]:
    """The labelled files of the `heard` folder that `LATENTCRS_DATA` points to.

    Raises:
        UserError: there are none.
    """
    folder = Path(os.environ.get("LATENTCRS_DATA") or "data") / "heard"
    files = sorted(folder.glob("*.dev.jsonl"), reverse=True)
    if not files:
        raise UserError(f"There are no labels in {folder}; name a file with --labels.")
    return files


def trade_off(hearer: HeadHearer, heard: Callable[[], Tally]) -> list[dict[str, float | int | None]]:
    """What the probability from which on a rule filters (`Hearer.hard`) buys and costs: opposites and uninvited
    filters per 100 messages, the share of the rules asked for that filter, and F1. heard: hears the messages anew.
    """
    rows, chosen = [], hearer.hard
    try:
        for threshold in THRESHOLDS:
            hearer.hard = threshold
            tally = heard()
            stances = tally.confused["stance"]
            asked = sum(count for (said, _), count in stances.items() if said == "rule")
            figures = {name: tally.figures[name] for name in ("opposites_per_100", "uninvited_per_100", "f1")}
            filter_share = _share(stances["rule", "rule"], asked)
            rows.append({"threshold": threshold, **figures, "rules_that_filter": filter_share})
    finally:
        hearer.hard = chosen
    return rows


def figures_of(tallies: Mapping[str, Tally]) -> dict[str, Any]:
    """The figures that the labels allow. Of several files each has its own under "files", and the first that allows a
    figure gives it: single messages rules, dialogues the state; titles and acts are counted over all of them.
    """
    figures: dict[str, Any] = {}
    total = Tally()
    for tally in tallies.values():
        total = total + tally
        for name, value in tally.figures.items():
            if value is not None:
                figures.setdefault(name, value)
    both = total.figures
    for name in ("n", "titles", "titles_exactly", "titles_noticed", "pointed", "acts", "acts_each"):
        if both[name] is not None:
            figures[name] = both[name]
    if len(tallies) > 1:
        figures["files"] = {
            file: {name: value for name, value in tally.figures.items() if value is not None}
            for file, tally in tallies.items()
        }
    return figures


def evaluate_heard(
    hearer: Hearer, items: pl.DataFrame, columns: Mapping[str, ColumnKind], lines: Sequence[dict[str, Any]]
) -> Tally:
    """Let `hearer` hear every message of labelled `lines`, and every dialogue turn by turn."""
    years: list[int | None] = items["year"].to_list() if "year" in items.columns else [None] * len(items)
    judge = _Judge(columns, TitleFinder(items["title"].to_list(), years, [1.0] * len(items)), Masks(items, columns))
    for line in lines:
        if "turns" in line:
            judge.dialogue(hearer, line)
        else:
            judge.message(hearer, line)
    return judge.tally


class _Judge:
    def __init__(self, columns: Mapping[str, ColumnKind], finder: TitleFinder, masks: Masks) -> None:
        self.columns, self.finder, self.masks, self.tally = columns, finder, masks, Tally()

    def message(self, hearer: Hearer, line: Mapping[str, Any]) -> None:
        """One message, alone."""
        tally, text = self.tally, line["text"]
        said_before = line.get("said_before_by_recommender", "")
        listed = [n for title in line.get("recommender_named", ()) for n in self.finder.index.named(title)[:1]]
        reading = hearer.read(
            text, Context(listed=tuple(listed), reply=said_before, before=tuple(line.get("before", ())))
        )
        wanted = self._labelled(line["rules"])
        heard = self._heard(reading)
        for predicate in self._compared(heard, wanted)[1]:
            tally.uninvited += 1
            tally.likings += any(_meets(predicate, w) for w in wanted)
        self._count(wanted, heard)
        for one in wanted | heard:
            labelled = next((w.said for w in wanted if _meets(w, one)), "nothing")
            found = next((h.said for h in heard if _meets(h, one)), "nothing")
            tally.confused["stance"][labelled, found] += 1
        self._titles(line.get("mentions", ()), reading, text)
        self._act(line.get("act"), reading)
        if wanted != heard:
            tally.mistakes.append((line.get("id", ""), text, _words(wanted - heard), _words(heard - wanted)))

    def dialogue(self, hearer: Hearer, line: Mapping[str, Any]) -> None:
        """One dialogue, from its beginning."""
        tally, session, reply = self.tally, Session(), ""
        listed: list[int] = []
        before: list[str] = []
        old: frozenset[Predicate] = frozenset()
        for turn in line["turns"]:
            text = turn["text"]
            if turn["role"] != "seeker":
                named = [n for title in turn.get("titles", ()) for n in self.finder.index.named(title)[:1]]
                reply, listed = text, named or listed
                continue
            asking = bool(session.rules or session.wishes)
            context = Context(listed=tuple(listed), reply=reply, before=tuple(before), asking=asking)
            reading = hearer.read(text, context)
            heard, _ = applicable(self.masks, reading)  # type: ignore[arg-type]
            update(self.masks, session, heard)  # type: ignore[arg-type]
            before.append(text)
            force = turn["in_force"]
            wanted = self._labelled([*force["rules"]], "rule") | self._labelled([*force["wishes"]], "wish")
            now = self._predicates("rule", session.rules) | self._predicates("wish", session.wishes)
            tally.state = added(tally.state, (1, now == wanted, _alike(now) == _alike(wanted)))
            rules, bad = self._compared(now, wanted)
            tally.uninvited += bool(bad)
            tally.likings += bool(bad) and all(any(_meets(p, w) for w in wanted) for p in bad)
            if turn.get("reset"):
                stale = any(any(_meets(p, o) for o in old) and not any(_meets(p, w) for w in wanted) for p in rules)
                tally.resets = added(tally.resets, (1, stale))
            old = now
            self._titles(turn.get("mentions", ()), reading, text)
            self._act(turn.get("act"), reading)
            if now != wanted:
                tally.mistakes.append((line.get("id", ""), text, _words(wanted - now), _words(now - wanted)))

    def _compared(
        self, heard: Iterable[Predicate], wanted: frozenset[Predicate]
    ) -> tuple[list[Predicate], list[Predicate]]:
        """Count one utterance, and opposites in it; the rules that were heard, and those nobody asked for."""
        tally, rules = self.tally, [p for p in heard if p.said == "rule"]
        tally.n += 1
        tally.opposites += any(_opposed(p, wanted) for p in rules)
        tally.soft_opposites += any(_opposed(p, wanted) for p in heard if p.said == "wish")
        return rules, [p for p in rules if not any(w.said == "rule" and _meets(p, w) for w in wanted)]

    def _labelled(self, rules: Iterable[Mapping[str, Any]], kind: str = "") -> frozenset[Predicate]:
        found: set[Predicate] = set()
        for label in rules:
            rule = Rule(column=label["column"], op=label["op"], value=label["value"])
            found |= canonical(rule, self.columns, KINDS[label.get("kind", kind)])  # type: ignore[arg-type]
        return frozenset(found)

    def _predicates(self, said: str, rules: Iterable[HeardRule]) -> frozenset[Predicate]:
        return frozenset(p for one in rules for p in canonical(one.rule, self.columns, said))  # type: ignore[arg-type]

    def _heard(self, reading: Reading) -> frozenset[Predicate]:
        dropped = [HeardRule(rule=rule) for rule in reading.dropped]
        groups = zip(SAID, (reading.rules, reading.wishes, dropped), strict=True)
        return frozenset(p for said, rules in groups for p in self._predicates(said, rules))

    def _count(self, wanted: frozenset[Predicate], heard: frozenset[Predicate]) -> None:
        tally = self.tally
        tally.labelled, tally.heard = tally.labelled + len(wanted), tally.heard + len(heard)
        tally.right += len(wanted & heard)
        one, other = _alike(wanted), _alike(heard)
        tally.labelled_alike, tally.heard_alike = tally.labelled_alike + len(one), tally.heard_alike + len(other)
        tally.right_alike += len(one & other)

    def _titles(self, mentions: Iterable[Mapping[str, str]], reading: Reading, text: str) -> None:
        for mention in mentions:
            numbers = self.finder.index.named(mention["title"])
            if not numbers:
                continue
            bare = re.sub(r"\s*\(\d{4}\)\s*$", "", mention["title"]).lower()
            in_text = bare in text.lower()
            found = next((t for t in reading.titles if t.number in numbers), None)
            said = mention["stance"]
            exactly = found is not None and found.stance == said
            right = found is not None and SAME_USE.get(found.stance, found.stance) == SAME_USE.get(said, said)
            if in_text:
                self.tally.titles = added(self.tally.titles, (1, found is not None, right, exactly))
            else:
                self.tally.pointed = added(self.tally.pointed, (1, right))
            heard = found.stance if found else "not noticed"
            self.tally.confused["title"][mention["stance"], heard if in_text else f"{heard} (pointed at)"] += 1

    def _act(self, act: str | None, reading: Reading) -> None:
        if act is None:
            return
        right = act in reading.acts
        self.tally.acts = added(self.tally.acts, (1, right, len(reading.acts)))
        self.tally.confused["act"][act, act if right else "+".join(reading.acts)] += 1


def added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """Two rows of counts as one."""
    return [a + b for a, b in zip(one, other, strict=True)]


def _alike(predicates: Iterable[Predicate]) -> frozenset[Predicate]:
    """Predicates with rule and wish counted alike."""
    return frozenset(replace(p, said="rule") if p.said == "wish" else p for p in predicates)


def overlap(one: Predicate, other: Predicate) -> bool:
    """Whether two predicates speak of some of the same values of one column."""
    if one.column != other.column:
        return False
    pairs = [(a, b) for a in one.values for b in other.values if isinstance(a, tuple) and isinstance(b, tuple)]
    return any(a[0] <= b[1] and b[0] <= a[1] for a, b in pairs) or bool({*one.values} & {*other.values})


def _meets(one: Predicate, other: Predicate) -> bool:
    """Whether two predicates want, or refuse, some of the same."""
    return (one.test == "not") == (other.test == "not") and overlap(one, other)


def _opposed(heard: Predicate, labelled: Iterable[Predicate]) -> bool:
    """Whether what was heard is the reverse of what was said: wanted for refused, or the other way round."""
    labelled = list(labelled)
    if any(_meets(heard, w) for w in labelled if w.said != "dropped"):
        return False
    return any(
        overlap(heard, w) and ((heard.test == "not") != (w.test == "not") or w.said == "dropped") for w in labelled
    )


def _prf(labelled: int, heard: int, right: int) -> tuple[float | None, float | None, float | None]:
    if not labelled and not heard:
        return None, None, None
    return _share(right, heard) or 0.0, _share(right, labelled) or 0.0, 2 * right / (heard + labelled)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _words(predicates: Iterable[Predicate]) -> str:
    return "; ".join(sorted(map(str, predicates)))
