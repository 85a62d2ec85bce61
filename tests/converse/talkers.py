"""What the tests of the conversation store run in processes of their own: they hold a conversation until killed.

The module is imported once, by the server that forks these processes, with the text encoder loaded.
"""

from __future__ import annotations

import contextlib
import functools
import re
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import alembic.command  # noqa: F401  what migrating imports, imported once
import torch

from latentcrs.base.errors import UserError
from latentcrs.converse.conversation import Conversation
from latentcrs.data.rules import Rule
from latentcrs.hear import Heard, HeardRule
from latentcrs.recommend import Recommender
from latentcrs.recommend.bundle import load_bundle
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Session, Turn
from latentcrs.text import TextEncoder, open_encoder

torch.set_num_threads(1)
SCRIPT = [
    "hello",
    "a comedy please",
    "something from the 90s",
    "what else?",
    "I've seen the first one",
    "drop the comedy",
    "maybe a drama",
    "why the second one?",
    "not the third one",
    "more",
    "I'll take the first one",
    "thanks",
    "start over",
    "an action film",
    "not from the 80s",
    "something else",
]
"""A conversation, said again from the start as often as wanted."""


class WordsAlone:
    """An extractor that knows four words, of which "drop" takes the others back."""

    name = "words alone"

    def extract(self, utterance: str, context: object = None, call: object = None) -> Heard:
        """See `Extractor.extract`."""
        lowered, rules = utterance.lower(), []
        for genre in ("Comedy", "Drama", "Action"):
            if genre.lower() in lowered:
                rules.append(HeardRule(rule=Rule(column="genres", op="has any", value=[genre]), words=genre.lower()))
        decade = re.search(r"the ([89])0s", lowered)
        if decade:
            first = 1900 + 10 * int(decade[1])
            op = "not" if "not" in lowered else "between"
            value = [float(year) for year in (range(first, first + 10) if op == "not" else (first, first + 9))]
            rules.append(HeardRule(rule=Rule(column="year", op=op, value=value), words=decade[0]))
        if "drop" in lowered:
            return Heard(dropped=tuple(heard.rule for heard in rules))
        return Heard(wishes=tuple(rules)) if "maybe" in lowered else Heard(rules=tuple(rules))


@functools.cache
def encoder() -> TextEncoder:
    """The encoder of the default preset, loaded."""
    opened = open_encoder("minilm", "cpu")
    opened.load()
    return opened


def said(number: int) -> str:
    """The utterance of turn `number`, from 1."""
    return SCRIPT[(number - 1) % len(SCRIPT)]


def converse(bundle: Path, address: str, id: str, turns: int, channel: Connection) -> None:
    """Go on with a stored conversation, from where it stands to turn `turns`; send each turn and the session after it
    once it is committed. Without an address nothing is stored.
    """
    recommender = Recommender(load_bundle(bundle), encoder())
    store = ConversationStore(address) if address else None
    stored = store.load(id) if store else None
    session = stored.session if stored else Session(user="alice")
    conversation = Conversation(recommender, WordsAlone(), session, store=store, id=id)
    conversation.recent = stored.turns[-10:] if stored else []
    channel.send("ready")
    for number in range(session.turns + 1, turns + 1):
        turn = conversation.reply(said(number))
        channel.send((turn.model_dump_json(), conversation.session.model_dump_json()))


def made_up(number: int) -> tuple[Turn, Session]:
    """A turn and the session after it, with as much in them as a long conversation has."""
    utterance = f"{said(number)} ({number})"
    session = Session(
        user="alice", turns=number, said=[utterance] * 20, shown=[f"item {i}" for i in range(20 * number)]
    )
    return Turn(number=number, utterance=utterance, kind="request", variant="f", text=utterance * 50), session


def commit_made_up(address: str, id: str, turns: int, channel: Connection) -> None:
    """Go on with a stored conversation as fast as commits go; send the number of each turn once it is committed."""
    store = ConversationStore(address)
    channel.send("ready")
    for number in range(store.load(id).session.turns + 1, turns + 1):
        store.commit(id, *made_up(number))
        channel.send(number)


def open_only(address: str, channel: Connection) -> None:
    """Open a store."""
    channel.send("ready")
    ConversationStore(address)
    channel.send("opened")


def begin_and_commit(address: str, id: str, turns: int, start: Barrier, channel: Connection) -> None:
    """With others at once: open a store, begin a conversation of one's own, and commit its turns."""
    start.wait()
    store = ConversationStore(address)
    store.begin(id, Session(user="alice"), "movies")
    for number in range(1, turns + 1):
        store.commit(id, *made_up(number))
    channel.send("done")


def commit_one(address: str, id: str, words: str, start: Barrier, channel: Connection) -> None:
    """With others at once: load a conversation, then add one turn; send its number, or why it was refused."""
    store = ConversationStore(address)
    number = store.load(id).session.turns + 1
    turn, session = made_up(number)
    start.wait()
    try:
        store.commit(id, turn.model_copy(update={"utterance": words}), session)
    except UserError as error:
        channel.send(str(error))
    else:
        channel.send(number)


with contextlib.suppress(ImportError):
    import psycopg  # noqa: F401  as above
encoder()
