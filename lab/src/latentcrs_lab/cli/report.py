"""`latentcrs-lab report`: every table and picture, out of one run that can be interrupted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from latentcrs.base.errors import UserError
from latentcrs.cli.options import a_model


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("report")(report)


def report(
    out: Annotated[Path, typer.Option(help="Folder of data sets, models and records; a run goes on from there.")],
    only: Annotated[
        list[str] | None, typer.Option(help="Only this part, data set or step, and what it needs; may be repeated.")
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List the steps, what is done and what is not, and end.")
    ] = False,
    bundle: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER: a trained bundle in place of training one on NAME.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="Fill the places for tables in README.md, docs and lab of this repository.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="The page of all figures; OUT/report.md by default.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Lay KEY=VALUE over every preset.")] = None,
    llm: Annotated[
        str | None, typer.Option(callback=a_model, help="For what asks a language model: 'local', or an address.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Repeat what is done already.")] = False,
    measure: Annotated[bool, typer.Option(help="Without: write the pages of what is there, and run nothing.")] = True,
) -> None:
    """Make every table and picture of README, documentation and laboratory, from the raw data in $LATENTCRS_DATA.

    Each step is a command; its result is kept as JSON in OUT/steps with command, inputs, hardware, seed and seconds.
    A step whose inputs did not change is not taken again. Stop it at any time: the same command goes on from there.

    Example: latentcrs-lab report --out report --only people --only one-turn --into .
    """
    from latentcrs.base.progress import show
    from latentcrs.recommend.bundle import read_manifest  # late, as all below: PyTorch takes seconds
    from latentcrs.recommend.users import trained_dataset
    from latentcrs_lab.report.pages import copy_pictures, fill_pages, write_page
    from latentcrs_lab.report.run import is_done, records_of, run_steps
    from latentcrs_lab.report.steps import Plan, chosen

    home, out = os.environ.get("LATENTCRS_DATA"), out.resolve()
    given: dict[str, Path] = {}
    for each in bundle or ():
        name, _, where = each.partition("=")
        if not name or not where or "/" in name:
            raise UserError(f"--bundle {each!r}: write NAME=FOLDER, as in ml-1m=models/ml-1m.")
        given[name] = Path(where).resolve()
    links: dict[Path, Path] = {}
    for name, folder in given.items():
        links |= {out / "models" / name: folder, out / "data" / name: trained_dataset(read_manifest(folder)).path}
    plan = Plan(out, Path(home).resolve() if home else None, given, tuple(set_ or ()), llm)
    every = plan.steps()
    if not every:
        raise UserError("There is nothing to report of: put data sets into $LATENTCRS_DATA, or name a --bundle.")
    steps = chosen(every, only or [])
    for link, folder in links.items():
        _link(link, folder)
    if list_:
        for one in steps:
            show(f"{'done' if is_done(plan, one) else '    '}  {one.name}")
        return
    failed = run_steps(plan, steps, again) if measure else []
    records = records_of(plan, every)
    write_page(every, records, page or out / "report.md")
    show(f"Wrote {page or out / 'report.md'}.")
    for changed in [] if into is None else [*fill_pages(into, records), *copy_pictures(out, into)]:
        show(f"Wrote {changed}.")
    if failed:
        raise UserError(f"{len(failed)} of the steps failed: {' '.join(failed)}")


def _link(link: Path, folder: Path) -> None:
    """Make `link` lead to `folder`.

    Raises:
        UserError: something else stands there.
    """
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    elif link.exists():
        raise UserError(f"{link} is a folder of its own; move it away, or leave out --bundle.")
    link.symlink_to(folder.resolve())
