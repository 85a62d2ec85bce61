"""The `latentcrs` command: collects the command groups and turns a user's mistake into one line and exit code 2."""

import importlib
import os
import sys
from contextlib import suppress

import typer
from rich.markup import escape

from latentcrs.base.errors import UserError
from latentcrs.base.progress import err_console
from latentcrs.cli.entry import INTERRUPTED

app = typer.Typer(
    name="latentcrs",
    help="A conversational recommender that knows what people did and hears what they say.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
# OpenMP threads that wait by spinning make two training runs on one machine 20 to 40 times slower than one; sleeping
# costs a run that is alone a few percent. Must be set before PyTorch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# One file each: it has the `group` of this name, or one command, the function that is called like it.
COMMANDS = (
    *("data", "describe", "simulate", "embed", "train", "evaluate", "intents", "chat", "bench", "demo"),
    *("models", "tokens", "serve", "keys", "mcp", "recommend_all", "export", "items", "stats"),
)
for command in COMMANDS:
    module = importlib.import_module(f"latentcrs.cli.{command}")
    if hasattr(module, "group"):
        app.add_typer(module.group, name=command)
    else:
        app.command()(getattr(module, command))


def main() -> None:
    """Run the command line."""
    run(app)


def run(app: typer.Typer) -> None:
    """Run a command line; a user's mistake ends it with one line and exit code 2."""
    try:
        try:
            _refuse_no_text()
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except UserError as error:
        _end(str(error))
    except OSError as error:  # a full disk, a folder that may not be written, a name too long for a file
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # what could not be written is not tried again at the end
        where = f": {error.filename}" if error.filename else ""
        _end(f"{error.strerror or type(error).__name__}{where}.")
    except (KeyboardInterrupt, SystemExit) as stop:
        if not isinstance(stop, KeyboardInterrupt) and stop.code != INTERRUPTED:  # into which Typer turns Ctrl-C
            raise
        _say("\nstopped; what was finished is kept, and the same command goes on from there.")
        sys.exit(INTERRUPTED)


def _refuse_no_text() -> None:
    """
    Raises:
        UserError: an argument that is no Unicode, which no library takes as a path and no file of ours can hold.
    """
    for given in sys.argv[1:]:
        shown = given.encode("utf-8", "replace").decode()
        if shown != given:
            raise UserError(f"{shown!r} is no Unicode text, as every argument has to be; rename what it names.")


def _end(reason: str) -> None:
    _say(f"[red]error:[/red] {escape(reason)}")
    sys.exit(2)


def _say(words: str) -> None:
    with suppress(OSError):  # nobody can be told
        err_console.print(words, highlight=False, soft_wrap=True)
