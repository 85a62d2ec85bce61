"""Every command explains itself, with an example, and without waiting for PyTorch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from latentcrs.cli.main import app


def commands() -> Iterator[tuple[str, ...]]:
    """Every command and group, as the words that call it."""

    def below(command: object, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if words:
            yield words
        for name, child in getattr(command, "commands", {}).items():
            yield from below(child, (*words, name))

    yield from below(typer.main.get_command(app), ())


COMMANDS = list(commands())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, [*words, "--help"])
    assert told.exit_code == 0
    assert "Example:" in told.output or "Examples:" in told.output


def test_the_commands_that_scripts_rely_on_are_there() -> None:
    spelled = {" ".join(words) for words in COMMANDS}
    assert {"data prepare", "simulate", "train", "evaluate one-turn", "chat", "demo", "bench turn"} <= spelled


def test_latentcrs_alone_shows_its_help() -> None:
    told = CliRunner().invoke(app, [])
    assert "Usage" in told.output and "chat" in told.output


def test_help_does_not_wait_for_pytorch() -> None:
    heavy = "{'torch', 'faiss', 'sentence_transformers'}"
    check = f"import sys, latentcrs.cli.main; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
