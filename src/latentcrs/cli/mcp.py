"""`latentcrs mcp`: a bundle as tools for agents."""

import logging
import sys
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from latentcrs.cli.options import Device, a_host, a_store


def mcp(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    transport: Annotated[
        Literal["stdio", "http"],
        Option(help="stdio: a client starts this command and talks to it; http: streamable HTTP at /mcp."),
    ] = "stdio",
    host: Annotated[
        str, Option(callback=a_host, help="For http: an address; without keys one that only this machine has.")
    ] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="For http.")] = 8001,
    db: Annotated[
        str,
        Option(
            callback=a_store,
            help="Where events are kept: a file, or the URL of a database. [default: LATENTCRS_STORE, else a file "
            "only you can read]",
        ),
    ] = "",
    keys_file: Annotated[
        Path | None,
        Option(help="For http: ask for API keys; make them with 'latentcrs keys new'.", envvar="LATENTCRS_KEYS"),
    ] = None,
    manage: Annotated[
        bool, Option("--manage", help="A tool more, by which agents add, change and hide items, for everyone.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Serve a bundle to agents over MCP: tools that recommend, search, explain and remember.

    Over http without keys only loopback addresses are taken.

    Example: latentcrs mcp models/ml-1m
    """
    from latentcrs.base.addresses import is_loopback
    from latentcrs.base.errors import UserError

    if transport == "http" and keys_file is None and not is_loopback(host):
        raise UserError(f"--host {host} would let others in; say with --keys-file who may ask.")
    try:
        from latentcrs.serve.mcp import serve_http, serve_stdio
    except ModuleNotFoundError as error:
        raise UserError(f"latentcrs mcp needs the package {error.name}: pip install 'latentcrs[mcp]'.") from None
    from latentcrs.serve.keys import Keys
    from latentcrs.serve.service import Service
    from latentcrs.store.conversations import ConversationStore

    # Standard output belongs to the protocol; all else goes to standard error.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    keys = None if keys_file is None else Keys(keys_file)
    service = Service(bundle, ConversationStore(db), device=device)
    if transport == "stdio":
        serve_stdio(service, manage)
    else:
        serve_http(service, host, port, keys, manage)
