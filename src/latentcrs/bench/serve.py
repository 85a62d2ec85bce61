"""The load benchmark: many conversations at once with the real server, beside the same turns without a server."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.bench.clients import Clients, ClientTurn, Script, held_in_process
from latentcrs.bench.machine import hardware
from latentcrs.bench.server_process import ServerProcess
from latentcrs.store.conversations import ConversationStore

PEER = "Conversation.reply"
"""The same turns in one process, one after the other: the engine without a server, a store or other people."""
WITH_MODEL = ("--rules", "llm", "--talks")
VARIANTS, VARIANTS_WITH_MODEL = ("f",), ("f", "v")


@dataclass(frozen=True)
class Spread:
    """Milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Any) -> Spread:
        """The spread of some times in seconds."""
        p50, p95, p99 = (np.quantile(seconds, (0.5, 0.95, 0.99)) * 1000).tolist()
        return cls(p50, p95, p99)


@dataclass(frozen=True)
class KillOutcome:
    """What `kill -9` did. acknowledged: turns by then. kept: turns in the store's files right after. broken_off:
    turns without an answer, which were asked again. ready_seconds: from the new start.
    """

    acknowledged: int
    kept: int
    broken_off: int
    ready_seconds: float


@dataclass(frozen=True)
class WithoutModel:
    """How many turns went on without the language model somewhere, and how often each step did."""

    turns: int
    steps: dict[str, int]


@dataclass(frozen=True)
class ServeBenchmark:
    """One load on one machine.

    acknowledged: turns that were answered. seconds: from the first that was sent to the last answer. waited: of the
    clients for a turn; worked: of the engine within it; peer: of a turn of `PEER`. errors: failures that clients met,
    by kind. lost: acknowledged turns that are not in the store as they were answered. surplus: turns in the store
    beyond those. otherwise: answers with other items than `PEER` gave; None with a language model, which has a say in
    them. uncounted: turns that /metrics counts too few (or, below zero, too many). processor, peer_processor:
    milliseconds of processor time for a turn, which other work on the machine changes less than it does the others;
    None for a server that was killed. busy: the machine's load average of one minute before anything began.
    """

    dataset: str
    conversations: int
    turns: int
    pause: float
    acknowledged: int
    seconds: float
    waited: Spread
    worked: Spread
    peer: Spread
    peer_per_second: float
    processor: float | None
    peer_processor: float
    errors: dict[str, int]
    lost: int
    surplus: int
    otherwise: int | None
    uncounted: int
    live_seconds: float
    ready_seconds: float
    peak_mib: float
    killed: KillOutcome | None
    without_model: WithoutModel | None
    busy: float
    hardware: dict[str, Any]

    @property
    def per_second(self) -> float:
        """Turns answered in a second."""
        return self.acknowledged / self.seconds

    @property
    def ratio(self) -> float:
        """Throughput beside that of `PEER`."""
        return self.per_second / self.peer_per_second

    @property
    def faults(self) -> list[str]:
        """What went wrong, in words."""
        found = [
            *((f"{what} at a client", count) for what, count in self.errors.items()),
            ("turns never answered", self.conversations * self.turns - self.acknowledged),
            ("acknowledged turns not in the store", self.lost),
            ("turns in the store that nobody was told of", self.surplus),
            (f"answers with other items than {PEER} gave", self.otherwise or 0),
            ("turns that /metrics does not count", self.uncounted),
        ]
        return [f"{count:,} {what}" for what, count in found if count]

    def as_json(self) -> dict[str, Any]:
        """The benchmark as `--json` prints it."""
        rates = {"turns_per_second": self.per_second, "ratio_to_peer": self.ratio}
        return {**asdict(self), **rates, "peer_is": PEER, "faults": self.faults}


