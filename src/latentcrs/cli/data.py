"""Commands of the group 'data': fetch and check raw files, prepare a data set, show and copy what was made."""

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
from typer import Argument, Option

from latentcrs.base.errors import UserError
from latentcrs.base.progress import console, err_console, say, show
from latentcrs.cli import options
from latentcrs.cli.options import MOST
from latentcrs.cli.raw import Catalogue, Core, ItemCore, Log, Mapping, SameIds, UserCore, chosen_engine, read_raw

if TYPE_CHECKING:
    from latentcrs.data.dataset import PreparedDataset

group = typer.Typer(help="Data: fetch it, check it, prepare it.", no_args_is_help=True, rich_markup_mode="markdown")
EXAMPLES = 3


@group.command()
def fetch(
    name: Annotated[str, Argument(help="ml-100k, ml-1m, ml-latest-small, ml-32m, redial, amazon-2023:CATEGORY.")],
    accept_terms: Annotated[bool, Option("--accept-terms", help="Accept the terms of use unasked.")] = False,
    out: Annotated[Path | None, Option("--out", help="Folder for the files; else the cache.")] = None,
    local: Annotated[Path | None, Option("--from", help="Take a local copy: a folder or a .zip.")] = None,
) -> None:
    """Fetch a data set from its official address: resumed where it stopped, its checksum checked, its terms shown.

    Examples:

        latentcrs data fetch ml-1m --out ml-1m

        latentcrs data fetch amazon-2023:Video_Games --accept-terms
    """
    from latentcrs.data.fetch import default_folder
    from latentcrs.data.fetch import fetch as fetch_data
    from latentcrs.data.known import known_dataset

    known = known_dataset(name)
    folder = out if out is not None else default_folder(known)
    err_console.print(f"[bold]{known.name}[/bold]: {escape(known.about)}\n{escape(known.terms)}", highlight=False)
    options.accept_terms(name, accept_terms, f"{name} was not fetched: its terms were not accepted.")
    fetched = fetch_data(known, folder, local)
    if fetched.instead_of:
        err_console.print(f"[yellow]instead of the official address:[/yellow] {escape(fetched.instead_of)}")
    state = "already there, from" if fetched.already_there else "fetched from"
    show(f"{state} {', '.join(fetched.origin)}")
    for path in fetched.files:
        show(f"  {path}  {path.stat().st_size:,} bytes")
    where = ["--from", str(folder), "--out", f"prepared-{folder.name}"]
    show(f"next: {shlex.join(['latentcrs', 'data', 'prepare', known.source, *where])}")


