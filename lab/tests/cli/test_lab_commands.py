"""Every command of the laboratory explains itself, and refuses what cannot be in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from latentcrs_lab.cli import main as cli


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group below one, with the words that call it."""
    if words:
        yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))


COMMANDS = dict(commands(typer.main.get_command(cli.app)))
NUMBERS = [
    (words, option)
    for words, command in COMMANDS.items()
    for option in command.params
    if option.name != "help" and option.type_descriptor.annotation in (int, float)
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(cli.app, [*words, "--help"])
    assert told.exit_code == 0 and "Example:" in told.output


@pytest.mark.parametrize(("words", "option"), NUMBERS, ids=lambda case: getattr(case, "name", None))
def test_a_number_out_of_reach_is_refused_at_the_door(
    words: tuple[str, ...], option: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert None not in (option.min, option.max), "without bounds infinity is taken, and any cost"
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    needed = [one for one in COMMANDS[words].params if one.required]
    required = ["nothing-here" for one in needed if one.param_type_name == "argument"]
    options = [f"{one.opts[0]}=nothing-here" for one in needed if one.param_type_name != "argument"]
    for value in ("nan", "inf", "9" * 40, str(option.max + 1)):
        monkeypatch.setattr(sys, "argv", ["latentcrs-lab", *words, f"{option.opts[0]}={value}", *options, *required])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2 and f"'{option.opts[0]}'" in capfd.readouterr().err
