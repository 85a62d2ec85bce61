"""Which conversation a list of messages belongs to: chat clients send all that was said each time, and no id.

A conversation is a path: what was said and answered, in order. Where a client edits an earlier message, the path
parts from the one that is stored, and goes on as a conversation of its own, whose id is a hash of the path up to
there. So ids follow from what was said: they are the same in every process and after every restart, and nothing has
to be kept beside the conversations themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from latentcrs.base.waiting import still_wanted
from latentcrs.llm.model import encodable
from latentcrs.serve.errors import Conflict, NotFound, ServiceError
from latentcrs.serve.service import Service
from latentcrs.store.conversations import Stored
from latentcrs.store.session import Turn

MOST_REPLAYED = 50
"""Turns that are held again where an unknown conversation is taken up in its middle."""
ATTEMPTS = 5
"""How often a conversation is looked for while others go on with it at the same moment."""


class TooLong(ServiceError):
    """An unknown conversation that is too long to be held again."""

    status = 400


@dataclass(frozen=True)
class Exchange:
    """What was said, and how the client says it was answered; None where it does not say."""

    utterance: str
    answer: str | None = None

    def was(self, turn: Turn, told: Callable[[Turn], str]) -> bool:
        """Whether the answer is that of `turn`. A client may have seen the beginning of another, which broke off."""
        return not (self.answer or "").strip() or _bare(self.answer or "").endswith(_bare(told(turn)))


@dataclass(frozen=True)
class Asked:
    """Who asks what. path: everything said, the newest last, at least one exchange. name: the conversation's, where
    the client gives one. again: the client says that it repeats a request.
    """

    owner: str
    user: str | None
    path: Sequence[Exchange]
    name: str = ""
    again: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", [Exchange(encodable(one.utterance), one.answer) for one in self.path])

    def id(self, bundle: str, length: int) -> str:
        """The id of the conversation that parts from all others with the last of the first `length` exchanges."""
        before = [[one.utterance, _bare(one.answer or "")] for one in self.path[: max(length - 1, 0)]]
        last = [one.utterance for one in self.path[max(length - 1, 0) : length]]
        said = json.dumps([bundle, self.owner, self.user, self.name, before, last])
        return f"chat-{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def reply(
    service: Service,
    asked: Asked,
    told: Callable[[Turn], str],
    on_text: Callable[[str], None],
    spend: Callable[[], None] = lambda: None,
) -> tuple[str, Turn]:
    """The conversation and the turn that answers the newest of what is asked. What was answered before is answered
    the same again, without a new turn. `told`: a turn's answer as clients have it. `on_text`: see `Service.turn`.
    `spend`: called before each earlier turn that is held again; what it refuses ends there, and a repeated request
    goes on from there.

    Raises:
        TooLong: the conversation is not known here, and too long to be held again.
        UserError: as `Service.begin` and `Service.turn`.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _reply(service, asked, told, on_text, spend)
        except Conflict:  # it went on meanwhile; what is stored now says where
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _reply(
    service: Service,
    asked: Asked,
    told: Callable[[Turn], str],
    on_text: Callable[[str], None],
    spend: Callable[[], None],
) -> tuple[str, Turn]:
    id, stored, length = _found(service, asked, told)
    turns = _spoken(stored)
    if len(turns) >= length:
        on_text(turns[length - 1].text)
        return id, turns[length - 1]
    missed = asked.path[len(turns) : -1]
    if len(missed) > MOST_REPLAYED:
        raise TooLong(
            f"This conversation is not known here, and with {len(asked.path)} messages of yours it is too long to be "
            "taken up; begin a new one."
        )
    if stored is None:
        service.begin(asked.owner, user=asked.user, id=id)
    before = 0 if stored is None else stored.session.turns
    for number, exchange in enumerate(missed, before + 1):
        still_wanted()
        spend()
        service.turn(asked.owner, id, exchange.utterance, number=number)
    return id, service.turn(asked.owner, id, asked.path[-1].utterance, on_text, before + len(missed) + 1)


def _found(service: Service, asked: Asked, told: Callable[[Turn], str]) -> tuple[str, Stored | None, int]:
    """The id of the conversation that the path belongs to, what is stored of it, and the number among its spoken
    turns that the newest utterance has or is to have.
    """
    id, same = asked.id(service.path, 1), 0
    if asked.name:
        id = asked.name if _stored(service, asked.owner, asked.name) else asked.id(service.path, 0)
        stored = _stored(service, asked.owner, id)
        length = _going_on(_spoken(stored), asked)
        if length:
            return id, stored, length
    for _ in range(len(asked.path) + 2):
        still_wanted()
        stored = _stored(service, asked.owner, id)
        parting = _parting(_spoken(stored), asked.path, same, told)
        if parting is None:
            return id, stored, len(asked.path)
        id, same = asked.id(service.path, parting + 1), parting
    raise AssertionError("every parting is behind the one before")


def _parting(turns: Sequence[Turn], path: Sequence[Exchange], same: int, told: Callable[[Turn], str]) -> int | None:
    """The first place (from `same`) at which something else was said than in `turns`, or was said after another
    answer; None where there is none.
    """
    for place, (turn, exchange) in enumerate(zip(turns[same:], path[same:], strict=False), same):
        if turn.utterance != exchange.utterance:
            return place
        if place + 1 < len(path) and not exchange.was(turn, told):
            return place + 1
    return None


def _going_on(turns: Sequence[Turn], asked: Asked) -> int:
    """Where the newest utterance stands in a conversation that the client names: such a client may send the newest
    messages alone. 0 where it does not follow from what was said.
    """
    said, path = [turn.utterance for turn in turns], [one.utterance for one in asked.path]
    if len(path) - 1 <= len(said) <= len(path) and said == path[: len(said)]:  # all of it was sent
        return len(path)
    earlier = path[:-1]
    if (asked.again or earlier) and said[-len(path) :] == path:
        return len(said)
    return len(said) + 1 if said[len(said) - len(earlier) :] == earlier else 0


def _spoken(stored: Stored | None) -> list[Turn]:
    """The turns in which something was said; what was done by buttons is not in a client's messages."""
    return [] if stored is None else [turn for turn in stored.turns if turn.kind != "command"]


def _stored(service: Service, owner: str, id: str) -> Stored | None:
    try:
        return service.conversation(owner, id)
    except NotFound:
        return None


def _bare(text: str) -> str:
    return " ".join(text.split())
