"""Two ways of doing one thing, timed in turn, so that what else a machine does hits both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from latentcrs_lab.bench.memory import PeakMemory

Work = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Medians of several rounds. per_second: things done, of each; ratio: of the peer's seconds to ours in the same
    round; processor_ratio: the same of the seconds of all threads on a processor, which other people's work on the
    machine hardly changes; MiB: what the work took at its highest above what the process held before.
    """

    per_second: float
    peer_per_second: float
    ratio: float
    processor_ratio: float
    mib: float
    peer_mib: float


def compare(ours: Work, peer: Work, repeats: int, done: int = 1) -> Comparison:
    """Time `ours` and `peer`, each of which does `done` things, in turn, `repeats` times, after one round that does
    not count.

    Raises:
        UserError: psutil is missing.
    """
    first, peer_first = timed(ours), timed(peer)
    rounds = [(timed(ours), timed(peer)) for _ in range(repeats)]
    return Comparison(
        per_second=done / statistics.median(mine.seconds for mine, _ in rounds),
        peer_per_second=done / statistics.median(theirs.seconds for _, theirs in rounds),
        ratio=statistics.median(theirs.seconds / mine.seconds for mine, theirs in rounds),
        processor_ratio=statistics.median(theirs.processor / mine.processor for mine, theirs in rounds),
        mib=first.mib,
        peer_mib=peer_first.mib,
    )


@dataclass(frozen=True)
class RunCost:
    """What one run took: seconds on the clock, seconds of all threads on a processor, peak memory above the start."""

    seconds: float
    processor: float
    mib: float


def timed(work: Work) -> RunCost:
    """Run `work` once."""
    memory = PeakMemory()
    before = memory.resident()
    with memory:
        began, spent = time.perf_counter(), time.process_time()
        work()
        seconds, processor = time.perf_counter() - began, time.process_time() - spent
    return RunCost(seconds, max(processor, 1e-9), max(0.0, memory.mib - before))
