"""Which rules are in force: new ones join, contradicted ones go, what is taken back is removed."""

from collections.abc import Sequence

import numpy as np

from latentcrs.base.errors import UserError
from latentcrs.data.roles import roles_of
from latentcrs.data.rules import Rule
from latentcrs.hear import Heard, HeardRule, Reading
from latentcrs.hear.gazetteer import PEOPLE
from latentcrs.recommend import Recommender
from latentcrs.recommend.explain import words_of
from latentcrs.store.session import Session, without

OFTEN = 0.3
"""The part of the catalogue from which on words that are denied tell nothing."""
ALONG = 4.0
"""So many times as common a value is among what passes the rules before it is taken for a closer description."""
HANDFUL = 5
"""Items that must pass all rules; else older ones only rank."""
MOST_IN_FORCE = 100
"""Rules and wishes of one conversation."""


def applicable(recommender: Recommender, heard: Heard) -> tuple[Heard, list[str]]:
    """`heard` without the rules and wishes that the catalogue cannot apply, and those in words: a column it does not
    have, an operator or a value that does not fit, a value that no item has.
    """
    refused: list[str] = list(heard.unknown)

    def fits(found: HeardRule) -> bool:
        try:
            usable = bool(recommender.mask(found.rule).any())
        except UserError:
            usable = False
        if not usable:
            refused.append(found.words or str(found.rule))
        return usable

    rules, wishes = tuple(filter(fits, heard.rules)), tuple(filter(fits, heard.wishes))
    return heard.model_copy(update={"rules": rules, "wishes": wishes}), list(dict.fromkeys(refused))


def wished_away(recommender: Recommender, reading: Reading) -> list[HeardRule]:
    """What was denied in words that no column says and some texts do ("no dogs"), as wishes; of words that are in no
    text, or in many, there is none.
    """
    found = []
    for words in filter(recommender.tells, reading.unwanted):
        rule = Rule(column="text", op="not", value=words)
        if 0 < 1 - recommender.mask(rule).mean() < OFTEN:
            said = next((phrase for phrase in reading.denied if words in phrase), words)
            found.append(HeardRule(rule=rule, certainty=0.5, words=said))
    return found


def contradict(recommender: Recommender, one: Rule, other: Rule) -> bool:
    """Whether two rules on one column pass no item together."""
    return one.column == other.column and not (recommender.mask(one) & recommender.mask(other)).any()


def taken_back_by(recommender: Recommender, found: HeardRule, dropped: Rule) -> bool:
    """Whether taking back `dropped` removes the rule `found`: on the same column, and about the same values; of
    numbers and years, about the same items.
    """
    rule = found.rule
    if rule.column != dropped.column:
        return False
    values, gone_values = _words_in(rule), _words_in(dropped)
    if values and gone_values:
        return bool(values & gone_values)
    try:
        there, gone = recommender.mask(rule), recommender.mask(dropped)
    except UserError:
        return False
    if (rule.op == "not") != (dropped.op == "not"):
        there = ~there  # "no horror", then "forget the horror"
    return bool((there & gone).any())


def update(recommender: Recommender, session: Session, heard: Heard) -> list[HeardRule]:
    """Put what was heard in force in `session`; returns the rules and wishes that are in force no longer.

    - A turn to something new (`Heard.continues`) ends what was asked for, unless it only says it again or refuses;
    people and words that were refused stay refused.
    - What is taken back goes; in its very form it goes alone.
    - What contradicts a later rule or wish goes. A correction replaces what was asked of its column, exclusions
    apart; of numbers, what bounds the same end ("before 2000" narrows "after 1990").
    - A rule that is now only liked stays a rule.
    - Where fewer than `HANDFUL` items would pass, older rules become wishes.
    """
    turns = heard.continues
    gone: list[HeardRule] = []
    heard = _as_insisted(session, heard)
    before = [*session.rules, *session.wishes]
    new = [*heard.rules, *heard.wishes]
    if turns == "turns" and before and _is_new(before, heard) and not _goes_along(recommender, session, heard):
        # Whom and what somebody cannot stand they cannot stand in something new either.
        roles = roles_of({found.rule.column: "category" for found in before})
        tastes = [f for f in before if f.rule.column == "text" or roles.get(f.rule.column) in PEOPLE]
        stands = [found for found in tastes if found.rule.op == "not"]
        gone, session.said = [found for found in before if found not in stands], []
        session.rules = [found for found in session.rules if found in stands]
        session.wishes = [found for found in session.wishes if found in stands]
    wished = session.wishes
    dropped = [rule for rule in heard.dropped if not any(rule == found.rule for found in _in_force(session))]
    exactly = [rule for rule in heard.dropped if rule not in dropped]

    def kept(old: Sequence[HeardRule]) -> list[HeardRule]:
        stay = []
        for found in old:
            back = found.rule in exactly or any(taken_back_by(recommender, found, rule) for rule in dropped)
            replaced = any(contradict(recommender, other.rule, found.rule) for other in new)
            replaced |= found in wished and any(_turns_round(other.rule, found.rule) for other in heard.wishes)
            if turns == "corrects":
                replaced |= any(_replaces(other.rule, found.rule) for other in heard.rules)
            again = any(found.rule == other.rule for other in heard.rules)
            if back or (replaced and not again):
                gone.append(found)
            elif not again:
                stay.append(found)
        return stay

    session.rules = [*kept(session.rules), *heard.rules]
    soft = [found for found in heard.wishes if not any(found.rule == other.rule for other in session.rules)]
    session.wishes = [found for found in kept(session.wishes) if not any(found.rule == other.rule for other in soft)]
    session.wishes += soft
    _soften(recommender, session, len(heard.rules))
    # However many are said in the course of time, a turn considers so many; the oldest go, and are named.
    while len(session.rules) + len(session.wishes) > MOST_IN_FORCE:
        gone.append((session.wishes or session.rules).pop(0))
    forget_words(session, gone)
    return gone


