"""A conversation out of the store: opened with the catalogue as it stands and what its user did since; its turns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latentcrs.converse.conversation import Conversation
from latentcrs.converse.open import fits
from latentcrs.hear.open import Extractors
from latentcrs.serve.errors import Conflict, NotFound
from latentcrs.store.session import Turn

if TYPE_CHECKING:
    from latentcrs.serve.service import Service

RECENT = 10
"""Turns whose reasons are remembered."""


def as_it_stands(service: Service, owner: str, id: str, found: Conversation | None) -> Conversation:
    """The conversation as it stands in the store; `found` is what is in memory of it.

    Raises:
        NotFound: this owner has no such conversation.
        Conflict: it was held with another catalogue.
    """
    head = service.store.head(id, owner)
    if head is None:
        raise NotFound(f"There is no conversation {id!r}; it was never begun here, or was forgotten.")
    served = service.current()
    extractors = served.extractors()
    recommender = extractors.recommender
    if found is None or found.session.turns != head or found.recommender.bundle.info is not recommender.bundle.info:
        found = _loaded(service, owner, id, max(0, head - RECENT), extractors)
    if found.recommender is not recommender:  # items joined or changed
        found.recommender, found.hearer, found.extractor = recommender, extractors.lexical, extractors.chosen
    found.policy, found.asks = service.policies.of(owner), service.asks
    if found.session.user is not None:
        session = found.session.model_copy(deep=True)
        served.people.bring_in(owner, session)
        found.session = session
    return found


def turn_that_was(
    service: Service, conversation: Conversation, owner: str, number: int | None, utterance: str
) -> Turn | None:
    """The turn of this number, where there has been one; it answered `utterance`.

    Raises:
        Conflict: it answered something else, or one before it is missing.
    """
    turns = conversation.session.turns
    if number is None or number == turns + 1:
        return None
    if not 1 <= number <= turns:
        raise Conflict(f"The next turn of conversation {conversation.id!r} is {turns + 1}, not {number}.")
    turn = service.turn_of(owner, conversation.id, number)
    if turn.utterance != utterance:
        raise Conflict(f"Turn {number} of conversation {conversation.id!r} answered something else.")
    return turn


def _loaded(service: Service, owner: str, id: str, after: int, extractors: Extractors) -> Conversation:
    """The conversation out of the store, with its turns after turn `after`."""
    stored = service.conversation(owner, id, after)
    session, recommender = stored.session, extractors.recommender
    if not fits(session, recommender):
        name = Path(stored.bundle).name
        raise Conflict(f"Conversation {id!r} was held with another catalogue, that of {name}; begin a new one.")
    if session.variant == "v" and service.model is None:
        session = session.model_copy(update={"variant": "f"})
    conversation = Conversation(
        recommender, extractors.chosen, session, model=service.model, talks=service.talks, store=service.store, id=id
    )
    conversation.recent = stored.turns[-RECENT:]
    return conversation
