"""Commands of the group 'data': prepare a data set, list what can be prepared, show what was."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from latentcrs.base.errors import UserError
from latentcrs.base.progress import console, err_console
from latentcrs.cli.options import MOST

if TYPE_CHECKING:
    from latentcrs.data.dataset import PreparedDataset
    from latentcrs.data.engine import Engine
    from latentcrs.data.raw import RawData

group = typer.Typer(help="Data: fetch it, check it, prepare it.", no_args_is_help=True, rich_markup_mode="markdown")


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    from latentcrs.cli import data_files

    data_files.register(group)
    app.add_typer(group, name="data")


@group.command()
def prepare(
    name: Annotated[str, typer.Argument(help="A source of `latentcrs data list`, or `own` for your own files.")],
    out: Annotated[str, typer.Option("--out", help="Folder for the prepared data set; path or URL.")],
    origin: Annotated[
        Path | None, typer.Option("--from", help="Folder, zip or file to read; else $LATENTCRS_DATA/NAME.")
    ] = None,
    interactions: Annotated[
        str | None,
        typer.Option(
            help="`own`: the log (.csv, .parquet, .jsonl; compressed too) or a folder of Parquet; path or URL."
        ),
    ] = None,
    items: Annotated[
        str | None, typer.Option(help="`own`: the catalogue (.csv, .parquet, .jsonl; compressed too); path or URL.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="`own`: a TOML that names columns and their kinds.")] = None,
    requests: Annotated[Path | None, typer.Option(help="Requests written elsewhere (JSON lines) to import.")] = None,
    conversations: Annotated[
        Path | None,
        typer.Option(help="Recorded conversations to learn from: a folder or file, ReDial's layout or JSON lines."),
    ] = None,
    same_ids: Annotated[str | None, typer.Option(help="`own`: ids match without number (.0), zeros, case.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=-MOST, max=MOST, help="Lowest rating that counts (4 by default; `own`: four fifths of the scale)."
        ),
    ] = None,
    core: Annotated[int | None, typer.Option(min=1, max=MOST, help="Sets both --user-core and --item-core.")] = None,
    user_core: Annotated[int | None, typer.Option(min=1, max=MOST, help="Fewest interactions of a user.")] = None,
    item_core: Annotated[int | None, typer.Option(min=1, max=MOST, help="Fewest interactions of an item.")] = None,
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
        err_console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"written to {out}", markup=False, highlight=False, soft_wrap=True)


def chosen_engine(
    name: str, master: str | None, work: str | None, conf: list[str]
) -> AbstractContextManager[Engine | None]:
    """The engine that the options of `prepare` name; None is this process.

    Raises:
        UserError: an unknown engine, or options that do not go together.
    """
    if name not in ("polars", "spark"):
        raise UserError(f"There is no engine {name!r}; use polars or spark.")
    settings = dict(entry.split("=", 1) for entry in conf if "=" in entry)
    if len(settings) < len(conf):
        raise UserError(f"--spark-conf wants KEY=VALUE, each key once, not {', '.join(conf)}.")
    if name == "spark":
        from latentcrs.data.spark_session import spark_engine

        return spark_engine(master or "local[*]", work, settings)
    if master or work or conf:
        raise UserError("--master, --work and --spark-conf belong to --engine spark.")
    return nullcontext(None)


def read_raw(
    name: str,
    origin: Path | None,
    interactions: Path | str | None,
    items: Path | str | None,
    mapping: Path | None,
    workspace: Path,
    same_ids: str | None = None,
) -> RawData:
    """The raw data that the options of `prepare` name.

    Raises:
        UserError: an unknown name, or options that do not go together.
    """
    from latentcrs.base.places import fetched
    from latentcrs.data.sources import SOURCES
    from latentcrs.data.sources.own import read_own

    if name == "own":
        if interactions is None or items is None:
            raise UserError("'data prepare own' wants --interactions FILE and --items FILE.")
        if origin is not None:
            raise UserError("'data prepare own' reads --interactions and --items; leave --from out.")
        same = [part.strip() for part in same_ids.split(",") if part.strip()] if same_ids else []
        return read_own(interactions, fetched(items, workspace / "fetched"), mapping, workspace, same)
    if name not in SOURCES:
        raise UserError(f"No source is called {name!r}; use one of {', '.join([*SOURCES, 'own'])}.")
    if interactions or items or mapping or same_ids:
        raise UserError(
            f"--interactions, --items, --mapping and --same-ids belong to 'own'; {name} is read --from one place."
        )
    if origin is None:
        home = os.environ.get("LATENTCRS_DATA")
        if not home or not (Path(home) / name).exists():
            raise UserError(
                f"'data prepare {name}' wants --from PATH (or a folder {name} in $LATENTCRS_DATA); "
                f"'latentcrs data fetch {name}' downloads it."
            )
        origin = Path(home) / name
    return SOURCES[name].read(origin, workspace)


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


@group.command()
def show(
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
