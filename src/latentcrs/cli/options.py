"""What options of several commands have in common: their bounds, and checks before anything is loaded."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

MOST = 1_000_000_000
"""Of anything that is counted: an option without an upper bound takes infinity too."""
LAST_SEED = 2**32 - 1
DAY = 86_400
MOST_PROCESSES = 256


def _device(name: str) -> str:
    from latentcrs.base.device import check_device_name  # late, as all below: `--help` need not wait for it

    check_device_name(name)
    return name


def a_model(spec: str | None) -> str | None:
    """Refuses what names no language model."""
    if spec is not None:
        from latentcrs.llm.open import check_model_name

        check_model_name(spec)
    return spec


def an_encoder(spec: str) -> str:
    """Refuses the address of an endpoint that could not be asked."""
    if "://" in spec:
        from latentcrs.text.endpoint import open_endpoint

        open_endpoint(spec)
    return spec


def a_host(name: str) -> str:
    """Refuses what names no machine."""
    from latentcrs.base.addresses import is_host

    if not is_host(name):
        raise typer.BadParameter(f"{name!r} is the name or address of no machine.")
    return name


def hosts(names: list[str] | None) -> list[str] | None:
    """Refuses what names no machine; "*" stands for all."""
    return None if names is None else [name if name == "*" else a_host(name) for name in names]


def origins(addresses: list[str] | None) -> list[str] | None:
    """Refuses what is not the address of a web site, as browsers send it: https://example.org."""
    from latentcrs.base.addresses import http_parts

    for address in addresses or ():
        parts = http_parts(address)
        if parts is None or f"{parts.scheme}://{parts.netloc}" != address or "@" in address:
            raise typer.BadParameter(
                f"{address!r} is no web site; write it as in https://example.org, without a path."
            )
    return addresses


def a_store(address: str) -> str:
    """Refuses what a conversation store cannot be at."""
    if address:
        from latentcrs.store.database import store_url

        store_url(address)
    return address


def a_kept_store(address: str) -> str:
    """Refuses a file in which nothing is kept: it would be made, and found empty."""
    from latentcrs.store.database import store_url

    url = store_url(address)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise typer.BadParameter(f"There is no conversation store {url.database}.")
    return address


def listed(names: str) -> list[str]:
    """Names with commas between them."""
    return [name.strip() for name in names.split(",") if name.strip()]


def accept_terms(whose: str, accepted: bool, otherwise: str) -> None:
    """Have terms of use that were shown accepted: by --accept-terms, or at the terminal.

    Raises:
        UserError: nobody could be asked, or they were not accepted (`otherwise`).
    """
    from latentcrs.base.errors import UserError

    if not accepted and not sys.stdin.isatty():
        raise UserError(f"the terms of {whose} have to be accepted; without a terminal, say so with --accept-terms.")
    if not accepted and not typer.confirm("Do you accept these terms?", err=True):
        raise UserError(otherwise)


RulesBy = Annotated[Literal["lexical", "llm"], Option(help="Who hears the rules in what is said.")]
Device = Annotated[str, Option(help="auto, cpu, cuda or mps.", callback=_device)]
Engine = Annotated[str, Option(help="local: this process; ray: workers of Ray.")]
Workers = Annotated[
    int | None, Option(min=1, max=10_000, help="Workers of Ray; by default one for each processor or GPU.")
]
