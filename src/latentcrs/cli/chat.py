"""`latentcrs chat`: talk to a bundle in the terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from latentcrs.progress import console, err_console


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command()(chat)


def chat(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    user: Annotated[str | None, typer.Option(help="Be this user of the data set the bundle was trained on.")] = None,
    likes: Annotated[
        list[str] | None, typer.Option(help="A title you like, or a part of it; may be given several times.")
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=50, help="Items in each answer.")] = 5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Say what you are looking for and get recommendations with reasons; every line adds to what you said.

    Lines from a pipe are answered one by one.

    Example: latentcrs chat models/ml-1m --likes "Toy Story" --likes "Babe"
    """
    forgiving_streams()
    with err_console.status("opening the bundle and its text encoder"):
        from latentcrs.converse.prompt import ChatLoop, typed_lines  # late: PyTorch takes seconds
        from latentcrs.converse.terminal import TerminalChat
        from latentcrs.device import resolve_device
        from latentcrs.recommend import load
        from latentcrs.recommend.users import trained_dataset, user_history

        recommender = load(bundle, resolve_device(device).type)
        history: list[str] = []
        if user is not None:
            history += user_history(trained_dataset(recommender.bundle.info), user)
        history += [recommender.find_item(title) for title in likes or []]
        talk = TerminalChat(recommender, list(dict.fromkeys(history)), k)
        loop = ChatLoop(talk, console)
    loop.greet(None if user is None else f"You are user {user}")
    with err_console.status("loading the text encoder"):
        talk.open()
    loop.run(typed_lines())


def forgiving_streams() -> None:
    """Print what the terminal's encoding lacks as "?": a title must not end a conversation."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