@group.command()
def check(
    name: Annotated[
        str, Argument(help="A source of `latentcrs data list`; `own` (the default) for your own files.")
    ] = "own",
    origin: Annotated[Path | None, Option("--from", help="Folder, zip or file to read.")] = None,
    interactions: Log = None,
    items: Catalogue = None,
    mapping: Mapping = None,
    same_ids: SameIds = None,
    threshold: Annotated[
        float | None, Option(min=-MOST, max=MOST, help="Lowest rating that counts, as for `prepare`.")
    ] = None,
    core: Core = None,
    user_core: UserCore = None,
    item_core: ItemCore = None,
    out: Annotated[Path | None, Option("--out", help="File for every problem: .csv, .jsonl, .parquet.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Report every problem of a log at once, with file and line, and what is guessed. Exit code 2 where
    `latentcrs data prepare` would not take it.

    Examples:

        latentcrs data check ml-1m --from ml-1m

        latentcrs data check --interactions log.csv --items catalogue.csv --out problems.csv
    """
    from latentcrs.data.check import check as check_data

    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace_name:
        workspace = Path(workspace_name)
        raw = read_raw(name, origin, interactions, items, mapping, workspace, same_ids)
        report = check_data(raw, workspace, threshold, user_core or core, item_core or core)
        kinds = report.kinds(EXAMPLES)
        if out is not None:
            report.write(out)
    if as_json:
        counts = {"rows": report.rows, "usable": report.usable, "items": report.items}
        prepared = {"users": report.users, "items": report.left, "interactions": report.interactions}
        told = {"name": report.name, **counts, "problems": kinds, "notes": report.notes, "prepared": prepared}
        told["dropped"] = report.dropped
        print(json.dumps({**told, "refused": report.refused}, indent=2, ensure_ascii=False))
    else:
        console.print(f"{report.rows:,} rows, {report.usable:,} usable; {report.items:,} items", highlight=False)
        console.print(problem_table(kinds) if kinds else "no problems found")
        for reason, number in report.dropped.items():
            show(f"left out or mended: {number:,} x {reason}")
        for note in report.notes:
            show(f"note: {note}")
        if report.refused is None:
            left = f"{report.users:,} users, {report.left:,} items, {report.interactions:,} interactions"
            console.print(f"'data prepare' would write {left}", highlight=False)
        if out is not None:
            show(f"every problem is in {out}")
    if report.refused is not None:
        raise UserError(report.refused)


@group.command()
def mapping(
    interactions: Annotated[str, Option(help="The log: a file or a folder of Parquet; path or URL.")],
    items: Annotated[str, Option(help="The catalogue: path or URL.")],
    out: Annotated[Path | None, Option("--out", help="File to write; else it is printed.")] = None,
) -> None:
    """Write a mapping of what is guessed about your own files, with comments, to be edited and given to --mapping.

    Example: `latentcrs data mapping --interactions log.csv --items catalogue.csv --out mapping.toml`
    """
    from latentcrs.base.files import atomic_file
    from latentcrs.data.guessed import guessed_mapping

    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace_name:
        workspace = Path(workspace_name)
        text = guessed_mapping(read_raw("own", None, interactions, items, None, workspace), workspace)
    if out is None:
        print(text, end="")
        return
    with atomic_file(out) as temporary:
        temporary.write_text(text, "utf-8")
    show(f"written to {out}")


def problem_table(kinds: list[dict]) -> Table:
    """Problems by kind, each with its count and its first few places."""
    table = Table(box=None, pad_edge=False)
    for heading in ("count", "rows", "problem", "first found"):
        table.add_column(heading, justify="right" if heading == "count" else "left", overflow="fold")
    for found in kinds:
        places = []
        for example in found["examples"]:
            place = f"{example.get('file', '')}:{example['line']}" if "line" in example else example.get("file", "")
            about = [f"{key[:4]} {example[key]}" for key in ("user_id", "item_id") if key in example]
            places.append(escape(" ".join([place, *about])))
        detail = found["examples"][0].get("detail") if found["examples"] else None
        words = escape(found["kind"]) + (f"\n[dim]{escape(detail)}[/dim]" if detail else "")
        table.add_row(f"{found['count']:,}", found["effect"], words, "\n".join(places))
    return table


@group.command()
def copy(
    source: Annotated[str, Argument(help="A prepared data set: a path or a URL.")],
    target: Annotated[str, Argument(help="Where it shall lie: a path or a URL.")],
) -> None:
    """Copy a prepared data set from or to a URL, every checksum checked; all later steps read a local folder.

    Example: `latentcrs data copy s3://shop/prepared data/shop`
    """
    from latentcrs.data.copies import copy_dataset

    info = copy_dataset(source, target).info
    show(f"{info.users:,} users, {info.items:,} items, {info.interactions:,} interactions copied to {target}")


@group.command()
def prepare(
    name: Annotated[str, Argument(help="A source of `latentcrs data list`, or `own` for your own files.")],
    out: Annotated[str, Option("--out", help="Folder for the prepared data set; path or URL.")],
    origin: Annotated[
        Path | None, Option("--from", help="Folder, zip or file to read; else $LATENTCRS_DATA/NAME.")
    ] = None,
    interactions: Log = None,
    items: Catalogue = None,
    mapping: Mapping = None,
    called: Annotated[
        str | None,
        Option("--name", help="What the data set is called, also in stores. [default: the last part of --out]"),
    ] = None,
    requests: Annotated[Path | None, Option(help="Requests written elsewhere (JSON lines) to import.")] = None,
    conversations: Annotated[
        Path | None,
        Option(help="Recorded conversations to learn from: a folder or file, ReDial's layout or JSON lines."),
    ] = None,
    same_ids: SameIds = None,
    threshold: Annotated[
        float | None,
        Option(
            min=-MOST, max=MOST, help="Lowest rating that counts (4 by default; `own`: four fifths of the scale)."
        ),
    ] = None,
    core: Core = None,
    user_core: UserCore = None,
    item_core: ItemCore = None,
    engine: Annotated[str, Option(help="polars: this process; spark: PySpark, for logs past one machine.")] = (
        "polars"
    ),
    master: Annotated[str | None, Option(help="`spark`: local[N] or a cluster; local[*] by default.")] = None,
    work: Annotated[
        str | None, Option(help="`spark`: folder that all workers reach, for what lies between; path or URL.")
    ] = None,
    spark_conf: Annotated[list[str] | None, Option(help="`spark`: a setting of Spark, KEY=VALUE.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the manifest as JSON.")] = False,
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

    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace, placed(out, Path(workspace)) as folder:
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
                user_core=user_core or core,
                item_core=item_core or core,
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
def list_sources(as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False) -> None:
    """List what `latentcrs data prepare` can read. Example: `latentcrs data list`"""
    from latentcrs.data.sources import SOURCES

    about = {source.name: source.about for source in SOURCES.values()}
    about["own"] = "your own log and catalogue: CSV, Parquet or JSON lines"
    if as_json:
        print(json.dumps(about, indent=2))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for row in about.items():
        table.add_row(*row)
    console.print(table)


@group.command("show")
def show_dataset(
    dataset: Annotated[Path, Argument(help="A prepared data set.")],
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
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
