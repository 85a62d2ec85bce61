"""Conversations as tests of the store make them up: turns, and the sessions after them, without a recommender."""

from __future__ import annotations

from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Session, Turn


def turn(number: int, utterance: str = "a comedy", kind: str = "request", **more: object) -> Turn:
    return Turn(number=number, utterance=utterance, kind=kind, variant="f", **more)


def after(number: int, user: str | None = None) -> Session:
    return Session(user=user, turns=number, said=["a comedy"] * number)


def hold(store: ConversationStore, id: str, turns: int, user: str | None = None, owner: str = "") -> None:
    store.begin(id, Session(user=user), "movies", owner)
    for number in range(1, turns + 1):
        store.commit(id, turn(number, f"a comedy of {id}, {number}"), after(number, user))
