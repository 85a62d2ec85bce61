"""The tutorial does what it says: every command, snippet and cell of its notebook runs, on its own files."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from brief import SETTINGS
from latentcrs.cli.main import app
from latentcrs.intent import load_config
from pages import ROOT, blocks, commands_in

TUTORIAL = ROOT / "docs" / "tutorial"
PAGE = TUTORIAL / "index.md"
BRIEF = [*SETTINGS, "model.calibrated=false"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts are embedded once: page and notebook say the same of the same library."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def here(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the tutorial's files, in which it is followed."""
    for name in ("loans.csv", "books.csv"):
        shutil.copy(TUTORIAL / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LATENTCRS_CACHE", str(cache))
    monkeypatch.setenv("LATENTCRS_STORE", str(tmp_path / "store.sqlite"))
    return tmp_path


def run(words: list[str], said: str = "") -> str:
    """What a command prints, however wide the terminal is."""
    done = CliRunner().invoke(app, words, input=said, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_the_tutorial_runs_from_the_files_to_a_chat_and_python(here: Path, brief_paper: None) -> None:
    (mapping,) = blocks(PAGE, "toml")
    (here / "mapping.toml").write_text(mapping.text, "utf-8")
    (transcript,) = [block.text for block in blocks(PAGE, "") if "you> " in block.text]
    said = "\n".join(re.findall(r"^you> (.+)$", transcript, re.MULTILINE))
    ours = [words[1:] for block in blocks(PAGE, "sh") for words in commands_in(block.text)]
    assert [words[0] for words in ours] == ["data", "data", "train", "chat", "evaluate", "serve"]
    check, prepare, train, chat, evaluate, serve = ours
    assert "300 users, 216 items, 2,400 interactions" in run(check)
    assert re.search(r"description +text", run(prepare))
    run([*train, "--device", "cpu", *(word for setting in BRIEF for word in ("--set", setting))])
    told = run(chat, said)
    assert "[1 genre: Mystery] [2 author: not Ada Holm] [3 wish: year 1990 to 1999]" in told
    assert "No longer asked for: author: not Ada Holm." in told
    assert "LatentCRS_B (default)" in run([*evaluate, "--sample", "20"])
    assert (here / serve[1] / "bundle.json").is_file()
    (snippet,) = blocks(PAGE, "python")
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        exec(compile(snippet.text, str(PAGE), "exec"), {})
    assert len(shown.getvalue().splitlines()) >= 5


def test_the_notebook_runs_from_its_first_cell_to_its_last(here: Path) -> None:
    notebook = json.loads((TUTORIAL / "tutorial.ipynb").read_text("utf-8"))
    config = load_config(settings=BRIEF).model_dump()
    brief = {name: config[name] for name in ("behaviour", "model", "em")}
    brief["model"]["calibrated"] = False  # a dump leaves out what is off
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                source = "".join(cell["source"]).replace("settings = {}", f"settings = {brief!r}")
                exec(compile(source, cell["id"], "exec"), names)
                assert not cell["outputs"], "a notebook is kept without what it printed"
    assert "you> ideally from the nineties" in shown.getvalue()
    assert {"genre: Mystery", "author: not Ada Holm"} <= set(names["turn"].rules)
    assert len(names["turn"].items) == 5


def test_the_files_are_those_that_their_script_makes(tmp_path: Path) -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "invented_library", ROOT / "lab" / "scripts" / "invented_library.py"
    )
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    for name, frame in zip(("loans.csv", "books.csv"), made.library(), strict=True):
        frame.write_csv(tmp_path / name)
        assert (tmp_path / name).read_bytes() == (TUTORIAL / name).read_bytes()
