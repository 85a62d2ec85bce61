"""How much memory a benchmark takes."""

from __future__ import annotations

import threading

from latentcrs.errors import UserError

SAMPLED_EVERY = 0.02


class PeakMemory:
    """The highest resident memory of this process while it is entered, sampled in a thread, in MiB."""

    def __init__(self) -> None:
        try:
            import psutil
        except ImportError:
            raise UserError("the benchmark needs psutil: pip install 'latentcrs[dev]'.") from None
        self._process = psutil.Process()
        self._stop = threading.Event()
        self.mib = 0.0

    def resident(self) -> float:
        """What this process holds now, in MiB."""
        return float(self._process.memory_info().rss / 2**20)

    def _sample(self) -> None:
        while True:
            self.mib = max(self.mib, self.resident())
            if self._stop.wait(SAMPLED_EVERY):
                return

    def __enter__(self) -> PeakMemory:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