def _turns_round(one: Rule, other: Rule) -> bool:
    """Whether a wish for more of a number follows one for less, or the other way round."""
    return one.column == other.column and {one.op, other.op} == {"<", ">"}


def _goes_along(recommender: Recommender, session: Session, heard: Heard) -> bool:
    """Whether all that is asked for is far commoner among what passes the rules in force than elsewhere ("something
    animated" after what is for children): who asks for it narrows down.
    """
    asked = [recommender.mask(found.rule) for found in heard.rules if found.rule.op != "not"]
    held = [recommender.mask(found.rule) for found in session.rules]
    passing = np.logical_and.reduce(held) if held and asked else np.zeros(0, bool)
    return bool(passing.any()) and all(new[passing].mean() >= ALONG * new.mean() for new in asked)


def _is_new(before: Sequence[HeardRule], heard: Heard) -> bool:
    """Whether what was heard asks for something else than what is in force: not the same value once more."""
    asked = [found.rule for found in heard.rules if found.rule.op != "not"]
    if heard.rules and not asked and not heard.wishes:
        return False
    return not any(
        rule.column == old.rule.column and (_words_in(rule) & _words_in(old.rule) or rule == old.rule)
        for rule in asked
        for old in before
        if old.rule.op != "not"
    )


def _soften(recommender: Recommender, session: Session, new: int) -> None:
    """Make older rules wishes while fewer than `HANDFUL` items pass them all;
    what was said last or insisted on stays."""
    small = len(session.rules) > 1 and len(recommender.mask(session.rules[0].rule)) < 20 * HANDFUL
    while len(session.rules) > max(new, 1) and not small:
        masks = [recommender.mask(found.rule) for found in session.rules]
        if np.logical_and.reduce(masks).sum() >= HANDFUL:
            return
        old = next((n for n in range(len(session.rules) - new) if not session.rules[n].insisted), None)
        if old is None:
            return
        session.wishes.append(session.rules.pop(old))


def forget_words(session: Session, gone: Sequence[HeardRule]) -> None:
    """Take the words that said these rules out of what was said: they must not go on asking for them."""
    session.said = [
        sentence for sentence in without(session.said, [found.words for found in gone]) if words_of(sentence)
    ]


def _in_force(session: Session) -> list[HeardRule]:
    return [*session.rules, *session.wishes]


def _as_insisted(session: Session, heard: Heard) -> Heard:
    """`heard`, where a rule that is said again stays insisted on if it was."""
    before = [found.rule for found in session.rules if found.insisted]
    rules = tuple(
        found.model_copy(update={"insisted": found.insisted or found.rule in before}) for found in heard.rules
    )
    return heard.model_copy(update={"rules": rules})


_ENDS = {"<": "above", "<=": "above", ">": "below", ">=": "below"}


def _replaces(new: Rule, old: Rule) -> bool:
    """Whether a correction `new` replaces `old`: both ask for something of one column, and it bounds no other end."""
    ends = _ENDS.get(new.op), _ENDS.get(old.op)
    return new.column == old.column and "not" not in (new.op, old.op) and (ends[0] is None or ends[0] == ends[1])


def _words_in(rule: Rule) -> set[str]:
    """The values of a rule on words, in lower case; empty for numbers."""
    values = rule.value if isinstance(rule.value, list) else [rule.value]
    return {value.lower() for value in values if isinstance(value, str)}
