"""Which rules are in force: new ones join, contradicted ones go, what is taken back is removed."""

from __future__ import annotations

from collections.abc import Sequence

from latentcrs.converse.session import Session
from latentcrs.data.rules import Rule
from latentcrs.errors import UserError
from latentcrs.language.extract import Heard, HeardRule
from latentcrs.recommend import Recommender


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
    """Whether taking back `dropped` removes the rule `found`: on the same column, and about the same items."""
    rule = found.rule
    if rule.column != dropped.column:
        return False
    try:
        there, gone = recommender.mask(rule), recommender.mask(dropped)
    except UserError:
        return False
    if (rule.op == "not") != (dropped.op == "not"):
        there = ~there  # "no horror", then "forget the horror"
    return bool((there & gone).any())


def update(recommender: Recommender, session: Session, heard: Heard, instead: bool = False) -> list[HeardRule]:
    """Put what was heard in force in `session`; returns the rules and wishes that were taken back or replaced.

    A later rule or wish replaces earlier ones on its column that it contradicts, with `instead` all of its column.
    """
    gone: list[HeardRule] = []
    new = [*heard.rules, *heard.wishes]

    def kept(old: Sequence[HeardRule]) -> list[HeardRule]:
        stay = []
        for found in old:
            back = any(taken_back_by(recommender, found, dropped) for dropped in heard.dropped)
            again = any(found.rule == other.rule for other in new)
            replaced = any(
                (instead and other.rule.column == found.rule.column)
                or contradict(recommender, other.rule, found.rule)
                for other in new
            )
            if back or replaced:
                gone.append(found)
            elif not again:
                stay.append(found)
        return stay

    session.rules = [*kept(session.rules), *heard.rules]
    session.wishes = [*kept(session.wishes), *heard.wishes]
    for found in gone:  # the words that said it must not go on asking for it
        if found.words:
            session.said = [sentence.replace(found.words, " ") for sentence in session.said]
    session.said = [" ".join(sentence.split()) for sentence in session.said if sentence.strip()]
    return gone
