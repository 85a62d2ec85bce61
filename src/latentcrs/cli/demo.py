"""`latentcrs demo`: from nothing to a conversation, on a small real data set."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from latentcrs.cli.options import Device
from latentcrs.errors import UserError
from latentcrs.progress import console, err_console, say


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command()(demo)


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything of the demo goes.")] = Path("demo"),
    accept_terms: Annotated[bool, typer.Option("--accept-terms", help="Accept MovieLens' terms unasked.")] = False,
    likes: Annotated[
        list[str] | None, typer.Option(help="Chat as someone who likes this title; may be given several times.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Fetch MovieLens-100K, train on it, measure the result, and chat with it; every step visible.

    What is done is skipped when the command runs again, and Ctrl-C loses nothing. Without a terminal a short scripted
    conversation is held.

    Example: latentcrs demo --folder demo
    """
    began = time.perf_counter()
    with err_console.status("loading PyTorch"):
        from latentcrs.cli.chat import forgiving_streams
        from latentcrs.converse.keyboard import lines_file, typed_lines
        from latentcrs.converse.open import open_conversation  # late: PyTorch takes seconds
        from latentcrs.converse.prompt import PROMPT, ChatLoop, spoken_lines
        from latentcrs.converse.store import ConversationStore
        from latentcrs.demonstration import SAMPLE, SCRIPT, Demo, telling_user
        from latentcrs.evaluate import print_table
    forgiving_streams()
    steps = Demo(folder, device)
    if not steps.is_fetched:
        accept(SAMPLE.terms, accept_terms)
    steps.fetch()
    dataset = steps.prepare()
    steps.simulate(dataset)
    steps.embed(dataset)
    steps.train(dataset)
    result = steps.evaluate()
    console.print()
    print_table(result)
    console.print()

    user = None if likes else telling_user(dataset)
    scripted = not sys.stdin.isatty()
    store = None if scripted else ConversationStore()
    talk = open_conversation(steps.model, user=user, likes=likes or (), store=store, device=device)
    loop = ChatLoop(talk, console, steps.model)
    loop.greet(None if user is None else f"You are user {user} of MovieLens")
    with err_console.status("loading the text encoder"):
        talk.recommender.embed("hello")
    if not scripted:
        say(f"(ready after {time.perf_counter() - began:.0f} s)")
    loop.run(spoken_lines(SCRIPT, console) if scripted else typed_lines(PROMPT, lines_file()))
    if scripted and loop.first_answer is not None:
        say(f"first answer after {loop.first_answer - began:.0f} s")
    say(f"Once more: latentcrs chat {steps.model}   or with your own data: latentcrs data prepare --help")


def accept(terms: str, accepted: bool) -> None:
    """Show the terms of use and have them accepted: by --accept-terms, or at the terminal.

    Raises:
        UserError: they were not.
    """
    say(f"The demo uses {terms}")
    if accepted:
        return
    if not sys.stdin.isatty():
        raise UserError("the terms of MovieLens have to be accepted; without a terminal, say so with --accept-terms.")
    if not typer.confirm("Do you accept these terms?", err=True):
        raise UserError("the demo needs MovieLens-100K, and its terms were not accepted; nothing was fetched.")
