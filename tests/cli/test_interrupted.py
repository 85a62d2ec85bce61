"""Ctrl-C at any moment of a long command: no traceback, nothing half written, and it goes on afterwards.

`LATENTCRS_INTERRUPTS` says how often each command is interrupted; then all of them are, in place of a few once.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest
from demo_sample import fetch_sample
from safetensors.numpy import load

from brief import SETTINGS
from latentcrs.data import PreparedDataset
from latentcrs.text import missing_texts, open_encoder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
RUN = """import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a script starts in the background
print("begun", flush=True)
try:
    from {package}.cli.entry import main
    main()
except KeyboardInterrupt:
    exit(130)
"""
ENDS = (0, 130, -signal.SIGINT)
"""Done before it was interrupted, interrupted, and interrupted while the interpreter ended already."""
SMALL = " --set ".join([*SETTINGS, "behaviour.training.epochs=2", "em.epochs=2"])
COMMANDS = {
    "prepare": "data prepare ml-1m --from raw --item-core 10 --out out",
    "check": "data check ml-1m --from raw --item-core 10 --json --out out/problems.csv",
    "copy": "data copy dataset out",
    "fetch": "data fetch ml-1m --accept-terms --from raw --out out",
    "simulate": "simulate dataset --force",
    "embed": "embed dataset",
    "train": f"train dataset --out out --device cpu --set {SMALL}",
    "one-turn": "evaluate one-turn bundle --dataset dataset --sample 50 --json",
    "people": "evaluate people bundle --dataset dataset --on own=people.jsonl --only latentcrs-b,bm25 --json",
    "multi-turn": "evaluate multi-turn bundle --dataset dataset --n 12 --transcripts out/talks.jsonl --json",
    "ablation": f"lab ablation dataset --only 'hard posterior' --json --set {SMALL}",
    "heard": "evaluate heard dataset --simulated 200 --json",
    "intents": "intents bundle --dataset dataset --json --device cpu",
    "intent-map": "lab intent-map bundle --dataset dataset --out out --device cpu",
    "recommend-all": "recommend-all bundle --dataset dataset --out out/users.parquet",
    "demo": "demo --device cpu",
    "bench turn": "bench turn bundle --turns 10",
    "bench serve": "bench serve bundle --conversations 4 --turns 2",
    "bench prepare": "lab bench prepare --from raw --rows 100000 --repeats 1",
}
FEW = ("prepare", "train")
INTERRUPTS = int(os.environ.get("LATENTCRS_INTERRUPTS", "0"))
AT_ONCE = ("prepare", "copy", "fetch", "train")
"""Commands whose folder is there whole or not at all."""
WHEN = {"seconds", "training_seconds", "milliseconds", "fetched", "checksums"}
"""What differs between two runs, and the checksums of files that say it."""


@contextmanager
def running(command: str, folder: Path, waits: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A command in `folder`, as a process group of its own, from the moment when its interpreter has started."""
    environment = os.environ | {
        "LATENTCRS_CACHE": str(folder / "cache"),
        "LATENTCRS_STORE": str(folder / "store.sqlite"),
        "TMPDIR": str(folder / "temporary"),
        "OMP_NUM_THREADS": "1",
    }
    words = shlex.split(command)
    program = RUN.replace("{package}", "latentcrs_lab" if words[0] == "lab" else "latentcrs")
    words = words[words[0] == "lab" :]
    reading, writing = os.pipe()  # nobody types
    if not waits:
        os.close(writing)
    with subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env=environment,
        stdin=reading,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "begun\n"
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            os.close(reading)
            if waits:
                os.close(writing)


