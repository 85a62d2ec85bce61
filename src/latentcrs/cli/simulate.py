"""`latentcrs simulate`: write the requests of a simulated user into a prepared data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from latentcrs.data.dataset import PreparedDataset
from latentcrs.errors import UserError
from latentcrs.progress import console, step

USERS = ("attributes",)
SPLITS = ("train", "valid", "test")
_SAMPLES = 5


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command()(simulate)


def simulate(
    dataset: Annotated[Path, typer.Argument(help="A prepared data set.")],
    user: Annotated[str, typer.Option(help="Who speaks: attributes.")] = "attributes",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other words.")] = 0,
    augmentations: Annotated[int, typer.Option(min=0, help="Extra training rows per user, at random cuts.")] = 5,
    noun: Annotated[str | None, typer.Option(help="What an item is called: movie, game, album, book ...")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write anew, even over imported requests.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write what a simulated user would say for every training, validation and test row.

    Splits that have requests already are kept (imported ones, say); only what is missing is written.

    Example: latentcrs simulate data/ml-1m
    """
    if user not in USERS:
        raise UserError(f"There is no simulated user {user!r}; there is {', '.join(USERS)}.")
    prepared = PreparedDataset(dataset)
    kept = None if force or not prepared.has_requests else prepared.requests
    present = [] if kept is None else [split for split in SPLITS if (kept["split"] == split).any()]
    missing = [split for split in SPLITS if split not in present]
    if not missing:
        _report_present(prepared.requests, dataset, as_json)
        return
    written = _written(prepared, seed, augmentations, noun, missing)
    prepared.write_requests(written["requests"] if kept is None else pl.concat([kept, written["requests"]]))
    _report(written, kept, present, dataset, as_json)


def _written(
    prepared: PreparedDataset, seed: int, augmentations: int, noun: str | None, splits: list[str]
) -> dict[str, Any]:
    """The requests of `splits` and the counts behind them."""
    # Imported late: reading a catalogue's words is work that `--help` need not wait for.
    from latentcrs.simulate.attributes import AttributesUser, requests_for
    from latentcrs.simulate.rows import request_rows

    rows = request_rows(prepared, seed, augmentations).filter(pl.col("split").is_in(splits))
    with step("Writing requests", total=len(rows)) as running:
        running.note("reading the catalogue")
        speaker = AttributesUser(prepared, seed, noun)
        running.note("")
        requests, spoken = requests_for(speaker, rows, running.advance)
    return {"requests": requests, "spoken": spoken, "titles": prepared.items["title"]}


def _counts(requests: pl.DataFrame) -> dict[str, int]:
    return {split: int((requests["split"] == split).sum()) for split in SPLITS}


def _report_present(requests: pl.DataFrame, dataset: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"dataset": str(dataset), "written": dict.fromkeys(SPLITS, 0), "kept": _counts(requests)}))
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in _counts(requests).items())
    sources = ", ".join(sorted(requests["source"].unique()))
    console.print(
        f"{dataset} has requests for all splits already ({counts}; source: {sources}). Nothing was written; "
        "--force writes them anew.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _report(
    written: dict[str, Any], kept: pl.DataFrame | None, present: list[str], dataset: Path, as_json: bool
) -> None:
    requests, spoken, titles = written["requests"], written["spoken"], written["titles"]
    # Evenly spaced rows of the last split written: the same five each time.
    last = requests.filter(pl.col("split") == requests["split"][-1])
    every = max(1, len(last) // _SAMPLES)
    samples = [
        {"title": titles[row["target"]], "text": row["text"]}
        for row in last.gather_every(every).head(_SAMPLES).iter_rows(named=True)
    ]
    without = sum(not said.conditions for said in spoken.said)
    if as_json:
        report = {
            "dataset": str(dataset),
            "written": _counts(requests),
            "kept": dict.fromkeys(SPLITS, 0) if kept is None else _counts(kept),
            "redrawn": spoken.redrawn,
            "without_conditions": without,
            "samples": samples,
        }
        print(json.dumps(report, ensure_ascii=False))
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in _counts(requests).items() if count)
    lines = [f"Wrote {len(requests):,} requests to {dataset} ({counts})."]
    if present:
        lines.append(f"Kept what was there for {' and '.join(present)}.")
    lines.append(f"{spoken.redrawn:,} sentences gave their title away and were drawn again; none does now.")
    if without:
        lines.append(f"{without:,} requests are for items of which the catalogue says nothing that could be said.")
    lines += ["For instance:", *(f"  {sample['text']}  ({sample['title'] or 'untitled'})" for sample in samples)]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
