"""Which conversation a list of messages belongs to: chat clients send all that was said each time, and no id.

A conversation is a path: what was said and answered, in order. Where a client edits an earlier message, the path
parts from the one that is stored, and goes on as a conversation of its own, whose id is a hash of the path up to
there. So ids follow from what was said: they are the same in every process and after every restart, and nothing has
to be kept beside the conversations themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from latentcrs.base.waiting import still_wanted
from latentcrs.llm.model import encodable
from latentcrs.serve.errors import Conflict, NotFound, ServiceError
from latentcrs.serve.service import Service
from latentcrs.store.session import Turn

MOST_REPLAYED = 50
"""Turns that are held again where an unknown conversation is taken up in its middle."""
MOST_REMEMBERED = 1000
"""Conversations of which it is remembered what was said in them."""
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


@dataclass(frozen=True)
class StoredExchange:
    """A stored turn. number: among all, buttons too. whole: digest of the answer; length, digest: of the bare one."""

    number: int
    utterance: str
    whole: bytes
    length: int
    digest: bytes

    @classmethod
    def of(cls, turn: Turn, told: Callable[[Turn], str]) -> StoredExchange:
        """`told`: the turn's answer as clients have it."""
        whole = told(turn)
        answer = _bare(whole)
        return cls(turn.number, turn.utterance, _digest(whole), len(answer), _digest(answer))

    def answered(self, exchange: Exchange) -> bool:
        """Whether this was the answer. A client may have seen the beginning of another, which broke off."""
        if exchange.answer and _digest(exchange.answer) == self.whole:
            return True
        answer = _bare(exchange.answer or "")
        end = answer[len(answer) - self.length :] if self.length else ""
        return not answer or (len(answer) >= self.length and _digest(end) == self.digest)


@dataclass(frozen=True)
class SpokenPath:
    """What was said in a conversation that has so many `turns`, and `began` then."""

    began: datetime
    turns: int = 0
    spoken: tuple[StoredExchange, ...] = ()


class SpokenPaths:
    """What was said in the conversations that were asked about last: of one that went on, only the turns that are new
    are read out of the store, so that a turn costs no more the longer the talk is.
    """

    def __init__(self, service: Service, told: Callable[[Turn], str], most: int = MOST_REMEMBERED) -> None:
        self._service, self._told, self._most = service, told, most
        self._paths: OrderedDict[tuple[str, str], SpokenPath] = OrderedDict()
        self._lock = Lock()

    def of(self, owner: str, id: str) -> SpokenPath | None:
        """As it stands in the store; None where this owner has no such conversation."""
        standing = self._service.store.standing(id, owner)
        with self._lock:
            known = self._paths.pop((owner, id), None)
        if standing is None:
            return None
        turns, began = standing
        if known is None or known.began != began or known.turns > turns:
            known = SpokenPath(began)
        if known.turns < turns:
            try:
                stored = self._service.conversation(owner, id, known.turns)
            except NotFound:  # forgotten meanwhile
                return None
            # What was done by buttons is not in a client's messages.
            new = [StoredExchange.of(turn, self._told) for turn in stored.turns if turn.kind != "command"]
            known = SpokenPath(began, stored.session.turns, (*known.spoken, *new))
        with self._lock:
            self._paths[owner, id] = known
            while len(self._paths) > self._most:
                self._paths.popitem(last=False)
        return known


@dataclass(frozen=True)
class MessagePath:
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
    asked: MessagePath,
    paths: SpokenPaths,
    on_text: Callable[[str], None],
    spend: Callable[[], None] = lambda: None,
) -> tuple[str, Turn]:
    """The conversation and the turn that answers the newest of what is asked. What was answered before is answered
    the same again, without a new turn. `on_text`: see `Service.turn`. `spend`: called before each earlier turn that
    is held again; what it refuses ends there, and a repeated request goes on from there.

    Raises:
        TooLong: the conversation is not known here, and too long to be held again.
        UserError: as `Service.begin` and `Service.turn`.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _reply(service, asked, paths, on_text, spend)
        except Conflict:  # it went on meanwhile; what is stored now says where
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _reply(
    service: Service,
    asked: MessagePath,
    paths: SpokenPaths,
    on_text: Callable[[str], None],
    spend: Callable[[], None],
) -> tuple[str, Turn]:
    id, path, length = _found(service, asked, paths)
    spoken = _spoken(path)
    if len(spoken) >= length:
        turn = service.turn_of(asked.owner, id, spoken[length - 1].number)
        on_text(turn.text)
        return id, turn
    missed = asked.path[len(spoken) : -1]
    if len(missed) > MOST_REPLAYED:
        raise TooLong(
            f"This conversation is not known here, and with {len(asked.path)} messages of yours it is too long to be "
            "taken up; begin a new one."
        )
    if path is None:
        service.begin(asked.owner, user=asked.user, id=id)
    before = 0 if path is None else path.turns
    for number, exchange in enumerate(missed, before + 1):
        still_wanted()
        spend()
        service.turn(asked.owner, id, exchange.utterance, number=number)
    return id, service.turn(asked.owner, id, asked.path[-1].utterance, on_text, before + len(missed) + 1)


def _found(service: Service, asked: MessagePath, paths: SpokenPaths) -> tuple[str, SpokenPath | None, int]:
    """The conversation's id, what was said in it, and the number the newest utterance has or is to have there."""
    id, same = asked.id(service.path, 1), 0
    if asked.name:
        id = asked.name if paths.of(asked.owner, asked.name) else asked.id(service.path, 0)
        path = paths.of(asked.owner, id)
        length = _going_on(_spoken(path), asked)
        if length:
            return id, path, length
    for _ in range(len(asked.path) + 2):
        still_wanted()
        path = paths.of(asked.owner, id)
        parting = _parting(_spoken(path), asked.path, same)
        if parting is None:
            return id, path, len(asked.path)
        id, same = asked.id(service.path, parting + 1), parting
    raise AssertionError("every parting is behind the one before")


def _parting(spoken: Sequence[StoredExchange], path: Sequence[Exchange], same: int) -> int | None:
    """The first place (from `same`) where other than `spoken` was said, or after another answer; None: nowhere."""
    for place, (turn, exchange) in enumerate(zip(spoken[same:], path[same:], strict=False), same):
        if turn.utterance != exchange.utterance:
            return place
        if place + 1 < len(path) and not turn.answered(exchange):
            return place + 1
    return None


def _going_on(spoken: Sequence[StoredExchange], asked: MessagePath) -> int:
    """Where the newest utterance stands, where a client sends the newest messages alone; 0: it does not follow."""
    said, path = [turn.utterance for turn in spoken], [one.utterance for one in asked.path]
    if len(path) - 1 <= len(said) <= len(path) and said == path[: len(said)]:  # all of it was sent
        return len(path)
    earlier = path[:-1]
    if (asked.again or earlier) and said[-len(path) :] == path:
        return len(said)
    return len(said) + 1 if said[len(said) - len(earlier) :] == earlier else 0


def _spoken(path: SpokenPath | None) -> Sequence[StoredExchange]:
    return () if path is None else path.spoken


def _bare(text: str) -> str:
    return " ".join(text.split())


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
