"""`latentcrs serve` and `latentcrs keys`: a bundle for other programs and people, and who may use it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from latentcrs.base.progress import console, err_console
from latentcrs.cli.options import DAY, MOST, MOST_PROCESSES, Device, a_host, a_model, a_store, hosts, origins

KEYS_FILE = Annotated[
    Path, typer.Option("--keys-file", help="The file of the keys' hashes.", envvar="LATENTCRS_KEYS")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command()(serve)
    keys = typer.Typer(
        help="Who may use a server: make, list and remove API keys.\n\nExample: latentcrs keys new shop",
        no_args_is_help=True,
    )
    keys.command("new")(new)
    keys.command("list")(list_names)
    keys.command("remove")(remove)
    app.add_typer(keys, name="keys")


def serve(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    host: Annotated[str, typer.Option(callback=a_host, help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=MOST_PROCESSES, help="Processes.")] = 1,
    db: Annotated[
        str,
        typer.Option(
            callback=a_store, help="The conversation store: a file, or postgresql://… [default: LATENTCRS_STORE]"
        ),
    ] = "",
    keys_file: Annotated[
        Path | None,
        typer.Option(help="Ask for API keys; make them with 'latentcrs keys new'.", envvar="LATENTCRS_KEYS"),
    ] = None,
    insecure_without_keys: Annotated[
        bool,
        typer.Option("--insecure-without-keys", help="Let everybody who reaches another address than loopback in."),
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            callback=hosts,
            help="A name that requests may call this server by, beside its own; '*' for all. Repeatable.",
        ),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            callback=origins,
            help="A web site whose scripts may call this server, as in https://example.org. Repeatable.",
        ),
    ] = None,
    llm: Annotated[
        str | None,
        typer.Option(callback=a_model, help="A language model; see 'latentcrs chat'. [default: LATENTCRS_LLM_URL]"),
    ] = None,
    rules: Annotated[
        Literal["lexical", "llm"], typer.Option(help="Who hears the rules in what is said.")
    ] = "lexical",
    talks: Annotated[bool, typer.Option("--talks", help="The language model words the replies.")] = False,
    turn_rate: Annotated[
        str, typer.Option(help="Turns for each key, or 'off'. [default: 120/minute with keys]")
    ] = "",
    request_rate: Annotated[
        str, typer.Option(help="Requests for each key, or 'off'. [default: 1200/minute with keys]")
    ] = "",
    rates_url: Annotated[
        str, typer.Option(help="Where rates are counted: memory:// (in each process), or redis://…")
    ] = "memory://",
    body_bytes: Annotated[int, typer.Option(min=1024, max=MOST, help="The largest request.")] = 1 << 20,
    utterance_characters: Annotated[int, typer.Option(min=1, max=MOST, help="The longest utterance.")] = 4000,
    turn_seconds: Annotated[
        float, typer.Option(min=0.001, max=DAY, help="Seconds after which a turn is answered with 504.")
    ] = 120.0,
    shutdown_seconds: Annotated[
        int, typer.Option(min=0, max=DAY, help="Seconds that turns have to finish at the end.")
    ] = 30,
    watch_seconds: Annotated[
        float,
        typer.Option(
            min=0, max=DAY, help="Seconds between looks for a new bundle put in the place of this one; 0: none."
        ),
    ] = 5.0,
    image_host: Annotated[
        list[str] | None,
        typer.Option(callback=hosts, help="A host whose pictures of items are shown: img.example.org. Repeatable."),
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask/--no-ask", help="Ask back where much fits and one answer would halve it.")
    ] = True,
    policy: Annotated[
        Path | None, typer.Option(help="A TOML of what always holds, what goes first, what is put forward or back.")
    ] = None,
    beside: Annotated[
        Path | None, typer.Option(help="Another bundle, to be tried beside this one; see 'latentcrs stats'.")
    ] = None,
    beside_share: Annotated[
        float, typer.Option(min=0, max=1, help="The share of new conversations held with it; a user keeps theirs.")
    ] = 0.5,
    page: Annotated[bool, typer.Option("--page/--no-page", help="The web page at /.")] = True,
    log_words: Annotated[bool, typer.Option("--log-words", help="Errors in the log may say what was said.")] = False,
    device: Device = "auto",
) -> None:
    """Serve a bundle: a web page, an HTTP API, and an API like OpenAI's. Ctrl-C ends it after the turns under
    way.

    Without keys only this machine is listened to, and there is one owner of all conversations. A new bundle that is
    put in the place of this one is taken up while people talk.

    Example: latentcrs serve models/ml-1m --port 8000
    """
    from latentcrs.serve.run import run
    from latentcrs.serve.settings import Settings

    run(
        Settings(
            bundle=bundle,
            host=host,
            port=port,
            workers=workers,
            db=db,
            keys_file=keys_file,
            insecure=insecure_without_keys,
            hosts=tuple(allowed_host or ()),
            origins=tuple(cors_origin or ()),
            llm=llm,
            rules=rules,
            talks=talks,
            device=device,
            page=page,
            body_bytes=body_bytes,
            utterance_characters=utterance_characters,
            turn_rate=turn_rate,
            request_rate=request_rate,
            rates_url=rates_url,
            turn_seconds=turn_seconds,
            shutdown_seconds=shutdown_seconds,
            watch_seconds=watch_seconds,
            log_words=log_words,
            image_hosts=frozenset(image_host or ()),
            asks=ask,
            policy=policy,
            beside=beside,
            beside_share=beside_share,
        )
    )


def new(
    name: Annotated[str, typer.Argument(help="Whose key: the owner of all that is done with it.")],
    keys_file: KEYS_FILE = Path("keys.txt"),
    dataset_users: Annotated[
        bool,
        typer.Option(help="Whether NAME may have the histories of the data set that was trained on, by their ids."),
    ] = True,
) -> None:
    """Make an API key and print it, once: only its hash is kept.

    Example: latentcrs keys new shop --keys-file keys.txt
    """
    from latentcrs.serve.keys import new_key

    key = new_key(keys_file, name, dataset_users)
    err_console.print(f"A key for {name}; it is shown this once ({keys_file} has its hash):", highlight=False)
    console.print(key, highlight=False, soft_wrap=True)


def list_names(keys_file: KEYS_FILE = Path("keys.txt")) -> None:
    """List the names that have keys.

    Example: latentcrs keys list
    """
    from latentcrs.serve.keys import Keys

    for name in Keys(keys_file).names:
        console.print(name, highlight=False)


def remove(name: Annotated[str, typer.Argument(help="Whose keys.")], keys_file: KEYS_FILE = Path("keys.txt")) -> None:
    """Remove all keys of a name; running servers refuse them at once. The owner's conversations stay.

    Example: latentcrs keys remove shop
    """
    from latentcrs.base.errors import UserError
    from latentcrs.serve.keys import remove_keys

    if not remove_keys(keys_file, name):
        raise UserError(f"{keys_file} has no key of {name!r}.")
    err_console.print(f"removed the keys of {name}.", highlight=False)
