"""The files by which others run a server name commands, options, variables, packages and files that there are."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import yaml

from latentcrs.cli.main import app
from latentcrs.serve.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
CONTAINER = (ROOT / "Containerfile").read_text("utf-8").replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
DEPLOY = (ROOT / "docs" / "how-to" / "deploy.md").read_text("utf-8")


def instructions(name: str) -> list[str]:
    """What follows an instruction of the Containerfile, in order."""
    return re.findall(rf"^{name}\s+(.*)$", CONTAINER, re.MULTILINE)


def blocks(language: str) -> list[str]:
    """The blocks of a language in docs/how-to/deploy.md, with lines that were broken joined."""
    return [block.replace("\\\n", " ") for block in re.findall(rf"```{language}\n(.*?)```", DEPLOY, re.DOTALL)]


def commands() -> list[list[str]]:
    """Every `latentcrs` command that these files run, as words behind its name."""
    entry = json.loads(instructions("ENTRYPOINT")[-1])
    assert entry == ["latentcrs"]
    lines = [line for block in (*blocks("sh"), *blocks("ini")) for line in block.splitlines()]
    written = [line.split("/bin/latentcrs ", 1)[1] for line in lines if "/bin/latentcrs " in line]
    inline = re.findall(r"`docker compose run [^`]*? latentcrs ([^`]+)`", DEPLOY)
    given = [json.loads(instructions("CMD")[-1]), COMPOSE["services"]["latentcrs"]["command"]]
    return [*given, *map(shlex.split, (*written, *inline))]


def every_option(command: Any) -> Iterator[str]:
    """The options of a command and of all commands below it."""
    for parameter in command.params:
        yield from parameter.opts
    for below in getattr(command, "commands", {}).values():
        yield from every_option(below)


def test_every_command_and_option_is_one_of_the_command_line() -> None:
    asked = commands()
    assert len(asked) >= 5
    for words in asked:
        command: Any = typer.main.get_command(app)
        rest = list(words)
        while hasattr(command, "commands"):
            assert rest and rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        options = {word.split("=")[0] for word in rest if word.startswith("--")}
        assert options <= known, (words, options - known)
    (deployed,) = [block for block in blocks("yaml") if "import_path" in block]
    for one in yaml.safe_load(deployed)["applications"]:
        assert set(one["args"]) <= set(Settings.model_fields) and one["import_path"] == "latentcrs.scale.serving:app"
    told = set(re.findall(r"(?<=`)--[a-z-]+", DEPLOY))
    assert told <= set(every_option(typer.main.get_command(app)))


def test_every_variable_is_one_that_is_read() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    text = CONTAINER + DEPLOY + str(COMPOSE["services"]["latentcrs"].get("environment"))
    set_here = set(re.findall(r"(LATENTCRS_[A-Z]+)(?==|': )", text))
    assert {"LATENTCRS_STORE", "LATENTCRS_KEYS", "LATENTCRS_CACHE"} <= set_here
    assert all(f'"{name}"' in source for name in set_here)


def test_every_extra_is_one_of_the_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    asked = [set(names.split(",")) for names in re.findall(r"\.\[([a-z,-]+)\]", CONTAINER + DEPLOY)]
    assert len(asked) == 3
    for names in asked:
        wanted = {"ray-serve"} if "ray-serve" in names else {"redis", "web"}
        assert {"postgres", "serve", *wanted} <= names <= set(extras)


def test_the_image_is_made_of_files_that_it_is_given() -> None:
    given = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    copied = [part for line in instructions("COPY") if "--from" not in line for part in shlex.split(line)[:-1]]
    assert sorted(copied) == sorted(given) and all((ROOT / name).exists() for name in copied)


def test_the_server_in_the_container_is_nobody_and_a_process_that_signals_reach() -> None:
    assert instructions("USER") == ["latentcrs"] and "useradd" in CONTAINER
    for name in ("ENTRYPOINT", "CMD", "VOLUME"):
        assert isinstance(json.loads(instructions(name)[-1]), list)
    check = instructions("HEALTHCHECK")[0]
    words = json.loads(check[check.index("[") :])
    compile(words[2], "HEALTHCHECK", "exec")
    assert words[:2] == ["python", "-c"] and "/health/live" in words[2]
    assert f":{instructions('EXPOSE')[0]}/" in words[2]


def test_the_servers_of_the_compose_file_wait_for_the_database_and_are_reached_by_this_machine_alone() -> None:
    server, database = COMPOSE["services"]["latentcrs"], COMPOSE["services"]["postgres"]
    assert server["depends_on"]["postgres"]["condition"] == "service_healthy" and "pg_isready" in str(database)
    assert all(port.startswith("127.0.0.1:") for port in server["ports"]) and "ports" not in database
    volumes = [volume.rsplit(":", 2) for one in (server, database) for volume in one["volumes"]]
    named = {volume[0] for volume in volumes if not volume[0].startswith("$")}
    assert named == set(COMPOSE["volumes"])


def test_no_secret_is_written_here() -> None:
    text = (ROOT / "compose.yaml").read_text("utf-8") + CONTAINER
    for name, value in COMPOSE["services"]["postgres"]["environment"].items():
        assert "PASSWORD" not in name or value.startswith("${"), name
    assert not re.search(r"lcrs_[A-Za-z0-9]", text)
    assert ".env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_the_snippets_can_be_read() -> None:
    found = blocks("yaml")
    assert len(found) == 3 and all(isinstance(yaml.safe_load(block), dict) for block in found)
