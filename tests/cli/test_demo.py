"""`latentcrs demo` from raw files to a conversation, and what `make` installs for it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from demo_sample import fetch_sample

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from latentcrs.cli.main import main; main()", "demo"]


@pytest.fixture(scope="module")
def sample(shared_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's folder with raw files in it."""
    folder = tmp_path_factory.mktemp("demo")
    fetch_sample(shared_data("ml-1m"), folder)
    return folder


def run(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command in the folder `home`, with caches of its own and no terminal."""
    return subprocess.run(
        [*COMMAND, "--device", "cpu", *options],
        cwd=home,
        env=environment(home),
        input="",
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "NICEGUI"))}
    own = {"LATENTCRS_CACHE": str(home / "cache"), "LATENTCRS_STORE": str(home / "store.sqlite")}
    return {**kept, **own, "PYTHONUTF8": "1", "COLUMNS": "100"}


@pytest.fixture(scope="module")
def first(sample: Path) -> subprocess.CompletedProcess[str]:
    done = run(sample)
    assert not (sample / "demo" / "one-turn.json").exists()
    return done


def test_the_demo_talks_without_measuring_anything_and_says_what_to_do_next(
    sample: Path, first: subprocess.CompletedProcess[str]
) -> None:
    assert first.returncode == 0, first.stderr
    assert "you> something funny from the nineties\nWith Comedy and year 1990 to 1999:" in first.stdout
    assert re.findall(r"^(\d)/5 (\w+)", first.stderr, re.MULTILINE) == [
        ("1", "fetch"), ("2", "prepare"), ("3", "simulate"), ("4", "embed"), ("5", "train"),
    ]  # fmt: skip
    assert re.search(r"^first answer after \d+ s$", first.stderr, re.MULTILINE)
    assert "fusion" not in first.stderr
    end = first.stderr.strip().splitlines()[-3:]
    assert "demo --page" in end[0] and "demo --table" in end[0]
    assert "data prepare own --interactions" in end[1] and "docs/how-to/your-data.md" in end[2]
    assert (ROOT / "docs" / "how-to" / "your-data.md").is_file()


def test_what_was_done_is_not_done_again_until_its_settings_change(
    sample: Path, first: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    again = run(sample)
    assert again.returncode == 0 and again.stderr.count("already there") == 5
    assert again.stdout == first.stdout
    for name in ("demo", "cache"):
        shutil.copytree(sample / name, tmp_path / name)
    manifest = tmp_path / "demo" / "model" / "bundle.json"
    manifest.write_text(re.sub(r'"batch": \d+', '"batch": 77', manifest.read_text("utf-8")), "utf-8")
    changed = run(tmp_path)
    assert changed.returncode == 0 and changed.stderr.count("already there") == 4, changed.stderr


def test_the_table_is_measured_when_it_is_asked_for(sample: Path, first: subprocess.CompletedProcess[str]) -> None:
    measured = run(sample, "--table")
    assert measured.returncode == 0, measured.stderr
    assert "two-tower fusion" in measured.stdout and "LatentCRS_B" in measured.stdout
    assert "you>" not in measured.stdout
    again = run(sample, "--table")
    assert again.stdout == measured.stdout and again.stderr.count("already there") == 6


def test_the_page_is_served_in_place_of_the_chat(
    sample: Path, first: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [*COMMAND, "--page", "--port", address.rpartition(":")[2], "--device", "cpu"]
    told, nothing = tmp_path / "told.txt", subprocess.DEVNULL
    with told.open("w") as log:
        server = subprocess.Popen(command, cwd=sample, env=environment(sample), stdin=nothing, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 300
        while not ready(address):
            assert server.poll() is None and time.monotonic() < deadline, told.read_text("utf-8")
            time.sleep(0.1)
        page = httpx2.get(address, timeout=60)
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        said = told.read_text("utf-8")
        assert address in said and "data prepare own" in said and "you>" not in said
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def ready(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/health/ready", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.mark.parametrize(
    ("options", "reason"),
    [([], "--accept-terms"), (["--page", "--table"], "one of the three"), (["--likes", "Alien", "--page"], "one of")],
)
def test_terms_that_nobody_accepts_and_a_choice_of_two_are_one_sentence(
    options: list[str], reason: str, tmp_path: Path
) -> None:
    refused = run(tmp_path, *options)
    assert refused.returncode == 2 and not refused.stdout and not (tmp_path / "demo").exists()
    assert reason in refused.stderr and "Traceback" not in refused.stderr


class Made:
    """A checkout in which `make` runs, with an environment whose programs only write down how they are called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "calls.txt"
        (folder / "lab").mkdir(exist_ok=True)
        for name in ("Makefile", "pyproject.toml", "constraints.txt", "lab/pyproject.toml"):
            shutil.copy2(ROOT / name, folder / name)
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name in ("python", "pip", "latentcrs", "ruff", "mypy"):
            (programs / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "{self.log}"\n')
            (programs / name).chmod(0o755)

    def calls(self, target: str) -> list[str]:
        """What `make target` calls."""
        self.log.write_text("")
        subprocess.run(
            ["make", target], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True
        )
        return self.log.read_text("utf-8").splitlines()

    def installs(self, target: str) -> list[set[str]]:
        """The extras of each installation that `make target` begins."""
        found = [re.search(r"-e \.\[(.*?)\]", call) for call in self.calls(target) if "pip install" in call]
        return [set(extras[1].split(",")) for extras in found if extras]


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_installs_what_a_target_needs_and_nothing_twice(tmp_path: Path) -> None:
    made = Made(tmp_path)
    wanted = {"serve", "web"}
    assert made.installs("demo") == [wanted]
    assert made.calls("demo") == ["latentcrs demo --accept-terms"]
    (everything,) = made.installs("lint")
    assert everything > wanted | {"dev", "ray", "spark", "postgres"}
    assert made.installs("install") == made.installs("demo") == []
    shutil.rmtree(tmp_path / ".venv")
    other = Made(tmp_path)
    assert other.installs("install") == [everything] and other.installs("demo") == []
    later = time.time() + 5
    os.utime(tmp_path / "pyproject.toml", (later, later))
    assert other.installs("demo") == [wanted] and other.installs("install") == [everything]
