"""How much memory a benchmark takes."""

from __future__ import annotations

import threading

from latentcrs.base.errors import UserError

SAMPLED_EVERY, OTHERS_SAMPLED_EVERY = 0.02, 0.5
"""Seconds. Finding the processes that another has started takes some milliseconds, which they are not to lose."""


class PeakMemory:
    """The highest resident memory while it is entered, sampled in a thread, in MiB.

    Of this process, or of the process `pid` and all that it has started, where what they share counts for each.
    """

    def __init__(self, pid: int | None = None) -> None:
        try:
            import psutil
        except ImportError:
            raise UserError("the benchmark needs psutil: pip install latentcrs-lab.") from None
        self._process, self._gone, self._all = psutil.Process(pid), psutil.Error, pid is not None
        self._every = SAMPLED_EVERY if pid is None else OTHERS_SAMPLED_EVERY
        self._stop = threading.Event()
        self.mib = 0.0

    def resident(self) -> float:
        """What is held now, in MiB."""
        held = 0
        try:
            for process in (self._process, *(self._process.children(recursive=True) if self._all else ())):
                held += process.memory_info().rss
        except self._gone:  # one that ended meanwhile
            pass
        return held / 2**20

    def _sample(self) -> None:
        while True:
            self.mib = max(self.mib, self.resident())
            if self._stop.wait(self._every):
                return

    def __enter__(self) -> PeakMemory:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
