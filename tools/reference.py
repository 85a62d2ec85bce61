"""Writes the reference pages of the site that are made of the code: commands, settings, variables, HTTP.

python tools/reference.py docs/reference tests/kept/format-1/bundle
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import latentcrs
from latentcrs.base.files import atomic_file

VARIABLES = {
    "LATENTCRS_CACHE": "Where embeddings, stopped trainings and fetched models are; else the system's cache folder.",
    "LATENTCRS_COMPLETIONS": "`1`: answers of language models are kept, and the same question is not paid for twice.",
    "LATENTCRS_DATA": "The folder in which data sets are looked for by their names.",
    "LATENTCRS_EMBEDDINGS_AT_ONCE": "Requests to an endpoint for embeddings that may be under way (8).",
    "LATENTCRS_EMBEDDINGS_KEY": "The key of an endpoint for embeddings.",
    "LATENTCRS_KEYS": "The file of the hashes of a server's API keys (`--keys-file`).",
    "LATENTCRS_LEDGER": "The SQLite file that counts calls of language models; else one in the cache folder.",
    "LATENTCRS_LLM_KEY": "The key of the endpoint of a language model.",
    "LATENTCRS_LLM_MODEL": "The name of the model behind that endpoint.",
    "LATENTCRS_LLM_URL": "The language model where `--llm` names none: `local`, or an OpenAI-compatible address.",
    "LATENTCRS_LOCAL_MODEL": "Which fetched model `local` is; else the best one that was fetched.",
    "LATENTCRS_PRECISION": "In which numbers texts are encoded: `float`, `float32`, `bfloat16` or `int8`.",
    "LATENTCRS_STORE": "Where conversations are: an SQLite file or `postgresql://…`; else the system's data folder.",
    "LATENTCRS_TRAINING": "Where trainings that were stopped are kept; else `training` in the cache folder.",
}
"""What each environment variable is for; which ones there are is found in the source, and a test compares."""
OF_PROCESSES = {"LATENTCRS_SERVE_SETTINGS"}
"""Variables by which processes of ours speak to each other: nobody sets them."""


@cache
def variables_read() -> set[str]:
    """The names of the environment variables that the package's source has as strings of their own."""
    found: set[str] = set()
    for path in Path(latentcrs.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"\ALATENTCRS_[A-Z_]+\Z", node.value))
    return found - OF_PROCESSES


def cell(text: object) -> str:
    """Text as one cell of a Markdown table; what stands between backticks stays as it is."""
    parts = re.split(r"(`[^`]*`)", " ".join(str(text).split()).replace("|", r"\|"))
    return "".join(part if part.startswith("`") else escaped(part) for part in parts)


