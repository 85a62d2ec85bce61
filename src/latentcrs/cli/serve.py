"""`latentcrs serve`: a bundle for other programs and people."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from latentcrs.cli.options import DAY, MOST, MOST_PROCESSES, Device, RulesBy, a_host, a_model, a_store, hosts, origins

SETTINGS = {
    "insecure_without_keys": "insecure",
    "allowed_host": "hosts",
    "cors_origin": "origins",
    "image_host": "image_hosts",
    "ask": "asks",
}
"""Options whose settings have other names."""


def serve(
    context: typer.Context,
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    host: Annotated[str, Option(callback=a_host, help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535)] = 8000,
    workers: Annotated[int, Option(min=1, max=MOST_PROCESSES, help="Processes.")] = 1,
    db: Annotated[
        str,
        Option(callback=a_store, help="The conversation store: a file, or postgresql://… [default: LATENTCRS_STORE]"),
    ] = "",
    keys_file: Annotated[
        Path | None, Option(help="Ask for API keys; make them with 'latentcrs keys new'.", envvar="LATENTCRS_KEYS")
    ] = None,
    insecure_without_keys: Annotated[
        bool, Option("--insecure-without-keys", help="Let everybody who reaches another address than loopback in.")
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        Option(
            callback=hosts,
            help="A name that requests may call this server by, beside its own; '*' for all. Repeatable.",
        ),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        Option(
            callback=origins,
            help="A web site whose scripts may call this server, as in https://example.org. Repeatable.",
        ),
    ] = None,
    llm: Annotated[
        str | None,
        Option(callback=a_model, help="A language model; see 'latentcrs chat'. [default: LATENTCRS_LLM_URL]"),
    ] = None,
    rules: RulesBy = "lexical",
    talks: Annotated[bool, Option("--talks", help="The language model words the replies.")] = False,
    turn_rate: Annotated[str, Option(help="Turns for each key, or 'off'. [default: 120/minute with keys]")] = "",
    request_rate: Annotated[
        str, Option(help="Requests for each key, or 'off'. [default: 1200/minute with keys]")
    ] = "",
    rates_url: Annotated[
        str, Option(help="Where rates are counted: memory:// (in each process), or redis://…")
    ] = "memory://",
    body_bytes: Annotated[int, Option(min=1024, max=MOST, help="The largest request.")] = 1 << 20,
    utterance_characters: Annotated[int, Option(min=1, max=MOST, help="The longest utterance.")] = 4000,
    turn_seconds: Annotated[
        float, Option(min=0.001, max=DAY, help="Seconds after which a turn is answered with 504.")
    ] = 120.0,
    shutdown_seconds: Annotated[
        int, Option(min=0, max=DAY, help="Seconds that turns have to finish at the end.")
    ] = 30,
    watch_seconds: Annotated[
        float,
        Option(min=0, max=DAY, help="Seconds between looks for a new bundle put in the place of this one; 0: none."),
    ] = 5.0,
    image_host: Annotated[
        list[str] | None,
        Option(callback=hosts, help="A host whose pictures of items are shown: img.example.org. Repeatable."),
    ] = None,
    ask: Annotated[
        bool, Option("--ask/--no-ask", help="Ask back where much fits and one answer would halve it.")
    ] = True,
    policy: Annotated[
        Path | None, Option(help="A TOML of what always holds, what goes first, what is put forward or back.")
    ] = None,
    beside: Annotated[
        Path | None, Option(help="Another bundle, to be tried beside this one; see 'latentcrs stats'.")
    ] = None,
    beside_share: Annotated[
        float, Option(min=0, max=1, help="The share of new conversations held with it; a user keeps theirs.")
    ] = 0.5,
    page: Annotated[bool, Option("--page/--no-page", help="The web page at /.")] = True,
    log_words: Annotated[bool, Option("--log-words", help="Errors in the log may say what was said.")] = False,
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

    given = {SETTINGS.get(name, name): value for name, value in context.params.items()}
    run(Settings.model_validate({name: value for name, value in given.items() if value is not None}))
