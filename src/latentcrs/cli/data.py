"""Commands of the group 'data': prepare a data set, list what can be prepared, show what was."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from latentcrs.base.progress import console, say, show
from latentcrs.cli import data_files
from latentcrs.cli.options import MOST
from latentcrs.cli.raw import Catalogue, Core, ItemCore, Log, Mapping, SameIds, UserCore, chosen_engine, read_raw

if TYPE_CHECKING:
    from latentcrs.data.dataset import PreparedDataset

group = typer.Typer(help="Data: fetch it, check it, prepare it.", no_args_is_help=True, rich_markup_mode="markdown")


for command in (data_files.fetch, data_files.check, data_files.mapping, data_files.copy):
    group.command()(command)


@group.command()
def prepare(
    name: Annotated[str, typer.Argument(help="A source of `latentcrs data list`, or `own` for your own files.")],
    out: Annotated[str, typer.Option("--out", help="Folder for the prepared data set; path or URL.")],
    origin: Annotated[
        Path | None, typer.Option("--from", help="Folder, zip or file to read; else $LATENTCRS_DATA/NAME.")
    ] = None,
    interactions: Log = None,
    items: Catalogue = None,
    mapping: Mapping = None,
    called: Annotated[
        str | None,
        typer.Option("--name", help="What the data set is called, also in stores. [default: the last part of --out]"),
    ] = None,
    requests: Annotated[Path | None, typer.Option(help="Requests written elsewhere (JSON lines) to import.")] = None,
    conversations: Annotated[
        Path | None,
        typer.Option(help="Recorded conversations to learn from: a folder or file, ReDial's layout or JSON lines."),
    ] = None,
    same_ids: SameIds = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=-MOST, max=MOST, help="Lowest rating that counts (4 by default; `own`: four fifths of the scale)."
        ),
    ] = None,
    core: Core = None,
    user_core: UserCore = None,
    item_core: ItemCore = None,
    engine: Annotated[str, typer.Option(help="polars: this process; spark: PySpark, for logs past one machine.")] = (
        "polars"
    ),
    master: Annotated[str | None, typer.Option(help="`spark`: local[N] or a cluster; local[*] by default.")] = None,
    work: Annotated[
        str | None, typer.Option(help="`spark`: folder that all workers reach, for what lies between; path or URL.")
    ] = None,
    spark_conf: Annotated[list[str] | None, typer.Option(help="`spark`: a setting of Spark, KEY=VALUE.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Turn raw files into a prepared data set, the one folder that all later steps read.

    Examples:

        latentcrs data prepare ml-1m --from ml-1m --out data/ml-1m

        latentcrs data prepare own --interactions log.csv --items catalogue.csv --out data/shop

        latentcrs data prepare own --interactions s3://shop/log --items items.parquet --out data/shop --engine spark
    """
    from latentcrs.data.copies import placed
    from latentcrs.data.prepare import prepare as prepare_data
    from latentcrs.hear.language import foreign_catalogue

    with (
        tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace,
        placed(out, Path(workspace)) as folder,
    ):
        open_engine = chosen_engine(engine, master, work, spark_conf or [])
        raw = read_raw(name, origin, interactions, items, mapping, Path(workspace), same_ids)

        def finish(folder: Path) -> None:
            if requests is not None:
                from latentcrs.data.requests import import_requests

                import_requests(folder, requests, raw)
            if conversations is not None:
                from latentcrs.data.conversations import import_conversations

                import_conversations(folder, conversations)

        with open_engine as running:
            prepared = prepare_data(
                raw,
                folder,
                threshold=threshold,
                user_core=user_core if user_core is not None else core,
                item_core=item_core if item_core is not None else core,
                name=called,
                command=shlex.join(["latentcrs", *sys.argv[1:]]),
                finish=finish,
                engine=running,
            )
        foreign = foreign_catalogue(prepared.dataset.items["text"].to_list())
    info = prepared.dataset.info
    if as_json:
        print(info.model_dump_json(indent=2))
        return
    console.print(summary(prepared.dataset))
    for note in [*info.notes, *([foreign] if foreign else [])]:
        say(f"note: {note}")
    show(f"written to {out}")


def summary(dataset: PreparedDataset) -> Table:
    """Counts, what was dropped, and columns with their kinds, as one short table."""
    info = dataset.info
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("users", f"{info.users:,}")
    table.add_row("items", f"{info.items:,}")
    table.add_row("interactions", f"{info.interactions:,}")
    rule = "every interaction" if info.threshold is None else f"ratings of {info.threshold:g} and more"
    table.add_row("kept", f"{rule}; users with {max(info.core, 3)}, items with {info.item_core} or more")
    for reason, rows in info.dropped.items():
        table.add_row("dropped", f"{rows:,}  {escape(reason)}")
    for what, number in info.conversations.items():
        table.add_row("talk", f"{number:,}  {escape(what)}")
    for column, kind in info.columns.items():
        table.add_row("column", f"{escape(column)}  [dim]{kind}[/dim]")
    return table


@group.command("list")
def list_sources(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List what `latentcrs data prepare` can read. Example: `latentcrs data list`"""
    from latentcrs.data.sources import SOURCES

    about = {source.name: source.about for source in SOURCES.values()}
    about["own"] = "your own log and catalogue: CSV, Parquet or JSON lines"
    if as_json:
        print(json.dumps(about, indent=2))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, words in about.items():
        table.add_row(name, words)
    console.print(table)


@group.command("show")
def show_dataset(
    dataset: Annotated[Path, typer.Argument(help="A prepared data set.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a prepared data set: counts, columns and their kinds, one item as a sample.

    Example: `latentcrs data show data/ml-1m`
    """
    from latentcrs.data.dataset import PreparedDataset
    from latentcrs.data.statistics import describe

    prepared = PreparedDataset(dataset)
    told = describe(prepared)
    if as_json:
        print(json.dumps(told, indent=2, ensure_ascii=False, default=str))
        return
    table = summary(prepared)
    for label, value in told["statistics"].items():
        table.add_row(label, f"{value:,.4g}" if isinstance(value, float) else f"{value:,}")
    for split, rows in told["requests"].items():
        table.add_row(f"requests, {split}", f"{rows:,}")
    table.add_row("source", escape(prepared.info.source))
    table.add_row("terms", prepared.info.terms)
    console.print(table)
    item = Table(title="one item", show_header=True, box=None, pad_edge=False)
    for heading in ("column", "kind", "filled", "distinct", "value"):
        item.add_column(heading, justify="right" if heading in ("filled", "distinct") else "left")
    for row in told["columns"]:
        value = "" if row["sample"] is None else str(row["sample"])
        short = value if len(value) <= 80 else value[:79] + "…"
        item.add_row(row["column"], row["kind"], f"{row['filled']:.0%}", f"{row['distinct']:,}", escape(short))
    console.print(item)
