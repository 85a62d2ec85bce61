"""`latentcrs export`: what a server has gathered, for the next training and for others' systems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Argument, Option

from latentcrs.base.progress import err_console
from latentcrs.cli.options import a_kept_store, a_store

if TYPE_CHECKING:
    import polars as pl

group = typer.Typer(
    help="Write what a server has gathered.\n\nExample: latentcrs export events shop.sqlite --out log.csv",
    no_args_is_help=True,
)
FORMATS = {".csv": "write_csv", ".jsonl": "write_ndjson", ".parquet": "write_parquet"}


def a_table(path: Path) -> Path:
    """Refuses a file of a kind that no table is written to."""
    if path.suffix not in FORMATS:
        raise typer.BadParameter(f"{path} should end in {', '.join(FORMATS)}.")
    return path


@group.command()
def events(
    db: Annotated[str, Argument(callback=a_kept_store, help="The server's store: a file, or postgresql://…")],
    out: Annotated[Path, Option(callback=a_table, help="The log to write: .csv, .jsonl or .parquet.")],
    dataset: Annotated[
        Path | None,
        Option(help="The data set that was trained on: its interactions come first, so that the log is whole."),
    ] = None,
    catalogue: Annotated[str, Option(help="The data set's name, where the store has several.")] = "",
    owner: Annotated[str | None, Option(help="Only what was reported with keys of this name.")] = None,
) -> None:
    """Write what people did (like, purchase, click, and what they took back) as a log that `data prepare own` reads.

    Example: `latentcrs export events shop.sqlite --dataset data/shop --out log.csv`
    """
    from latentcrs.converse.event_log import event_log
    from latentcrs.data import PreparedDataset
    from latentcrs.store.conversations import ConversationStore

    before = None if dataset is None else PreparedDataset(dataset)
    log = event_log(ConversationStore(db), catalogue or ("" if before is None else before.info.name), owner, before)
    _write(log, out)
    users = log["user_id"].n_unique()
    err_console.print(f"written to {out}: {len(log):,} events of {users:,} users.", highlight=False, soft_wrap=True)


@group.command()
def items(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    out: Annotated[Path, Option(callback=a_table, help="The catalogue to write: .csv, .jsonl or .parquet.")],
    db: Annotated[
        str, Option(callback=a_store, help="The server's store: what joined and changed. [default: LATENTCRS_STORE]")
    ] = "",
) -> None:
    """Write a bundle's catalogue as it stands, with what joined it and changed while it was served, as a table that
    `data prepare own` reads.

    Example: latentcrs export items models/shop --db shop.sqlite --out items.jsonl
    """
    from latentcrs.serve.service import Service
    from latentcrs.store.conversations import ConversationStore

    found = Service(bundle, ConversationStore(db), device="cpu").recommender.bundle.items.drop("text")
    _write(found, out)
    err_console.print(f"written to {out}: {len(found):,} items.", highlight=False, soft_wrap=True)


@group.command()
def feed(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    out: Annotated[Path, Option(help="The feed to write, as JSON lines (.jsonl).")],
    kind: Annotated[
        Literal["openai", "schema.org"],
        Option("--as", help="OpenAI's product feed for file uploads, or schema.org's Product as JSON-LD."),
    ] = "openai",
    seller: Annotated[str, Option(help="The seller's name.")] = "",
    seller_url: Annotated[str, Option(help="The seller's page.")] = "",
    currency: Annotated[str, Option(help="Of the prices, as in EUR.")] = "USD",
    country: Annotated[
        list[str] | None, Option(help="Where is sold, as in DE; the seller's own first. Repeatable.")
    ] = None,
    db: Annotated[str, Option(callback=a_store, help="The server's store. [default: LATENTCRS_STORE]")] = "",
) -> None:
    """Write a bundle's catalogue as it stands as a feed for others' agents; `data prepare own` reads both kinds.

    Example: `latentcrs export feed models/shop --as schema.org --currency EUR --out feed.jsonl`
    """
    import json

    from latentcrs.base.files import atomic_file
    from latentcrs.recommend.feeds import Seller, feed_of
    from latentcrs.serve.service import Service
    from latentcrs.store.conversations import ConversationStore

    found = Service(bundle, ConversationStore(db), device="cpu").recommender
    about = Seller(seller, seller_url, currency, tuple(country or ()))
    lines, missing = feed_of(found.bundle, found.hidden, kind, about)
    with atomic_file(out) as temporary:
        temporary.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    lacking = "; ".join(f"{count:,} without {name}" for name, count in missing.items())
    left_out = f"; left out were {lacking}" if lacking else ""
    err_console.print(f"written to {out}: {len(lines):,} products{left_out}.", highlight=False, soft_wrap=True)


def _write(table: pl.DataFrame, out: Path) -> None:
    from polars import selectors

    from latentcrs.base.files import atomic_file

    if out.suffix == ".csv":  # which has no lists
        table = table.with_columns(selectors.list().list.join("|"))
    with atomic_file(out) as temporary:
        getattr(table, FORMATS[out.suffix])(temporary)