def bench_serve(
    bundle: str | Path,
    conversations: int = 200,
    turns: int = 20,
    llm: str | None = None,
    kill: bool = False,
    pause: float = 0.0,
    device: str = "auto",
) -> ServeBenchmark:
    """Serve `bundle` by `latentcrs serve` with one worker and hold `conversations` of `turns` turns at once.

    What is said comes from `held_in_process`, which is timed as the peer. llm: a language model, as `--llm` names
    one, that hears the rules, words the replies and in every second conversation judges.
    kill: the server is killed after half of the turns and started again on the same store. pause: mean seconds
    between an answer and the next utterance.

    Raises:
        UserError: no bundle there, its data set is gone, psutil is missing, or the server does not start,
            answers nothing, or ends of itself.
    """
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    held = held_in_process(bundle, conversations, turns, device)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="latentcrs-bench-")))
        model = ["--llm", "none"] if llm is None else ["--llm", llm, *WITH_MODEL]
        server = ServerProcess(bundle, folder, ["--device", device, *model])
        stack.callback(server.kill)
        found = asyncio.run(_load(server, held.scripts, llm is not None, kill, pause))
    return ServeBenchmark(
        dataset=held.dataset,
        conversations=conversations,
        turns=turns,
        pause=pause,
        peer=Spread.of(held.seconds),
        peer_per_second=len(held.seconds) / float(held.seconds.sum()),
        peer_processor=held.processor_seconds * 1000 / len(held.seconds),
        busy=busy,
        hardware=hardware(device),
        **found,
    )


def compared(told: Sequence[ClientTurn], kept: Sequence[tuple[str, list[str]]]) -> tuple[int, int]:
    """How many turns that a client was `told` of are not `kept` in their place, and how many are beside them."""
    lost = sum(list(kept[place : place + 1]) != [turn.matter] for place, turn in enumerate(told))
    return lost, max(0, len(kept) - len(told))


async def _load(
    server: ServerProcess, scripts: list[Script], with_model: bool, kill: bool, pause: float
) -> dict[str, Any]:
    """The fields of a `ServeBenchmark` that come of the server."""
    live, ready = await server.start()
    watching = asyncio.create_task(server.watch())
    total = sum(len(script.said) for script in scripts)
    with step("turns", total) as bar:
        variants = VARIANTS_WITH_MODEL if with_model else VARIANTS
        clients = Clients(server.address, scripts, variants, bar.advance)
        await clients.begin()
        began, worked = time.perf_counter(), server.processor_seconds
        killing = asyncio.create_task(_kill(server, clients, total // 2)) if kill else None
        await clients.hold(pause)
        server.must_run()
        # Where turns failed for good, the half after which it is killed may never have come.
        killed = await killing if killing is not None and clients.acknowledged >= total // 2 else None
        worked = server.processor_seconds - worked
    told = [turn for client in clients.all for turn in client.turns]
    if not told:
        raise UserError(f"The server answered no turn: {dict(clients.errors)}.")
    lost = surplus = 0
    for client in clients.all:
        gone, more = compared(client.turns, await clients.stored(client))
        lost, surplus = lost + gone, surplus + more
    counted = await clients.metric("latentcrs_turns_total")
    watching.cancel()
    await clients.close()
    otherwise = None
    if not with_model:
        pairs = [pair for client in clients.all for pair in zip(client.turns, client.script.shown, strict=False)]
        otherwise = sum(turn.shown != shown for turn, shown in pairs)
    without = None
    if with_model:
        steps = Counter(note.partition(":")[0] for turn in told for note in turn.notes)
        without = WithoutModel(sum(bool(turn.notes) for turn in told), dict(steps))
    return {
        "acknowledged": len(told),
        "seconds": max(turn.at for turn in told) - began,
        "waited": Spread.of([turn.waited for turn in told]),
        "worked": Spread.of([turn.worked for turn in told]),
        "processor": None if killed else worked * 1000 / len(told),
        "errors": dict(clients.errors),
        "lost": lost,
        "surplus": surplus,
        "otherwise": otherwise,
        "uncounted": len(told) + surplus - (killed.kept if killed else 0) - counted,
        "live_seconds": live,
        "ready_seconds": ready,
        "peak_mib": server.peak_mib,
        "killed": killed,
        "without_model": without,
    }


async def _kill(server: ServerProcess, clients: Clients, after: int) -> KillOutcome:
    """Kill the server when `after` turns were acknowledged, and start it again."""
    while clients.acknowledged < after:
        await asyncio.sleep(0.01)
    acknowledged = clients.acknowledged
    clients.killed_at = time.perf_counter()
    server.kill()
    store = ConversationStore(str(server.store_as_it_is(server.log.parent / "killed")))
    kept = sum(summary.turns for summary in store.summaries())
    store.close()
    _, ready = await server.start()
    clients.back_at = time.perf_counter()
    return KillOutcome(acknowledged, kept, len(clients.broken_off), ready)