def escaped(text: str) -> str:
    """Text without HTML and without Markdown's emphasis."""
    return re.sub(r"([*_\[\]])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))


def table(head: list[str], rows: list[list[str]]) -> str:
    """Rows as a table in Markdown, without the columns in which none has anything."""
    kept = [place for place in range(len(head)) if any(row[place] for row in rows)]
    lines = ["| " + " | ".join(row[place] for place in kept) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def leaves(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below a group that does something, with the words that call it."""
    below = getattr(command, "commands", None)
    if not below or command.invoke_without_command:
        yield words, command
    for name, one in (below or {}).items():
        yield from leaves(one, (*words, name))


def commands_page(title: str, program: str, app: typer.Typer) -> str:
    """Every command of an app as its `--help` tells of it."""
    parts = [f"# {title}\n", f"What `{program} --help` says, and that of every command below it.\n"]
    for words, command in leaves(typer.main.get_command(app), (program,)):
        context = typer.Context(command, info_name=" ".join(words))
        usage = " ".join([*words, *command.collect_usage_pieces(context)])
        parts += [f"## {' '.join(words)}\n", prose(command.help or ""), f"```text\n{usage}\n```\n"]
        rows = []
        for parameter in command.params:
            record = parameter.get_help_record(context)
            if record is not None and "--help" not in parameter.opts:
                rows.append([f"`{record[0]}`".replace("|", r"\|"), cell(record[1])])
        if rows:
            parts.append(table(["argument or option", "what it is"], rows))
    return "\n".join(parts)


def prose(text: str) -> str:
    """A docstring as Markdown: paragraphs as they are, without HTML."""
    clean = inspect.cleandoc(text).replace("\b", "")
    return re.sub(r"<(?=[a-zA-Z/])", "&lt;", clean) + "\n"


def told(model: type[BaseModel]) -> dict[str, str]:
    """What is written under each field of a model, by the field's name."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0].body  # type: ignore[attr-defined]
    found = {}
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and below.value.value
            found[field.target.id] = str(text or "")
    return found


def settings_of(model: type[BaseModel], where: str, presets: list[BaseModel]) -> str:
    """One section of the settings of a training: what each is under the presets, and what is written of it."""
    said, rows = told(model), []
    for name in model.model_fields:
        if not isinstance(getattr(presets[0], name), BaseModel | dict):
            values = [f"`{getattr(preset, name)}`" for preset in presets]
            rows.append([f"`{where}{name}`", *values, cell(said.get(name, ""))])
    return table(["setting", "default", "paper", "what it is"], rows)


def settings_page() -> str:
    """The settings of training by preset, of a server, and of a policy."""
    from latentcrs.behaviour.encoder import network_config
    from latentcrs.intent.config import Config, load_config
    from latentcrs.recommend.policy import Policy
    from latentcrs.serve.settings import Settings

    presets = [load_config(name) for name in ("default", "paper")]
    parts = [
        "# Settings\n",
        "## Training\n",
        "`latentcrs train --preset default|paper --set SECTION.NAME=VALUE`, or in Python "
        '`LatentCRS("default", em={"epochs": 5})`. Two columns: what each preset has.\n',
        settings_of(Config, "", list(presets)),
    ]
    for section, pick in {
        "behaviour": lambda one: one.behaviour,
        "behaviour.network": lambda one: network_config(one.behaviour.encoder, one.behaviour.network),
        "behaviour.training": lambda one: one.behaviour.training,
        "model": lambda one: one.model,
        "em": lambda one: one.em,
    }.items():
        found = [pick(preset) for preset in presets]
        said = prose(type(found[0]).__doc__ or "")
        parts += [f"### {section}\n", said, settings_of(type(found[0]), f"{section}.", found)]
    iclrec = network_config("iclrec", {})
    rows = [
        [f"`behaviour.network.{name}`", f"`{getattr(iclrec, name)}`", cell(said)]
        for name, said in told(type(iclrec)).items()
    ]
    parts += [
        "### behaviour.network, with `behaviour.encoder=iclrec`\n",
        table(["setting", "by default", "what it is"], rows),
    ]
    server_side: dict[str, type[BaseModel]] = {"Server": Settings, "Policy": Policy}
    for title, model in server_side.items():
        rows = [
            [f"`{name}`", shown(field.default, field.default_factory)] for name, field in model.model_fields.items()
        ]
        parts += [f"## {title}\n", prose(model.__doc__ or ""), table(["setting", "by default"], rows)]
    return "\n".join(parts)


def shown(default: Any, factory: Any) -> str:
    """A default as a cell: nothing where there has to be a value."""
    if factory is not None:
        default = factory()
    return "needed" if default is PydanticUndefined else f"`{default}`"


def variables_page() -> str:
    """Every environment variable that the package reads, and which options say the same."""
    rows = [[f"`{name}`", VARIABLES[name]] for name in sorted(variables_read())]
    return "# Environment variables\n\n" + table(["variable", "what it says"], rows)


def kind_of(schema: dict[str, Any]) -> str:
    """A JSON schema in a few words; a part of the schemas as a link to where it stands."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(kind_of(one) for one in schema[several]))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    bounds = {
        "minimum": "at least",
        "maximum": "at most",
        "maxLength": "at most so long:",
        "maxItems": "at most so many:",
    }
    said = ", ".join(f"{words} {schema[name]}" for name, words in bounds.items() if name in schema)
    return f"{schema.get('type', 'anything')}{f' ({said})' if said else ''}"


def fields_table(schema: dict[str, Any]) -> str:
    needed = set(schema.get("required", ()))
    rows = []
    for name, one in schema.get("properties", {}).items():
        default = f"`{one['default']}`" if "default" in one else "needed" if name in needed else ""
        rows.append([f"`{name}`", kind_of(one).replace("|", r"\|"), default, cell(one.get("description", ""))])
    return table(["field", "type", "by default", "what it is"], rows) if rows else ""


def answers_of(responses: dict[str, Any]) -> list[str]:
    """What an endpoint answers, by what is in it: the statuses of one kind of answer stand together."""
    found: dict[str, list[str]] = {}
    for status, answer in sorted(responses.items()):
        kinds = [kind_of(one["schema"]) for one in answer.get("content", {}).values() if "schema" in one]
        found.setdefault(" or ".join(dict.fromkeys(kinds)) or "nothing", []).append(status)
    return [f"**{', '.join(statuses)}** {kind}" for kind, statuses in found.items()]


def http_page(bundle: Path) -> str:
    """Every endpoint and schema of a server, out of its OpenAPI description."""
    from latentcrs.serve.app import create_app
    from latentcrs.serve.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store.sqlite")
        described = create_app(Settings(bundle=bundle, db=store, page=False, device="cpu")).openapi()
    parts = ["# HTTP\n", described["info"]["description"], "The same as JSON: `/openapi.json` of any server.\n"]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            parts += [
                f"## {method.upper()} {path}\n",
                prose(operation.get("description", operation.get("summary", ""))),
            ]
            rows = [
                [
                    f"`{one['name']}`",
                    one["in"],
                    kind_of(one["schema"]).replace("|", r"\|"),
                    cell(one.get("description", "")),
                ]
                for one in operation.get("parameters", ())
            ]
            if rows:
                parts.append(table(["parameter", "in", "type", "what it is"], rows))
            for media, body in operation.get("requestBody", {}).get("content", {}).items():
                parts.append(f"Body (`{media}`): {kind_of(body.get('schema', {}))}.\n")
            parts.append(f"Answers: {' · '.join(answers_of(operation['responses']))}.\n")
    parts.append("## Schemas\n")
    for name, schema in described["components"]["schemas"].items():
        parts += [f"### {name}\n", prose(schema.get("description", "")), fields_table(schema)]
    return "\n".join(parts)


def write_reference(folder: Path, bundle: Path) -> None:
    """Write the pages into `folder`; `bundle` is one that a server can be made of, whose data does not matter."""
    from latentcrs.cli.main import app
    from latentcrs_lab.cli.main import app as lab

    pages = {
        "commands": commands_page("Commands", "latentcrs", app),
        "lab-commands": commands_page("Commands of the laboratory", "latentcrs-lab", lab),
        "settings": settings_page(),
        "environment": variables_page(),
        "http": http_page(bundle),
    }
    for name, text in pages.items():
        with atomic_file(folder / f"{name}.md") as page:
            page.write_text(text, "utf-8")


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]), Path(sys.argv[2]))
