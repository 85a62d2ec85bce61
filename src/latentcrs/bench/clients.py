"""Many clients of a server at once, in one event loop: each holds a conversation and keeps what was acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2

from latentcrs.base.errors import UserError
from latentcrs.bench.scripts import Script

ATTEMPTS = 5
"""How often a turn is sent where the server fails; each failure counts."""
AGAIN_SECONDS = 0.2
ANSWER_SECONDS = 300.0


@dataclass(frozen=True)
class ClientTurn:
    """One turn as a client was told of it. waited, worked: seconds of the client and of the engine. at: when, on the
    clock of `time.perf_counter`. notes: what the turn did without.
    """

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
        return round(
            sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
