"""What a turn does, by what was heard: which sort it is, whether items follow, and what becomes of the items
named."""

from latentcrs.converse.acts import Kind
from latentcrs.hear import Reading
from latentcrs.store.session import Session

JOINS: dict[str, str] = {
    "liked": "liked", "wants_similar": "liked", "seen": "seen", "disliked": "refused", "rejected": "refused",
    "accepted": "accepted",
}  # fmt: skip
"""Which list of the session an item joins, by the stance to it."""


TERSE = 5
"""Words up to which telling words are taken for a request, whatever the utterance may do."""
_NOTED: tuple[Kind, ...] = ("refused", "seen", "liked")
_TALK: dict[str, Kind] = {"greeting": "greeting", "thanks": "thanks", "other": "small talk"}


def kind_of(reading: Reading, session: Session, words: int) -> tuple[Kind, bool]:
    """The sort of an utterance of so many words, and whether a list follows. Unsure means that what was shown stands,
    unless something was heard that a list can answer.
    """
    first, sure, listed = reading.acts[0], set(reading.acts[: reading.sure]), bool(session.listed)
    asks = bool(reading.rules or reading.wishes or reading.dropped or reading.sort)
    asks = asks or any(title.stance == "wants_similar" for title in reading.titles)
    wants = asks or bool({"request", "more"} & sure)
    told = reading.needs or reading.denied
    tells = bool(told) and (words <= TERSE or not listed)
    if "question" in sure and not asks and (listed or reading.titles) and first not in ("request", "more"):
        return "question", False
    if reading.about and reading.titles and "question" in reading.acts and not asks:
        return "question", False  # "Heat sounds nice, who made it?"
    asked = [title for title in reading.titles if title.stance == "asked_about"]
    if not asks and any(not title.pointed or "question" in reading.acts for title in asked):
        return "question", False  # "do you have Top Gun?"
    stances = {JOINS.get(title.stance) for title in reading.titles} & set(_NOTED)
    if not wants and "accept" in sure and listed and not stances:
        return "accepted", False
    if first in _TALK and not wants and (first in sure or not tells):
        return _TALK[first], False
    if not wants and stances:
        kind = next(kind for kind in _NOTED if kind in stances)
        return kind, kind != "liked" or not all(title.pointed for title in reading.titles)
    objects = bool(reading.denied) and first == "reject"  # to something by its words, not to what was shown
    if first in ("seen", "reject") and not asks and listed and not objects and (first in sure or not tells):
        return ("seen" if first == "seen" else "refused"), True
    if first == "more" and listed:
        return "more", True
    telling = tells or first in ("request", "more") or (first in ("answer", "inform") and words <= TERSE)
    if listed and not wants and not reading.sure and not telling:
        return "unsure", False
    return "request", True


def meant(reading: Reading, kind: Kind, listed: int, it: int) -> tuple[int, ...]:
    """Places of the last list that an utterance speaks of without naming or pointing at one: "seen", "no"."""
    if reading.titles or reading.needs or reading.denied or not listed:
        return ()
    if kind in ("refused", "seen") and reading.sure:
        return tuple(range(listed))
    return (it,) if kind in ("accepted", "question", "why") else ()
