"""From mentions whose stance is known to rules, wishes and what is taken back: what belongs together is one rule."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentcrs.data.rules import Rule
from latentcrs.hear.language import Line, word_set
from latentcrs.hear.reading import HeardRule

HARD_NOT = 0.5
"""What is refused filters from this probability on, else it is a wish: see `hearer.HARD`."""


@dataclass
class ValueMention:
    """One mention of a value or number: which words (last: behind), as which rules it would be in force, how it is
    meant.

    opposite: the words say the contrary of the value. assumed: a number whose column nobody named. whole: a column by
    its name, as all that it may say. pointed: the value was not named but pointed at. wished: it is a wish,
    however it is said.
    """

    first: int
    last: int
    rules: list[Rule]
    opposite: bool
    certainty: float
    assumed: bool = False
    whole: bool = False
    pointed: bool = False
    wished: bool = False
    stance: str = "mentioned"
    p: float = 1.0
    insisted: bool = False


Triple = tuple[tuple[HeardRule, ...], tuple[HeardRule, ...], tuple[Rule, ...]]


def assembled(line: Line, spoken: Sequence[ValueMention], language: str, half: bool) -> Triple:
    """Rules, wishes and what is taken back, of mentions whose stance is known: what belongs together is one rule."""
    groups: list[list[ValueMention]] = []
    for one in spoken:
        if one.stance == "mentioned":
            continue
        last = groups[-1][-1] if groups else None
        if last is not None and last.stance == one.stance and _either(line, last, one, language):
            groups[-1].append(one)
        else:
            groups.append([one])
    rules, wishes, dropped = list[HeardRule](), list[HeardRule](), list[Rule]()
    for group in groups:
        stance = group[0].stance
        certainty = min(one.certainty for one in group) * min(1.0, float(np.mean([one.p for one in group])) + 0.1)
        said = line.said(group[0].first, group[-1].last)
        for rule in _joined([one.rules for one in group]):
            refused = (stance == "refused") != group[0].opposite
            meant = _denied(rule) if refused else rule
            insisted = any(one.insisted for one in group)
            heard = HeardRule(rule=meant, certainty=round(min(certainty, 1.0), 3), insisted=insisted, words=said)
            if stance == "dropped":
                dropped.append(rule)
            elif half or stance == "wish" or (stance == "refused" and group[0].p < HARD_NOT):
                wishes.append(heard)
            else:
                rules.append(heard)
    rules = _once(rules)
    wishes = [heard for heard in _once(wishes) if not any(heard.rule == other.rule for other in rules)]
    kept = [rule for n, rule in enumerate(dropped) if rule not in dropped[:n]]
    return tuple(rules), tuple(wishes), tuple(kept)


def _once(heard: Sequence[HeardRule]) -> list[HeardRule]:
    """Without those whose rule stands before."""
    return [one for n, one in enumerate(heard) if not any(one.rule == other.rule for other in heard[:n])]


def _either(line: Line, one: ValueMention, other: ValueMention, language: str) -> bool:
    """Whether two mentions beside each other are alternatives on one column: "action or comedy", "I like A and B"."""
    if len(one.rules) > 1 or len(other.rules) > 1 or one.rules[0].column != other.rules[0].column:
        return False
    between = [
        t.word for t in line.tokens[one.last : other.first] if t.word not in ("a", "an", "the", "maybe", "some")
    ]
    if not between:
        return False
    either = word_set(language, "either")
    if all(word in either or word in (",", "/") for word in between):
        return True
    plural = line.tokens[one.last - 1].word.endswith("s") and line.tokens[other.last - 1].word.endswith("s")
    both = all(word in ("and", ",", "und", "y", "et") for word in between)
    return both and (one.stance != "rule" or plural)


def _joined(groups: Sequence[Sequence[Rule]]) -> list[Rule]:
    """The rules of alternatives as one rule; of a single mention, as they are."""
    if len(groups) == 1:
        return list(groups[0])
    first = groups[0][0]
    if first.op == "has any":
        values = [
            str(v)
            for rules in groups
            for v in (rules[0].value if isinstance(rules[0].value, list) else [rules[0].value])
        ]
        return [Rule(column=first.column, op="has any", value=list(dict.fromkeys(values)))]
    spans = [rules[0].value for rules in groups if rules[0].op == "between"]
    if len(spans) == len(groups):
        ends = [float(v) for span in spans if isinstance(span, list) for v in span]
        return [Rule(column=first.column, op="between", value=[min(ends), max(ends)])]
    return [rule for rules in groups for rule in rules]


_REVERSED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def _denied(rule: Rule) -> Rule:
    """The rule that passes what `rule` does not."""
    if rule.op in _REVERSED:
        return Rule(column=rule.column, op=_REVERSED[rule.op], value=rule.value)
    if rule.op == "between" and isinstance(rule.value, list):
        low, high = sorted(float(v) for v in rule.value)
        return Rule(column=rule.column, op="not", value=[float(n) for n in range(int(low), int(high) + 1)])
    if rule.op == "not":
        return Rule(column=rule.column, op="has any", value=rule.value)
    return Rule(column=rule.column, op="not", value=rule.value)
