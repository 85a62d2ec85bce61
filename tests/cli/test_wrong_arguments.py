"""Wrong arguments of every command, found by walking them all: one sentence and exit code 2, never a traceback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from latentcrs.cli import main as cli

RUN = [sys.executable, "-c", "from latentcrs.cli.entry import main; main()"]
NO_NUMBERS = ("", "abc", "nan", "inf", "-inf", "1e400", "9" * 40, "0x10", "1,5")
NOWHERE = ("http://", "http://[::1", "http://h:99999", "http://h:x/v1", "http://h:0/v1", "http://a b/", "ftp://h/v1")
STRANGE = ("", "a\nb", "x" * 5000, "--", "-1", "[", "http://[::1", "🎉")
Ran = tuple[int, str]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below one, with the words that name it."""
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


COMMANDS = dict(commands(typer.main.get_command(cli.app)))
OPTIONS = [(path, option) for path, command in COMMANDS.items() for option in command.params if option.name != "help"]


def is_number(option: Any) -> bool:
    return option.type_descriptor.annotation in (int, float)


def named(case: Any) -> str | None:
    return " ".join(case) if isinstance(case, tuple) else getattr(case, "name", None)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Ran]:
    """Runs the command line in this process, in an empty folder; its exit code and what it said on standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LATENTCRS_STORE", str(tmp_path / "store.sqlite"))
    for name in ("LATENTCRS_LLM_URL", "LATENTCRS_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cli.err_console, "_width", None)
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # what cannot be written ends in another one

    def running(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["latentcrs", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capfd.readouterr().err

    return running


def with_value(path: tuple[str, ...], option: Any, value: str) -> list[str]:
    """A call of a command with one option as given, whose required arguments name nothing that there is."""
    options, arguments = [], []
    for one in COMMANDS[path].params:
        given = value if one is option else "nothing-here"
        if one.param_type_name == "argument":
            arguments += [given] if one.required or one is option else []
        elif one is option or one.required:
            options.append(f"{one.opts[0]}={given}")
    return [*path, *options, "--", *arguments]


@pytest.mark.parametrize(("path", "option"), [case for case in OPTIONS if is_number(case[1])], ids=named)
def test_what_is_no_number_or_out_of_reach_is_refused_at_the_door(
    run: Callable[..., Ran], path: tuple[str, ...], option: Any
) -> None:
    assert None not in (option.min, option.max), "without bounds infinity is taken, and any cost"
    whole = option.type_descriptor.annotation is int
    beyond = [str(option.min - 1), str(option.max + 1), *(["0.5"] if whole else [])]
    for value in (*NO_NUMBERS, *beyond):
        code, said = run(*with_value(path, option, value))
        assert code == 2 and f"'{option.opts[0]}'" in said, f"{value[:50]!r}: {said}"


@pytest.mark.parametrize(("path", "option"), [case for case in OPTIONS if case[1].name.endswith("llm")], ids=named)
def test_what_names_no_language_model_is_refused_at_the_door(
    run: Callable[..., Ran], path: tuple[str, ...], option: Any
) -> None:
    if option.is_flag or is_number(option):
        return
    for value in ("gpt-5", *NOWHERE):
        code, said = run(*with_value(path, option, value))
        assert code == 2 and "language model" in said and repr(value) in said, said


@pytest.mark.parametrize(("path", "option"), [case for case in OPTIONS if case[1].name == "device"], ids=named)
def test_what_is_no_device_is_refused_at_the_door(
    run: Callable[..., Ran], path: tuple[str, ...], option: Any
) -> None:
    for value in ("tpu", "", "cuda:x", "cuda:-1", "cpu:1", "cuda:99999"):
        code, said = run(*with_value(path, option, value))
        assert code == 2 and f"There is no device {value!r}" in said, said


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--host", ("", "a b", "http://h", "h/x", "x" * 300, "a..b", "user@h")),
        ("--allowed-host", ("", "a b", "http://h", "h/x", "x" * 300)),
        (
            "--cors-origin",
            ("", "*", "example.org", "https://example.org/", "https://u:p@example.org", *NOWHERE),
        ),
        ("--db", ("mongodb://h/d", "postgresql://u:p@ss@h/d", "postgresql://h:x/d", ":memory:", "sqlite://")),
    ],
)
def test_what_is_no_address_is_refused_at_the_door(
    run: Callable[..., Ran], option: str, values: tuple[str, ...]
) -> None:
    for value in values:
        code, said = run("serve", "nothing-here", f"{option}={value}")
        assert code == 2 and "nothing-here" not in said and "p@ss" not in said, f"{value!r}: {said}"


@pytest.mark.parametrize(("path", "option"), OPTIONS, ids=named)
def test_nothing_that_is_given_ends_in_a_traceback(
    run: Callable[..., Ran], path: tuple[str, ...], option: Any
) -> None:
    required = [one for one in COMMANDS[path].params if one.required]
    if getattr(option, "is_flag", False) or is_number(option) or not required:
        return  # without anything required the command would do its work
    for value in STRANGE:
        code, said = run(*with_value(path, option, value))
        made = path == ("keys", "new") and code == 0  # whose key, and in which file, may be called nearly anything
        assert (code == 2 or made) and "Traceback" not in said, f"{value[:50]!r}: {said}"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_an_option_that_there_is_not_is_named(run: Callable[..., Ran], path: tuple[str, ...]) -> None:
    code, said = run(*path, "--no-such-option")
    assert code == 2 and "--no-such-option" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_device_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        for arguments in (["data", "list"], ["--help"], ["models", "list", "--json"], ["data", "list", "--json"]):
            ran = subprocess.run([*RUN, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
            assert (ran.returncode, ran.stderr) == (2, "error: No space left on device.\n")
        assert subprocess.run([*RUN, "data", "show", "nothing"], stderr=full).returncode == 2


def test_without_a_locale_paths_in_unicode_are_opened_and_shown(small_movielens: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Ünï 日本"
    shutil.copytree(small_movielens, folder)
    plain = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for arguments, code in ((["data", "show", str(folder)], 0), (["data", "show", f"{folder}x"], 2)):
        ran = subprocess.run([*RUN, *arguments], env=plain, capture_output=True)
        assert ran.returncode == code and b"Traceback" not in ran.stderr
    assert f"{folder}x is not a prepared data set" in re.sub(r"\s+", " ", ran.stderr.decode())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_an_argument_that_is_no_text_is_refused() -> None:
    ran = subprocess.run([*RUN, "data", "show", b"/tmp/\xff\xfe"], capture_output=True, text=True)
    assert ran.returncode == 2 and "no Unicode text" in ran.stderr and "Traceback" not in ran.stderr
