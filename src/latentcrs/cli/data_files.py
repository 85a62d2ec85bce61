"""Commands of the group 'data' that deal with raw files: fetch them, check them, copy what was made of them."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from latentcrs.base.errors import UserError
from latentcrs.base.progress import console, err_console, show
from latentcrs.cli.options import MOST
from latentcrs.cli.raw import Catalogue, Core, ItemCore, Log, Mapping, SameIds, UserCore, read_raw

EXAMPLES = 3


def fetch(
    name: Annotated[
        str, typer.Argument(help="ml-100k, ml-1m, ml-latest-small, ml-32m, redial, amazon-2023:CATEGORY.")
    ],
    accept_terms: Annotated[bool, typer.Option("--accept-terms", help="Accept the terms of use unasked.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the files; else the cache.")] = None,
    local: Annotated[Path | None, typer.Option("--from", help="Take a local copy: a folder or a .zip.")] = None,
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
    if not accept_terms:
        if not sys.stdin.isatty():
            raise UserError(
                f"the terms of {name} have to be accepted; without a terminal, say so with --accept-terms."
            )
        if not typer.confirm("Do you accept these terms?", err=True):
            raise UserError(f"{name} was not fetched: its terms were not accepted.")
    fetched = fetch_data(known, folder, local)
    if fetched.instead_of:
        err_console.print(f"[yellow]instead of the official address:[/yellow] {escape(fetched.instead_of)}")
    state = "already there, from" if fetched.already_there else "fetched from"
    show(f"{state} {', '.join(fetched.origin)}")
    for path in fetched.files:
        show(f"  {path}  {path.stat().st_size:,} bytes")
    told = shlex.join(
        ["latentcrs", "data", "prepare", known.source, "--from", str(folder), "--out", f"prepared-{folder.name}"]
    )
    show(f"next: {told}")


def check(
    name: Annotated[
        str, typer.Argument(help="A source of `latentcrs data list`; `own` (the default) for your own files.")
    ] = "own",
    origin: Annotated[Path | None, typer.Option("--from", help="Folder, zip or file to read.")] = None,
    interactions: Log = None,
    items: Catalogue = None,
    mapping: Mapping = None,
    same_ids: SameIds = None,
    threshold: Annotated[
        float | None, typer.Option(min=-MOST, max=MOST, help="Lowest rating that counts, as for `prepare`.")
    ] = None,
    core: Core = None,
    user_core: UserCore = None,
    item_core: ItemCore = None,
    out: Annotated[Path | None, typer.Option("--out", help="File for every problem: .csv, .jsonl, .parquet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
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
        report = check_data(
            raw,
            workspace,
            threshold,
            user_core if user_core is not None else core,
            item_core if item_core is not None else core,
        )
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


def mapping(
    interactions: Annotated[str, typer.Option(help="The log: a file or a folder of Parquet; path or URL.")],
    items: Annotated[str, typer.Option(help="The catalogue: path or URL.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write; else it is printed.")] = None,
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


def copy(
    source: Annotated[str, typer.Argument(help="A prepared data set: a path or a URL.")],
    target: Annotated[str, typer.Argument(help="Where it shall lie: a path or a URL.")],
) -> None:
    """Copy a prepared data set from or to a URL, every checksum checked; all later steps read a local folder.

    Example: `latentcrs data copy s3://shop/prepared data/shop`
    """
    from latentcrs.data.copies import copy_dataset

    info = copy_dataset(source, target).info
    told = f"{info.users:,} users, {info.items:,} items, {info.interactions:,} interactions copied to {target}"
    show(told)
