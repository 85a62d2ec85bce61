"""Ctrl-C at any moment of a long command: no traceback, nothing half written, and it goes on afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
RUN = """print("begun", flush=True)
try:
    from latentcrs.cli.entry import main
    main()
except KeyboardInterrupt:
    exit(130)
"""
MOMENTS = 4


def ended(arguments: list[str], after: float | None, env: dict[str, str]) -> tuple[int, str, float]:
    """A command's exit code, what it said on standard error, and its seconds; interrupted `after` so many."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        began = time.monotonic()
        if after is not None:
            time.sleep(after)
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
        return process.returncode, said, time.monotonic() - began


@pytest.mark.parametrize("command", ["prepare", "simulate"])
def test_a_command_that_is_interrupted_leaves_no_traceback_and_nothing_half_written(
    command: str, small_movielens: Path, shared_data: Callable[..., Path], tmp_path: Path
) -> None:
    dataset, out = tmp_path / "dataset", tmp_path / "out"
    shutil.copytree(small_movielens, dataset)
    arguments = {
        "prepare": ["data", "prepare", "ml-1m", "--from", str(shared_data("ml-1m")), "--out", str(out)],
        "simulate": ["simulate", str(dataset), "--force"],
    }[command]
    env = os.environ | {"LATENTCRS_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    code, said, seconds = ended(arguments, None, env)
    assert code == 0, said
    dice = random.Random(command)
    for after in (dice.uniform(0, seconds) for _ in range(MOMENTS)):
        code, said, _ = ended(arguments, after, env)
        # -SIGINT: the interpreter was ending already.
        assert code in (0, 130, -signal.SIGINT) and "Traceback" not in said, f"after {after:.2f} s: {code} {said}"
        assert not [path for path in tmp_path.rglob("*") if ".partial" in path.name or ".old" in path.name]
    code, said, _ = ended(arguments, None, env)
    assert code == 0, said
