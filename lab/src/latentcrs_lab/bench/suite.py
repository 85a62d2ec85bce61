"""The whole suite: every benchmark in a process of its own, one JSON file, and the page that is made of it."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentcrs import __version__
from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file
from latentcrs.base.progress import say, step
from latentcrs.bench.server_process import COMMAND
from latentcrs_lab.bench.memory import PeakMemory
from latentcrs_lab.bench.page import SECTIONS, write_page

ROWS = (1_000_000, 5_000_000, 20_000_000)
ITEMS = (100_000, 300_000, 1_000_000, 3_000_000)
PARTS = tuple(SECTIONS)
PRODUCT = ("turn", "retrieve", "serve")
"""Benchmarks that `latentcrs` itself has."""
LAB_COMMAND = (sys.executable, "-c", "from latentcrs_lab.cli.main import main; main()")


@dataclass(frozen=True)
class Run:
    """One benchmark of the suite: `words` follow `latentcrs bench` or `latentcrs-lab bench`. part: the section of the
    page it belongs to.
    """

    part: str
    name: str
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        return f"{self.program} bench {' '.join(self.words)}"

    @property
    def program(self) -> str:
        return "latentcrs" if self.words[0] in PRODUCT else "latentcrs-lab"


def runs_of(bundle: str, dataset: str, data: str) -> list[Run]:
    """Every run of the suite, on a bundle, the data set that it was trained on, and that data set's raw `data`."""

    def of(part: str, name: str, *words: object) -> Run:
        return Run(part, name, tuple(map(str, words)))

    return [
        *(of("prepare", f"prepare-{rows}", "prepare", "--data", data, "--rows", rows) for rows in ROWS),
        of("train", "train", "train", "--data", data),
        of("embed", "embed", "embed", dataset),
        of("turn", "turn", "turn", bundle),
        *(of("retrieve", f"retrieve-{n}", "retrieve", "--bundle", bundle, "--items", n) for n in ITEMS),
        of("retrieve", "bulk", "bulk", bundle),
        of("serve", "serve", "serve", bundle),
        of("serve", "serve-kill", "serve", bundle, "--kill"),
        of("serve", "serve-pause", "serve", bundle, "--pause", 10),
    ]


def run_suite(runs: Sequence[Run], page: Path, again: bool = False) -> list[str]:
    """Run what is not done yet, each in a process of its own, and write the page, its pictures and the JSON.

    The JSON lies beside the page and is written after every run: a suite that was stopped goes on, and a run that was
    done with the same command and version is not repeated unless `again`.

    Args:
        page: the Markdown file. Pictures go into the folder of its name without the ending.

    Returns:
        What failed, a sentence each; the page has what did not.

    Raises:
        UserError: the JSON beside the page is no suite's, or psutil or matplotlib is missing.
    """
    stored = page.with_suffix(".json")
    done, failed = read_results(stored), []
    with step("benchmarks", len(runs)) as bar:
        for run in runs:
            bar.note(run.command)
            before = done.get(run.name, {})
            if again or (before.get("command"), before.get("version")) != (run.command, __version__):
                try:
                    done[run.name] = _measured(run, page.with_suffix("") / "logs")
                except UserError as error:
                    failed.append(str(error))
                    say(str(error))
                with atomic_file(stored) as temporary:
                    temporary.write_text(json.dumps(done, indent=1), "utf-8")
            bar.advance()
    in_order = {run.name: done[run.name] for run in runs if run.name in done}
    write_page(in_order | done, page)
    return failed


def read_results(stored: Path) -> dict[str, dict[str, Any]]:
    """What an earlier suite has left in its JSON, by the names of its runs; nothing where there is no file.

    Raises:
        UserError: the file is no suite's.
    """
    if not stored.is_file():
        return {}
    try:
        found = json.loads(stored.read_text("utf-8"))
        if all({"command", "part", "result"} <= set(run) for run in found.values()):
            return dict(found)
    except (ValueError, AttributeError, TypeError):
        pass
    raise UserError(f"{stored} is no JSON of 'latentcrs-lab bench'; name another --page, or move it away.")


def _measured(run: Run, logs: Path) -> dict[str, Any]:
    """One run: its figures, and what the whole process took."""
    logs.mkdir(parents=True, exist_ok=True)
    log, busy, began = logs / f"{run.name}.log", os.getloadavg()[0], time.perf_counter()
    command = [*(COMMAND if run.program == "latentcrs" else LAB_COMMAND), "bench", *run.words, "--json"]
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        try:
            with PeakMemory(process.pid) as memory:
                printed, _ = process.communicate()
        finally:
            process.kill()
    if process.returncode:
        said = log.read_text("utf-8").strip().splitlines() or ["it said nothing"]
        raise UserError(f"{run.command} failed (exit code {process.returncode}): {said[-1]}")
    return {
        "part": run.part,
        "command": run.command,
        "version": __version__,
        "date": datetime.date.today().isoformat(),
        "busy": busy,
        "seconds": time.perf_counter() - began,
        "peak_mib": memory.mib,
        "result": json.loads(printed),
    }