def ended(
    command: str, folder: Path, after: float | None = None, group: bool = True, waits: bool = False
) -> tuple[int, str, str]:
    """A command's exit code and what it said; interrupted `after` so many seconds, with what it started or alone.
    waits: whether it may wait for what is typed.
    """
    with running(command, folder, waits) as process:
        if after is not None:
            time.sleep(after)
            (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        said, told = process.communicate(timeout=600)
        assert nobody_left(process.pid), f"{command}: it left processes behind"
        return process.returncode, said, told


def nobody_left(group: int) -> bool:
    """Whether all processes of a group end soon."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def contents(folder: Path) -> dict[str, Any]:
    """Every file below `folder` by its name: what is in it that does not say when it was made."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): content(path) for path in files}


def content(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        return {name: tensor.tobytes() for name, tensor in load(data).items()}
    return timeless(json.loads(data)) if path.suffix == ".json" else hashlib.sha256(data).hexdigest()


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in WHEN}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture
def place(
    small_movielens: Path,
    small_movielens_cache: Path,
    bundle: Path,
    tmp_path: Path,
) -> Path:
    """What the commands read, in one folder."""
    folder = tmp_path / "begin"
    shutil.copytree(small_movielens, folder / "dataset")
    shutil.copytree(bundle, folder / "bundle")
    shutil.copytree(small_movielens_cache, folder / "cache")
    shutil.copytree(small_movielens.parent / "raw", folder / "raw")
    (folder / "temporary").mkdir()
    return folder


@pytest.mark.parametrize("name", COMMANDS if INTERRUPTS else FEW)
def test_a_command_that_is_interrupted_leaves_no_traceback_and_nothing_half_written_and_goes_on(
    name: str, place: Path, tmp_path: Path, shared_data: Callable[..., Path]
) -> None:
    command, here = COMMANDS[name], tmp_path / "here"
    dice = random.Random(name)
    if name == "embed":
        shutil.rmtree(place / "cache")
    if name == "people":
        own(place)
    if name == "demo":
        fetch_sample(shared_data("ml-1m"), place)

    def begin() -> None:
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(place, here)

    begin()
    at_first = contents(here)
    began = time.monotonic()
    code, said, told = ended(command, here)
    seconds = time.monotonic() - began
    assert code == 0, told
    whole, figures = outcome(name, here, said)
    caches = {path.name for path in (here / "temporary").iterdir()}  # PyTorch's
    finished = tmp_path / "finished"
    if (here / "out").exists():
        (here / "out").rename(finished)
    for time_ in range(max(INTERRUPTS, 1)):
        begin()
        there = bool(time_ % 2) and finished.exists()
        if there:
            shutil.copytree(finished, here / "out")
        after, group = dice.uniform(0, seconds), dice.random() < 0.5
        code, said, told = ended(command, here, after, group)
        why = f"{name} after {after:.2f} of {seconds:.2f} s, {'all' if group else 'alone'}: {code}\n{told}"
        assert code in ENDS and "Traceback" not in told, why
        left = [str(path.relative_to(here)) for path in here.rglob("*") if unfinished(path)]
        left += [path.name for path in (here / "temporary").iterdir() if path.name not in caches]
        assert not left, f"{why}\n{left}"
        parts = contents(here / "out")
        assert parts.items() <= whole["out"].items() and not (there and len(parts) < len(whole["out"])), why
        assert name not in AT_ONCE or len(parts) in (0, len(whole["out"])), why
        if not there and contents(here) == at_first:
            continue  # the command would do the same once more
        code, said, told = ended(command, here)
        assert code == 0, f"again, {why}, then {told}"
        assert outcome(name, here, said) == (whole, figures), why


def outcome(name: str, folder: Path, said: str) -> tuple[dict[str, Any], Any]:
    """What a command leaves in the folders that it writes to, and the figures that it prints."""
    left = {part: contents(folder / part) for part in ("out", "dataset")}
    if name == "demo":  # its vectors are rounded as the machine's speed cuts them into batches
        left[name] = dict.fromkeys(contents(folder / name))
    if name == "embed":
        dataset = PreparedDataset(folder / "dataset")
        texts = [*dataset.items["text"], *dataset.requests["text"]]
        return left, len(missing_texts(texts, open_encoder("minilm", "cpu"), folder / "cache" / "embeddings"))
    return left, timeless(json.loads(said)) if "--json" in COMMANDS[name] else None


def unfinished(path: Path) -> bool:
    return ".partial" in path.name or ".old" in path.name


def own(place: Path) -> None:
    """A file of requests that are not in the data set."""
    dataset = PreparedDataset(place / "dataset")
    ids = dataset.items["item_id"].to_list()
    rows = dataset.requests.filter(pl.col("split") == "test").head(30)
    histories = dataset.request_histories(rows)
    with (place / "people.jsonl").open("w", encoding="utf-8") as out:
        for row, (target, text) in enumerate(zip(rows["target"], rows["text"], strict=True)):
            (history,) = histories[row : row + 1].last(5)
            named = [ids[item] for item in history if item >= 0]
            line = {"history": named, "target": ids[target], "split": "test", "text": text}
            out.write(json.dumps(line) + "\n")


@pytest.mark.parametrize("command", ["serve", "mcp"])
def test_a_server_that_is_interrupted_leaves_no_traceback_and_starts_again(command: str, place: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = f"serve bundle --no-page --port {port}" if command == "serve" else "mcp bundle"
    dice = random.Random(command)
    seconds = 8.0
    for _ in range(max(INTERRUPTS, 1)):
        after, group = dice.uniform(0, seconds * 1.2), dice.random() < 0.5
        code, _, told = ended(line, place, after, group, waits=True)
        assert code in ENDS and "Traceback" not in told, f"{after:.2f} s, {code}: {told}"
        assert not list((place / "temporary").iterdir())
    if command == "serve":
        with running(line, place) as process:
            address = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 120
            while not ready(f"{address}/health/ready"):
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.1)
            assert httpx2.post(f"{address}/api/v1/conversations", json={}, timeout=60).status_code == 201


def ready(address: str) -> bool:
    try:
        return httpx2.get(address, timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False
