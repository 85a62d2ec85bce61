"""`latentcrs demo`: from nothing to a conversation, on a small real data set."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Fetch MovieLens-100K, train on it, measure the result, and chat with it; every step visible.

    What is done is skipped when the command runs again, and Ctrl-C loses nothing. Without a terminal a short scripted
    conversation is held.

    Example: latentcrs demo --folder demo
    """
    began = time.perf_counter()
    with err_console.status("loading PyTorch"):
        from latentcrs.cli.chat import forgiving_streams
        from latentcrs.converse.prompt import ChatLoop, spoken_lines, typed_lines  # late: PyTorch takes seconds
        from latentcrs.converse.terminal import TerminalChat
        from latentcrs.demonstration import SAMPLE, SCRIPT, Demo, telling_user
        from latentcrs.device import resolve_device
        from latentcrs.evaluate import print_table
        from latentcrs.recommend import load
        from latentcrs.recommend.users import user_history
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

    recommender = load(steps.model, resolve_device(device).type)
    if likes:
        who, history = None, [recommender.find_item(title) for title in likes]
    else:
        user = telling_user(dataset)
        who, history = f"You are user {user} of MovieLens", user_history(dataset, user)
    loop = ChatLoop(TerminalChat(recommender, history), console)
    loop.greet(who)
    with err_console.status("loading the text encoder"):
        loop.chat.open()
    scripted = not sys.stdin.isatty()
    if not scripted:
        say(f"(ready after {time.perf_counter() - began:.0f} s)")
    loop.run(spoken_lines(SCRIPT, console) if scripted else typed_lines())
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
