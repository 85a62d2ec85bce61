"""Which rules are in force: new ones join, contradicted ones go, what is taken back is removed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from latentcrs.converse.session import Session
from latentcrs.data.rules import Rule
from latentcrs.errors import UserError
from latentcrs.language.extract import Heard, HeardRule
from latentcrs.recommend import Recommender
from latentcrs.recommend.explain import words_of


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


def update(recommender: Recommender, session: Session, heard: Heard, instead: bool = False) -> list[HeardRule]:
    """Put what was heard in force in `session`; returns the rules and wishes that were taken back or replaced.

    A later rule or wish replaces earlier ones on its column that it contradicts, with `instead` all of its column but
    exclusions. A rule in force that is taken back in its very form goes alone.
    """
    gone: list[HeardRule] = []
    heard = _as_insisted(session, heard)
    new = [*heard.rules, *heard.wishes]
    dropped = [rule for rule in heard.dropped if not any(rule == found.rule for found in _in_force(session))]
    exactly = [rule for rule in heard.dropped if rule not in dropped]

    def kept(old: Sequence[HeardRule]) -> list[HeardRule]:
        stay = []
        for found in old:
            back = found.rule in exactly or any(taken_back_by(recommender, found, rule) for rule in dropped)
            again = any(found.rule == other.rule for other in new)
            replaced = any(
                (instead and _replaces(other.rule, found.rule)) or contradict(recommender, other.rule, found.rule)
                for other in new
            )
            if back or replaced:
                gone.append(found)
            elif not again:
                stay.append(found)
        return stay

    session.rules = [*kept(session.rules), *heard.rules]
    session.wishes = [*kept(session.wishes), *heard.wishes]
    forget_words(session, gone)
    return gone


def forget_words(session: Session, gone: Sequence[HeardRule]) -> None:
    """Take the words that said these rules out of what was said: they must not go on asking for them."""
    for found in gone:
        if found.words.strip():
            words = r"\s+".join(map(re.escape, found.words.split()))
            pattern = re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)
            session.said = [" ".join(pattern.sub(" ", sentence).split()) for sentence in session.said]
    session.said = [sentence for sentence in session.said if words_of(sentence)]


def _in_force(session: Session) -> list[HeardRule]:
    return [*session.rules, *session.wishes]


def _as_insisted(session: Session, heard: Heard) -> Heard:
    """`heard`, where a rule that is said again stays insisted on if it was."""
    before = [found.rule for found in session.rules if found.insisted]
    rules = tuple(
        found.model_copy(update={"insisted": found.insisted or found.rule in before}) for found in heard.rules
    )
    return heard.model_copy(update={"rules": rules})


def _replaces(new: Rule, old: Rule) -> bool:
    """Whether `new`, said to hold instead, replaces `old`: on the same column, and not what was excluded there."""
    return new.column == old.column and (old.op != "not" or new.op == "not")


def _words_in(rule: Rule) -> set[str]:
    """The values of a rule on words, in lower case; empty for numbers."""
    values = rule.value if isinstance(rule.value, list) else [rule.value]
    return {value.lower() for value in values if isinstance(value, str)}
