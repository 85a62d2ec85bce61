"""Many clients of a server at once, in one event loop: each holds a conversation and keeps what was acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import numpy as np
from numpy.typing import NDArray

from latentcrs.base.device import resolve_device
from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.converse.conversation import Conversation
from latentcrs.evaluate.multi_turn import TURNS, talk_rows
from latentcrs.hear.open import hearer_of
from latentcrs.recommend import load
from latentcrs.recommend.users import trained_dataset
from latentcrs.store.session import Session
from latentcrs.users.dialogue import SystemTurn, dialogues_of
from latentcrs.users.open import open_user

ATTEMPTS = 5
"""How often a turn is sent where the server fails; each failure counts."""
AGAIN_SECONDS = 0.2
ANSWER_SECONDS = 300.0


@dataclass(frozen=True)
class ClientTurn:
    """A turn as a client was told of it. waited, worked: seconds of client and engine. at: by `time.perf_counter`."""

    utterance: str
    shown: list[str]
    waited: float
    worked: float
    at: float
    notes: list[str]

    @property
    def matter(self) -> tuple[str, list[str]]:
        """What has to be in the store."""
        return self.utterance, self.shown


@dataclass
class Client:
    """One person at the server."""

    script: Script
    variant: str
    id: str = ""
    turns: list[ClientTurn] = field(default_factory=list)


class Clients:
    """All that talk with one server. variants: dealt out in turn. on_turn: called after each turn.

    errors: failures by what they were. killed_at, back_at: on the clock of `time.perf_counter`, when the server was
    killed and when it was back; what fails between is asked again, in turns `broken_off`, and is no error.
    """

    def __init__(
        self, address: str, scripts: Sequence[Script], variants: Sequence[str], on_turn: Callable[[], None]
    ) -> None:
        self.all = [Client(script, variants[place % len(variants)]) for place, script in enumerate(scripts)]
        self.errors: Counter[str] = Counter()
        self.broken_off: set[tuple[str, int]] = set()
        self.killed_at = self.back_at = float("inf")
        self._on_turn = on_turn
        self._dice = Random(0)
        limits = httpx2.Limits(max_connections=len(scripts), max_keepalive_connections=len(scripts))
        self._http = httpx2.AsyncClient(
            base_url=address, limits=limits, timeout=httpx2.Timeout(ANSWER_SECONDS, pool=None), trust_env=False
        )

    @property
    def acknowledged(self) -> int:
        """How many turns were answered so far."""
        return sum(len(client.turns) for client in self.all)

    async def begin(self) -> None:
        """Begin every conversation.

        Raises:
            UserError: the server refuses.
        """

        async def one(client: Client, name: str) -> None:
            body = {"user": name, "history": client.script.history, "variant": client.variant}
            answer = await self._http.post("/api/v1/conversations", json=body)
            if answer.status_code != 201:
                raise UserError(f"The server did not begin a conversation: {answer.text[:300]}")
            client.id = answer.json()["id"]

        await asyncio.gather(*(one(client, f"visitor {place}") for place, client in enumerate(self.all)))

    async def hold(self, pause: float = 0.0) -> None:
        """Hold all conversations at once, each turn sent when the one before was answered and `pause` seconds (half
        as long to one and a half times) have passed. A turn that fails is sent again under its number.
        """
        await asyncio.gather(*(self._talk(client, pause) for client in self.all))

    async def _talk(self, client: Client, pause: float) -> None:
        for number, utterance in enumerate(client.script.said, 1):
            if pause:
                await asyncio.sleep(pause * (0.5 + self._dice.random()))
            began = time.perf_counter()
            turn = await self._said(client, number, utterance)
            if turn is None:
                return
            at = time.perf_counter()
            worked = float(turn["milliseconds"].get("total", 0.0)) / 1000
            shown = [item["item_id"] for item in turn["items"]]
            client.turns.append(ClientTurn(turn["utterance"], shown, at - began, worked, at, turn["notes"]))
            self._on_turn()

    async def _said(self, client: Client, number: int, utterance: str) -> dict[str, Any] | None:
        """The turn that answers; None where the server failed too often."""
        failures = 0
        while failures < ATTEMPTS:
            sent = time.perf_counter()
            try:
                answer = await self._http.post(
                    f"/api/v1/conversations/{client.id}/turns", json={"utterance": utterance, "number": number}
                )
                if answer.status_code == 200:
                    turn: dict[str, Any] = answer.json()
                    if turn["number"] == number and turn["utterance"] == utterance:
                        return turn
                    what = "another turn"
                else:
                    what = f"status {answer.status_code}"
            except httpx2.HTTPError as error:
                what = type(error).__name__
                if sent <= self.back_at and self.killed_at <= time.perf_counter():
                    self.broken_off.add((client.id, number))
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
            failures += 1
            self.errors[what] += 1
            await asyncio.sleep(AGAIN_SECONDS)
        return None

    async def stored(self, client: Client) -> list[tuple[str, list[str]]]:
        """What the server has of a conversation: utterance and item ids of every turn, in order."""
        answer = await self._http.get(f"/api/v1/conversations/{client.id}")
        if answer.status_code != 200:
            return []
        turns = answer.json()["turns"]
        return [(turn["utterance"], [item["item_id"] for item in turn["items"]]) for turn in turns]

    async def metric(self, name: str) -> int:
        """The sum of a counter of /metrics over its labels."""
        lines = (await self._http.get("/metrics")).text.splitlines()
        return round(sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name}{{", f"{name} "))))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


WARM_UP = 20
ANEW = "Start over. "


@dataclass(frozen=True)
class Script:
    """One conversation. history: item ids, oldest first. said, shown: each turn's utterance and answered ids."""

    history: list[str]
    said: list[str]
    shown: list[list[str]]


