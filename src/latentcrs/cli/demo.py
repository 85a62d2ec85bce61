"""`latentcrs demo`: from nothing to a conversation, on a small real data set."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from latentcrs.base.errors import UserError
from latentcrs.base.progress import console, err_console, say
from latentcrs.cli import options
from latentcrs.cli.options import Device

if TYPE_CHECKING:
    from latentcrs.cli.demonstration import Demo
    from latentcrs.data import PreparedDataset


def demo(
    folder: Annotated[Path, Option(help="Where everything of the demo goes.")] = Path("demo"),
    accept_terms: Annotated[bool, Option("--accept-terms", help="Accept MovieLens' terms unasked.")] = False,
    likes: Annotated[
        list[str] | None, Option(help="Chat as someone who likes this title; may be given several times.")
    ] = None,
    page: Annotated[bool, Option("--page", help="Open the web page in place of the chat.")] = False,
    port: Annotated[int, Option(min=1, max=65535, help="Where the page is.")] = 8000,
    table: Annotated[
        bool, Option("--table", help="Measure it beside what it must beat, in place of the chat; minutes.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Fetch MovieLens-100K, train on it, and chat with it; every step visible.

    What is done is skipped when the command runs again, and Ctrl-C loses nothing. Without a terminal a short scripted
    conversation is held.

    Example: latentcrs demo --folder demo
    """
    if bool(likes) + page + table > 1:
        raise UserError("--likes is for the chat, and --page and --table come in its place; give one of the three.")
    began = time.perf_counter()
    from latentcrs.data.fetch import read_record
    from latentcrs.data.known import SAMPLE

    raw = folder / "raw"
    if read_record(raw) is None:
        say(f"The demo uses {SAMPLE.terms}")
        refused = "the demo needs MovieLens-100K, and its terms were not accepted; nothing was fetched."
        options.accept_terms("MovieLens", accept_terms, refused)
    with err_console.status("loading PyTorch"):
        from latentcrs.cli.demonstration import Demo  # late: PyTorch takes seconds
    steps = Demo(folder, device)
    steps.fetch()
    dataset = steps.prepare()
    steps.simulate(dataset)
    steps.embed(dataset)
    steps.train(dataset)
    if table:
        from latentcrs.evaluate import print_table

        result = steps.evaluate()
        console.print()
        print_table(result)
    elif page:
        say(what_next(folder))
        serve(steps.model, port, device)
    else:
        chat(steps, dataset, likes or [], device, began)
    if not page:
        say(what_next(folder))


def chat(steps: Demo, dataset: PreparedDataset, likes: list[str], device: str, began: float) -> None:
    """Chat as someone with these `likes`, else as a user; without a terminal, by script. began: `perf_counter`."""
    from latentcrs.cli.chat import forgiving_streams
    from latentcrs.cli.chat_loop import PROMPT, ChatLoop, spoken_lines
    from latentcrs.cli.demonstration import SCRIPT, telling_user
    from latentcrs.cli.keyboard import lines_file, typed_lines
    from latentcrs.converse.open import open_conversation
    from latentcrs.store.conversations import ConversationStore

    forgiving_streams()
    user = None if likes else telling_user(dataset)
    scripted = not sys.stdin.isatty()
    store = None if scripted else ConversationStore()
    talk = open_conversation(steps.model, user=user, likes=likes, store=store, device=device)
    loop = ChatLoop(talk, console, steps.model)
    console.print()
    loop.greet(None if user is None else f"You are user {user} of MovieLens")
    with err_console.status("loading the text encoder"):
        talk.recommender.embed("hello")
    if not scripted:
        say(f"(ready after {time.perf_counter() - began:.0f} s)")
    loop.run(spoken_lines(SCRIPT, console) if scripted else typed_lines(PROMPT, lines_file()))
    if scripted and loop.first_answer is not None:
        say(f"first answer after {loop.first_answer - began:.0f} s")


def serve(model: Path, port: int, device: str) -> None:
    """Serve the bundle to this machine until Ctrl-C; on a terminal with a desktop, its page opens in the browser."""
    from threading import Thread

    from latentcrs.serve.run import run
    from latentcrs.serve.settings import Settings

    # On Linux a browser for the terminal would stand in where there is no desktop, and take the terminal.
    desktop = sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if sys.stdin.isatty() and desktop:
        Thread(target=browse, args=(f"http://127.0.0.1:{port}",), daemon=True).start()
    run(Settings(bundle=model, port=port, device=device))


def browse(address: str, patience: float = 120.0) -> None:
    """Open `address` in the browser once a server answers there, within so many seconds."""
    import webbrowser

    import httpx2

    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            httpx2.get(f"{address}/health", trust_env=False).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.2)
        else:
            webbrowser.open(address)
            return


def what_next(folder: Path) -> str:
    """What to do with the demo, and with data of one's own: commands as they can be typed here."""
    name, running = "latentcrs", Path(sys.argv[0])
    if shutil.which(name) is None and running.name == name:  # in an environment that is not active: `make demo`
        name = shlex.quote(os.path.relpath(running))
    here = "" if folder == Path("demo") else f" --folder {shlex.quote(str(folder))}"
    return (
        f"\nOnce more: {name} demo{here}   in the browser: {name} demo{here} --page   "
        f"how good it is: {name} demo{here} --table\n"
        f"With your own data: {name} data prepare own --interactions log.csv --items catalogue.csv --out data/shop\n"
        f"              then: {name} train data/shop --out models/shop   (docs/how-to/your-data.md)"
    )
