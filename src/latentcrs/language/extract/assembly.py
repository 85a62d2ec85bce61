"""From mentions to rules, wishes, and what is taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from latentcrs.data import ColumnKind
from latentcrs.data.rules import Operator, Rule
from latentcrs.language.extract.heard import Heard, HeardRule
from latentcrs.language.extract.mentions import Mention
from latentcrs.language.extract.tokens import Line

_OPPOSITE: dict[str, Operator] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_MOST_YEARS = 150
"""Years that a rule may list one by one."""


def assembled(line: Line, mentions: Sequence[Mention], columns: Mapping[str, ColumnKind]) -> Heard:
    """The predicates of `mentions` (in order, `chained` and the flags set)."""
    mentions = [mention for mention in mentions if not (mention.passed_over or _asked_for(mention, mentions))]
    rules: list[HeardRule] = []
    wishes: list[HeardRule] = []
    dropped: list[Rule] = []
    _between_columns(mentions)
    for group in _groups(mentions, columns):
        rule = _rule(group)
        if rule is None:
            continue
        if group[0].dropped:
            dropped.append(rule)
            continue
        heard = HeardRule(
            rule=rule,
            certainty=min(mention.certainty for mention in group),
            insisted=any(mention.firm for mention in group),
            words=line.said(group[0].start, group[-1].end if _adjoin(group) else group[0].end),
        )
        (wishes if all(mention.soft for mention in group) else rules).append(heard)
    hard = [found.rule for found in rules]
    return Heard(
        rules=_once(rules),
        wishes=_once(found for found in wishes if found.rule not in hard),
        dropped=distinct(dropped),
    )


def _asked_for(here: Mention, mentions: Sequence[Mention]) -> bool:
    """Whether what is denied here is asked for elsewhere: "a comedy, but no romantic comedy" denies romance."""
    return (
        here.negated
        and here.sort == "category"
        and any((other.column, other.values) == (here.column, here.values) and other.stands for other in mentions)
    )


def distinct(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """`rules` without repetitions, in order."""
    return tuple({str(rule.model_dump()): rule for rule in rules}.values())


def _once(found: Iterable[HeardRule]) -> tuple[HeardRule, ...]:
    """The first of every predicate."""
    out: dict[str, HeardRule] = {}
    for heard in found:
        out.setdefault(str(heard.rule.model_dump()), heard)
    return tuple(out.values())


def _between_columns(mentions: Sequence[Mention]) -> None:
    """ "A comedy or something from the 80s": no rule of one column says it, so each is a wish."""
    for before, here in pairwise(mentions):
        if here.chained == "or" and before.column != here.column and not (before.negated or before.dropped):
            before.soft = here.soft = True


def _alike(one: Mention, other: Mention) -> bool:
    return (
        one.column == other.column
        and one.sort == other.sort
        and one.negated == other.negated
        and one.dropped == other.dropped
    )


def _groups(mentions: Sequence[Mention], columns: Mapping[str, ColumnKind]) -> list[list[Mention]]:
    """Mentions that make one rule: alternatives, and all that is asked of a column with one value per item."""
    groups: list[list[Mention]] = []
    for run in _runs(_units(mentions, columns), columns):
        said = [mention for unit in run for mention in unit]
        years = said[0].sort == "year" and all(mention.op == "between" for mention in said)
        if columns.get(said[0].column) == "category" or years:
            groups.append(said)
        elif _either_or(run):
            groups.append(_without_compounds(run))
        else:
            groups += [[mention] for mention in said]
    return _one_value_each(groups, columns)


def _units(mentions: Sequence[Mention], columns: Mapping[str, ColumnKind]) -> list[list[Mention]]:
    """Mentions side by side that describe one thing: "romantic comedy"."""
    units: list[list[Mention]] = []
    for place, mention in enumerate(mentions):
        beside = mention.chained == "beside" and mention.sort == "category"
        if beside and _alike(mentions[place - 1], mention) and columns.get(mention.column) != "category":
            units[-1].append(mention)
        else:
            units.append([mention])
    return units


def _runs(units: Sequence[list[Mention]], columns: Mapping[str, ColumnKind]) -> list[list[list[Mention]]]:
    """Units that are said in one breath of one column."""
    runs: list[list[list[Mention]]] = []
    for unit in units:
        before = runs[-1] if runs else []
        joined = before and unit[0].chained in _joints(unit[0], before, columns) and _alike(before[-1][-1], unit[0])
        if joined and (unit[0].chained == "or" or unit[0].soft == before[-1][-1].soft):
            before.append(unit)
        else:
            runs.append([unit])
    return runs


def _joints(here: Mention, run: Sequence[Sequence[Mention]], columns: Mapping[str, ColumnKind]) -> tuple[str, ...]:
    if here.sort == "year":
        return ("or", ",", "and", "/") if here.op == "between" else ()
    if here.sort == "number":
        return ()
    if columns.get(here.column) == "category":
        return ("or", ",", "and", "/", "beside")
    return ("or", ",", "and", "/") if _is_taste(run) else ("or", ",")


def _is_taste(run: Sequence[Sequence[Mention]]) -> bool:
    """Whether it begins a list of tastes, of which one is enough: "I love westerns", "thrillers"."""
    return run[0][0].liked or run[0][-1].plural


def _either_or(run: Sequence[Sequence[Mention]]) -> bool:
    if len(run) == 1:
        return False
    return _is_taste(run) or run[-1][-1].listed or any(unit[0].chained == "or" for unit in run[1:])


def _without_compounds(run: Sequence[Sequence[Mention]]) -> list[Mention]:
    """All of `run` but units that another one takes in: comedies or romantic comedies are comedies."""
    alone = {unit[0].values for unit in run if len(unit) == 1}
    kept = [unit for unit in run if len(unit) == 1 or not any(mention.values in alone for mention in unit)]
    return [mention for unit in kept for mention in unit]


def _one_value_each(groups: list[list[Mention]], columns: Mapping[str, ColumnKind]) -> list[list[Mention]]:
    """Several values asked for of a column with one value per item can only be alternatives."""
    out: list[list[Mention]] = []
    asked: dict[str, list[Mention]] = {}
    for group in groups:
        first = group[0]
        if columns.get(first.column) != "category" or first.negated or first.dropped:
            out.append(group)
        elif first.column in asked and asked[first.column][0].soft == first.soft:
            asked[first.column] += group
        else:
            asked.setdefault(first.column, group)
            out.append(group)
    return out


def _adjoin(group: Sequence[Mention]) -> bool:
    return all(other.chained for other in group[1:])


def _rule(group: Sequence[Mention]) -> Rule | None:
    first = group[0]
    if first.sort in ("topic", "title"):
        words = _values(group)
        return Rule(
            column=first.column,
            op="not" if first.negated else "contains",
            value=words if len(words) > 1 or first.negated else words[0],
        )
    if first.sort == "category":
        return Rule(
            column=first.column, op="not" if first.negated and not first.settled else "has any", value=_values(group)
        )
    if first.op != "between":
        op: Operator = _OPPOSITE[first.op] if first.negated and not first.settled else first.op
        return Rule(column=first.column, op=op, value=first.low)
    if first.sort == "number":
        return None if first.negated else Rule(column=first.column, op="between", value=[first.low, first.high])
    return _years(group)


def _years(group: Sequence[Mention]) -> Rule | None:
    """One span of years; several as one where they touch, else as a list of years."""
    spans = sorted((int(mention.low), int(mention.high)) for mention in group)
    joined = [spans[0]]
    for low, high in spans[1:]:
        if low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    column = group[0].column
    if len(joined) == 1 and not group[0].negated:
        return Rule(column=column, op="between", value=[float(joined[0][0]), float(joined[0][1])])
    years = [float(year) for low, high in joined for year in range(low, high + 1)]
    if len(years) > _MOST_YEARS:
        return None
    return Rule(column=column, op="not" if group[0].negated else "is", value=years)


def _values(group: Sequence[Mention]) -> list[str]:
    return list(dict.fromkeys(value for mention in group for value in mention.values))
