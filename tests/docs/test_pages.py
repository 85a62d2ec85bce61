"""Everything that the pages tell to type is there: commands and their options, variables, extras, files, snippets."""

from __future__ import annotations

import ast
import importlib
import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.exceptions import TyperException

from latentcrs.cli.main import app
from latentcrs.data.mapping import mapping_of
from latentcrs.recommend.policy import read_policies
from latentcrs_lab.cli.main import app as lab
from pages import PAGES, ROOT, blocks, commands_in, named
from reference import VARIABLES, variables_read

SHELL = ("", "sh", "bash", "console")
PROGRAMS = {"latentcrs": app, "latentcrs-lab": lab}
every_page = pytest.mark.parametrize("page", PAGES, ids=named)


def refused(words: list[str], whole: bool) -> str | None:
    """Why the command line would not take these words; None where it would. `whole`: arguments that are needed are
    there, too; where a sentence only names a command, they are not.
    """
    command: Any = typer.main.get_command(PROGRAMS[words[0]])
    rest = words[1:]
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    if not rest and not whole:
        return None
    try:
        parsed = command.make_parser(typer.Context(command, info_name=words[0])).parse_args(list(rest))
    except TyperException as error:
        return f"{' '.join(words)}: {error}"
    given, left, _ = parsed
    needed = {one.name for one in command.params if one.required and not given.get(one.name)}
    if needed and whole and "--help" not in rest:
        return f"{' '.join(words)}: {' and '.join(needed)} not given"
    return f"{' '.join(words)}: there is no {left[0]}" if left else None


@every_page
def test_every_command_is_one_that_the_command_line_takes(page: Path) -> None:
    text = page.read_text("utf-8")
    inline = re.findall(r"(?<!`)`((?:latentcrs|latentcrs-lab) [^`]+)`(?!`)", text.replace("\n", " "))
    told = [(block.text, True) for block in blocks(page) if block.language in SHELL] + [
        (one, False) for one in inline
    ]
    wrong = [why for lines, whole in told for words in commands_in(lines) if (why := refused(words, whole))]
    assert not wrong, "\n".join(wrong)


@cache
def options() -> set[str]:
    """The options of all commands."""
    return {"--help"}.union(*(every_option(typer.main.get_command(one)) for one in PROGRAMS.values()))


def every_option(command: Any) -> Iterator[str]:
    """The options of a command and of all commands below it."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for below in getattr(command, "commands", {}).values():
        yield from every_option(below)


@every_page
def test_every_option_variable_extra_and_file_that_is_named_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    assert set(re.findall(r"(?<=`)--[a-z][a-z-]+", text)) <= options()
    assert set(re.findall(r"LATENTCRS_[A-Z_]+(?<!_)", text)) <= variables_read() | TESTS_OWN
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    asked = {name for names in re.findall(r"(?:latentcrs|\.)\[([a-z,-]+)\]", text) for name in names.split(",")}
    assert asked <= set(extras)
    paths = set(re.findall(r"\b(?:examples|tests|lab|src)/[\w./-]+\.(?:py|md|toml|png)\b", text))
    assert not {path for path in paths if not (ROOT / path).exists()}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)\b", text, re.MULTILINE)) <= targets


TESTS_OWN = {f"LATENTCRS_{name}" for name in ("TEST_POSTGRES", "EXAMPLES", "INTERRUPTS", "STREAMS", "LIVE")}
"""What the tests read themselves."""


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names that a snippet takes out of our packages: imported, or attributes of `latentcrs`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in (
            "latentcrs",
            "latentcrs_lab",
        ):
            yield from ((str(node.module), alias.name) for alias in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "latentcrs":
            yield "latentcrs", node.attr


@every_page
def test_every_snippet_can_be_read_and_names_what_there_is(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "python"):
        for module, name in imported(ast.parse(block.text, f"{named(page)}:{block.line}")):
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
    for block in blocks(page, "json"):
        json.loads(block.text)
    for block in blocks(page, "yaml"):
        assert yaml.safe_load(block.text)
    for block in blocks(page, "toml"):
        values = tomllib.loads(block.text)
        if "always" in values:
            (tmp_path / "policy.toml").write_text(block.text, "utf-8")
            assert read_policies(tmp_path / "policy.toml")
        elif set(values) & {"interactions", "items", "ids", "events", "ratings"}:
            mapping_of(values, page)


def test_every_variable_has_a_sentence_in_the_reference() -> None:
    assert set(VARIABLES) == variables_read()


def words(page: Path) -> int:
    """How many words a page has, without what a program printed in a conversation."""
    text = page.read_text("utf-8")
    for block in blocks(page, ""):
        text = text.replace(block.text, "") if "you> " in block.text else text
    return len(text.split())


def test_the_site_is_short_enough_to_be_read() -> None:
    site = [page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.name != "dependencies.md"]
    assert sum(map(words, site)) <= 20_000 and len((ROOT / "README.md").read_text("utf-8").split()) <= 900


def test_every_link_outside_of_the_site_leads_to_a_file() -> None:
    outside = [page for page in PAGES if not page.is_relative_to(ROOT / "docs")] + sorted(
        (ROOT / "lab").rglob("*.md")
    )
    links = {
        page.parent / link
        for page in outside
        for link in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    }
    assert len(links) > 50 and not {link for link in links if not link.exists()}
