"""`latentcrs keys`: who may use a server."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from latentcrs.base.errors import UserError
from latentcrs.base.progress import console, err_console

KEYS_FILE = Annotated[Path, Option("--keys-file", help="The file of the keys' hashes.", envvar="LATENTCRS_KEYS")]
group = typer.Typer(
    help="Who may use a server: make, list and remove API keys.\n\nExample: latentcrs keys new shop",
    no_args_is_help=True,
)


@group.command()
def new(
    name: Annotated[str, Argument(help="Whose key: the owner of all that is done with it.")],
    keys_file: KEYS_FILE = Path("keys.txt"),
    dataset_users: Annotated[
        bool, Option(help="Whether NAME may have the histories of the data set that was trained on, by their ids.")
    ] = True,
) -> None:
    """Make an API key and print it, once: only its hash is kept.

    Example: latentcrs keys new shop --keys-file keys.txt
    """
    from latentcrs.serve.keys import new_key

    key = new_key(keys_file, name, dataset_users)
    err_console.print(f"A key for {name}; it is shown this once ({keys_file} has its hash):", highlight=False)
    console.print(key, highlight=False, soft_wrap=True)


@group.command("list")
def list_names(keys_file: KEYS_FILE = Path("keys.txt")) -> None:
    """List the names that have keys.

    Example: latentcrs keys list
    """
    from latentcrs.serve.keys import Keys

    for name in Keys(keys_file).names:
        console.print(name, highlight=False)


@group.command()
def remove(name: Annotated[str, Argument(help="Whose keys.")], keys_file: KEYS_FILE = Path("keys.txt")) -> None:
    """Remove all keys of a name; running servers refuse them at once. The owner's conversations stay.

    Example: latentcrs keys remove shop
    """
    from latentcrs.serve.keys import remove_keys

    if not remove_keys(keys_file, name):
        raise UserError(f"{keys_file} has no key of {name!r}.")
    err_console.print(f"removed the keys of {name}.", highlight=False)