@dataclass(frozen=True)
class HeldConversations:
    """Conversations on `dataset`. seconds: of each turn, all in order. processor_seconds: of all turns together."""

    dataset: str
    scripts: list[Script]
    seconds: NDArray[np.float64]
    processor_seconds: float


def held_in_process(bundle: str | Path, conversations: int, turns: int, device: str = "auto") -> HeldConversations:
    """Hold `conversations` of `turns` turns, one after the other, without a server or a store.

    The people are those of the test split, with their histories; each wants the held-out item and says so as the
    `attributes` user of the multi-turn evaluation does. Shown it, or after five turns, they start over as the next.

    Raises:
        UserError: no bundle there, or its data set is gone or has no test split.
    """
    recommender = load(bundle, resolve_device(device).type)
    dataset = trained_dataset(recommender.bundle.info)
    rows = talk_rows(dataset, "test")
    if rows.is_empty():
        raise UserError(f"Nobody in {dataset.path} has an item of the test split that they could ask for.")
    user = open_user("attributes", dataset)
    extractor = hearer_of(recommender)
    ids = recommender.bundle.items["item_id"].to_list()
    for text in dataset.requests["text"].head(WARM_UP).to_list():
        Conversation(recommender, extractor).reply(text)
    spent: list[float] = []
    processor = 0.0
    scripts = []
    # Spread over all people: neighbours in the data set may have come at the same time.
    order = np.random.default_rng(0).permutation(len(rows))
    with step("Conversation.reply", conversations * turns) as bar:
        for number in range(conversations):
            wishes = (order[(number + conversations * nth) % len(rows)] for nth in range(turns))
            dialogue = dialogues_of(dataset, rows[[int(next(wishes))]])[0]
            history = [ids[item] for item in dict.fromkeys(dialogue.history.tolist())]
            conversation = Conversation(recommender, extractor, Session(history=history))
            script = Script(history, [], [])
            for turn in range(turns):
                user.speak([dialogue])
                anew = turn > 0 and len(dialogue.said) == 1
                said = f"{ANEW}{dialogue.said[-1]}" if anew else dialogue.said[-1]
                began, worked = time.perf_counter(), time.process_time()
                answered = conversation.reply(said)
                spent.append(time.perf_counter() - began)
                processor += time.process_time() - worked
                script.said.append(said)
                script.shown.append([item.item_id for item in answered.items])
                numbers = tuple(recommender.item_numbers(script.shown[-1]).tolist())
                dialogue.shown.append(SystemTurn(numbers))
                if turn + 1 < turns and (dialogue.target in numbers or len(dialogue.said) == TURNS):
                    dialogue = dialogues_of(dataset, rows[[int(next(wishes))]])[0]
                bar.advance()
            scripts.append(script)
    return HeldConversations(dataset.info.name, scripts, np.array(spent), processor)
