"""The two k-cores that `bench prepare` compares, each run as a process of its own: SIDE LOG CORE, JSON on stdout."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Each side imports what it needs, and nothing of the other counts as its memory.


def latentcrs() -> Callable[[Path, int], int]:
    """Rows in the core of the log at a path, as `prepare` takes it."""
    import narwhals as nw

    from latentcrs.data.core import k_core
    from latentcrs.data.engine import PolarsEngine

    def run(log: Path, core: int) -> int:
        engine = PolarsEngine(log.parent)
        users, _ = k_core(nw.scan_parquet(log, backend="polars"), core, core, engine)
        return int(users["rows"].sum())

    return run


def pandas() -> Callable[[Path, int], int]:
    """The same as one writes it in pandas: the rows of those with enough, until nothing changes."""
    import pandas as pd

    def run(log: Path, core: int) -> int:
        frame = pd.read_parquet(log)
        while True:
            before = len(frame)
            frame = frame[frame.groupby("user")["item"].transform("size") >= core]
            frame = frame[frame.groupby("item")["user"].transform("size") >= core]
            if len(frame) == before:
                return before

    return run


SIDES = {"latentcrs": latentcrs, "pandas": pandas}


def measure(side: str, log: Path, core: int) -> dict[str, float]:
    """Seconds from the file to what is kept, without imports; the highest memory of this process; rows kept."""
    run = SIDES[side]()
    began = time.perf_counter()
    rows = run(log, core)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_mib": peak_mib(), "rows": rows}


def peak_mib() -> float:
    """The highest resident memory of this process. `ru_maxrss` would count the process that started it too."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text("utf-8").split("VmHWM:")[1].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
