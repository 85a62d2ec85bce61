"""Takes the steps of a report, each in a process of its own; what is done of the same inputs is not done again."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from latentcrs import __version__
from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file, sha256_of
from latentcrs.base.progress import say, step
from latentcrs.bench.machine import hardware
from latentcrs.data.dataset import MANIFEST as DATASET
from latentcrs.fit.training import fingerprint
from latentcrs.recommend.bundle import MANIFEST as BUNDLE
from latentcrs_lab.bench.memory import PeakMemory
from latentcrs_lab.report.steps import CHECKOUT, LAB, PRODUCT, SCRIPT, Plan, Step

Record = Mapping[str, Any]
"""What is kept of a step: command, inputs, version, commit, date, hardware, seed, split, seconds, peak_mib, busy
(the load average before), and the result.
"""
PROGRAMS = {
    PRODUCT: (sys.executable, "-c", "from latentcrs.cli.main import main; main()"),
    LAB: (sys.executable, "-c", "from latentcrs_lab.cli.main import main; main()"),
    SCRIPT: (sys.executable,),
}
SEED = 0


def run_steps(plan: Plan, steps: Sequence[Step], again: bool = False) -> list[str]:
    """Take `steps` in their order; returns what failed, a sentence each. A step that needs what failed is left out.

    A step is done where its record has the same command, version and inputs, and what it makes is there; `again`
    takes it all the same.
    """
    failed: list[str] = []
    lacking: set[Path] = set()
    with step("report", len(steps)) as bar:
        for one in steps:
            bar.note(one.name)
            if lost := lacking & set(one.reads):
                failed.append(f"{one.name} was left out: it needs {typed(plan, [str(min(lost))])}.")
                say(failed[-1])
                lacking |= {one.makes} if one.makes else set()
            elif again or not is_done(plan, one):
                try:
                    _keep(plan, one, measured(plan, one))
                except UserError as error:
                    failed.append(str(error))
                    say(str(error))
                    lacking |= {one.makes} if one.makes else set()
            bar.advance()
        bar.note(f"{len(steps) - len(failed)} of {len(steps)} steps")
    return failed


def is_done(plan: Plan, one: Step) -> bool:
    """Whether a step has a record of its command, this version and the inputs that are there now."""
    record = read_record(plan, one.name)
    made = one.makes is None or one.makes.exists()
    return made and record is not None and record["mark"] == _mark(plan, one, inputs_of(plan, one))


def read_record(plan: Plan, name: str) -> Record | None:
    """What an earlier run has kept of a step; None where it has not.

    Raises:
        UserError: the file is no record of ours.
    """
    path = plan.out / "steps" / f"{name}.json"
    if not path.is_file():
        return None
    try:
        found: Record = json.loads(path.read_text("utf-8"))
        if {"mark", "command", "result", "seconds"} <= set(found):
            return found
    except (ValueError, TypeError):
        pass
    raise UserError(f"{path} is no record of 'latentcrs-lab report'; move it away, or name another --out.")


def records_of(plan: Plan, steps: Sequence[Step]) -> dict[str, Record]:
    """The records that there are, by the names of their steps."""
    found = ((one.name, read_record(plan, one.name)) for one in steps)
    return {name: record for name, record in found if record is not None}


def inputs_of(plan: Plan, one: Step) -> dict[str, str | None]:
    """What a step reads, by its name without our folders -> a digest of it; None where nothing is there."""
    return {typed(plan, [str(path)]): digest(path) for path in one.reads}


def digest(path: Path) -> str | None:
    """The SHA-256 of a file, of the manifest of a data set or bundle, or of all files of another folder."""
    for manifest in (path / DATASET, path / BUNDLE):
        if manifest.is_file():
            return sha256_of(manifest)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return fingerprint([(str(file.relative_to(path)), sha256_of(file)) for file in files])
    return sha256_of(path) if path.is_file() else None


def typed(plan: Plan, words: Sequence[str]) -> str:
    """A command as somebody types it where data and models lie: without our folders."""
    folders = [f"{folder}{os.sep}" for folder in (plan.out, plan.home, CHECKOUT) if folder is not None]
    for folder in folders:
        words = [word.removeprefix(folder) for word in words]
    return " ".join(word for word in words if word != "--json")


def measured(plan: Plan, one: Step) -> dict[str, Any]:
    """Run the commands of a step.

    Raises:
        UserError: what it reads is not there, a command ended with an error, or printed no JSON.
    """
    inputs = inputs_of(plan, one)
    if gone := [name for name, found in inputs.items() if found is None]:
        raise UserError(f"{one.name} needs {gone[0]}, which is not there.")
    busy, began, peak, printed = os.getloadavg()[0], time.perf_counter(), 0.0, ""
    log = plan.out / "logs" / f"{one.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stderr:
        for words in one.commands:
            command = [*PROGRAMS[words[0]], *words[1:]]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
            try:
                with PeakMemory(process.pid) as memory:
                    printed, _ = process.communicate()
            finally:
                process.kill()
            peak = max(peak, memory.mib)
            if process.returncode:
                said = log.read_text("utf-8").strip().splitlines() or ["it said nothing"]
                raise UserError(
                    f"{one.name} failed: {typed(plan, words)} ended with {process.returncode}: {said[-1]}"
                )
    try:
        result = json.loads(printed) if one.makes is None else None
    except ValueError:
        raise UserError(f"{one.name} failed: {typed(plan, one.commands[-1])} printed no JSON.") from None
    return {
        "mark": _mark(plan, one, inputs),
        "part": one.part,
        "command": [typed(plan, words) for words in one.commands],
        "inputs": inputs,
        "version": __version__,
        "commit": _commit(),
        "date": datetime.date.today().isoformat(),
        "hardware": hardware("auto"),
        "seed": SEED,
        "split": one.split,
        "seconds": round(time.perf_counter() - began, 1),
        "peak_mib": round(peak),
        "busy": busy,
        "result": result,
    }


def _mark(plan: Plan, one: Step, inputs: Mapping[str, str | None]) -> str:
    return fingerprint([typed(plan, words) for words in one.commands], dict(inputs), __version__)


def _keep(plan: Plan, one: Step, record: Record) -> None:
    with atomic_file(plan.out / "steps" / f"{one.name}.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1), "utf-8")


@cache
def _commit() -> str | None:
    """The commit of the code that runs, where it is a checkout."""
    here = Path(__file__).parent
    if shutil.which("git") is None:
        return None
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True)
    return asked.stdout.strip() or None
