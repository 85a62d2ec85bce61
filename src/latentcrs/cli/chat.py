"""`latentcrs chat`: talk to a bundle in the terminal."""

import io
import sys
import threading
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from latentcrs.base.progress import console, err_console
from latentcrs.cli.options import Device, RulesBy, a_model


def chat(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    user: Annotated[str | None, Option(help="Be this user of the data set the bundle was trained on.")] = None,
    likes: Annotated[
        list[str] | None, Option(help="A title you like, or a part of it; may be given several times.")
    ] = None,
    variant: Annotated[
        Literal["b", "f", "v"] | None,
        Option(help="b: rules do not apply; f: they filter; v: and a language model judges. [default: f]"),
    ] = None,
    llm: Annotated[
        str | None,
        Option(
            callback=a_model,
            help="A language model, which words the replies, and judges in variant v: local, or the address of an "
            "OpenAI-compatible endpoint (its model in LATENTCRS_LLM_MODEL, its key in LATENTCRS_LLM_KEY).",
        ),
    ] = None,
    rules: RulesBy = "lexical",
    resume: Annotated[
        str | None, Option(help="Go on with the stored conversation of this id, or with the 'last' one.")
    ] = None,
    no_store: Annotated[bool, Option("--no-store", help="Keep nothing of this conversation.")] = False,
    k: Annotated[int | None, Option("--k", "-k", min=1, max=50, help="Items in each answer. [default: 5]")] = None,
    ask: Annotated[bool, Option(help="Ask back where much fits and one answer would halve it.")] = True,
    device: Device = "auto",
) -> None:
    """Say what you are looking for and get recommendations with reasons; every line adds to what you said.

    Conversations are stored turn by turn (in LATENTCRS_STORE, else in a file only you can read). Lines from a pipe
    are answered one by one.

    Example: latentcrs chat models/ml-1m --likes "Toy Story" --likes "Babe"
    """
    forgiving_streams()
    with err_console.status("opening the bundle and its text encoder"):
        from latentcrs.base.errors import UserError
        from latentcrs.cli.chat_loop import PROMPT, ChatLoop
        from latentcrs.cli.keyboard import lines_file, typed_lines
        from latentcrs.converse.open import open_conversation  # late: PyTorch takes seconds
        from latentcrs.store.conversations import ConversationStore

        if no_store and resume is not None:
            raise UserError("--resume needs the store; leave out --no-store.")
        talk = open_conversation(
            bundle,
            user=user,
            likes=likes or (),
            variant=variant,
            rules=rules,
            llm=llm,
            talks=llm not in (None, "none"),
            store=None if no_store else ConversationStore(),
            conversation=resume,
            k=k,
            device=device,
        )
        talk.asks = ask
        loop = ChatLoop(talk, console, bundle)
    who = talk.session.user
    loop.greet(None if who is None else f"You are user {who}")
    # The encoder and what hears are loaded while somebody reads the greeting and types.
    threading.Thread(target=talk.hearer.warm, daemon=True).start()
    loop.run(typed_lines(PROMPT, None if no_store else lines_file()))


def forgiving_streams() -> None:
    """Print what the terminal's encoding lacks as "?": a title must not end a conversation."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
