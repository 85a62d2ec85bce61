"""`latentcrs simulate`: write the requests of a simulated user into a prepared data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from latentcrs.base.errors import UserError
from latentcrs.base.progress import show
from latentcrs.cli.options import LAST_SEED, MOST, a_model

if TYPE_CHECKING:
    import polars as pl

    from latentcrs.users import FillReport

_SPLITS = ("train", "valid", "test")
_SAMPLES = 5


def simulate(
    dataset: Annotated[Path, Argument(help="A prepared data set.")],
    user: Annotated[str, Option(help="Who speaks: attributes, plot or llm.")] = "attributes",
    llm: Annotated[
        str | None,
        Option(
            callback=a_model, help="Who plays llm: 'local', or the address of an endpoint; else $LATENTCRS_LLM_URL."
        ),
    ] = None,
    sample: Annotated[
        int | None,
        Option(
            min=1, max=MOST, help="At most so many rows of each split. Without it, llm is called once for every row."
        ),
    ] = None,
    seed: Annotated[int, Option(min=0, max=LAST_SEED, help="Another seed, other words.")] = 0,
    augmentations: Annotated[int, Option(min=0, max=MOST, help="Extra training rows per user, at random cuts.")] = 5,
    noun: Annotated[str | None, Option(help="What an item is called: movie, game, album, book ...")] = None,
    plots: Annotated[
        float,
        Option(min=0, max=1, help="attributes: for this share of training rows, plot speaks as well. Try 0.33."),
    ] = 0.0,
    force: Annotated[bool, Option("--force", help="Write anew, even over imported requests.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write what a simulated user would say for every training, validation and test row.

    attributes asks for properties of the item, plot tells what it is about, llm has a language model say it: one call
    a row, kept in the data set's folder, so that an interrupted run goes on where it stopped.
    Splits that have requests already are kept (imported ones, say); only what is missing is written.

    Example: latentcrs simulate data/ml-1m
    """
    from latentcrs.data.dataset import PreparedDataset  # late: `--help` need not wait for it
    from latentcrs.users import fill_requests

    prepared = PreparedDataset(dataset)

    model = None
    if user == "llm" and (force or prepared.missing_splits):
        from latentcrs.llm import open_chat_model

        model = open_chat_model(llm)
        if model is None:
            raise UserError("--user llm is played by a language model: name one with --llm or LATENTCRS_LLM_URL.")
    elif llm is not None and user != "llm":
        raise UserError(f"--llm is for --user llm; {user} needs no language model.")
    filled = fill_requests(prepared, seed, augmentations, noun, force, user, model, sample, plots)
    if filled is None:
        _report_present(prepared.requests, dataset, as_json)
    else:
        _report(filled, prepared.items["title"], dataset, as_json)


def _counts(requests: pl.DataFrame) -> dict[str, int]:
    return {split: int((requests["split"] == split).sum()) for split in _SPLITS}


def _report_present(requests: pl.DataFrame, dataset: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"dataset": str(dataset), "written": dict.fromkeys(_SPLITS, 0), "kept": _counts(requests)}))
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in _counts(requests).items())
    sources = ", ".join(sorted(requests["source"].unique()))
    there = f"{dataset} has requests for all splits already ({counts}; source: {sources})"
    show(f"{there}. Nothing was written; --force writes them anew.")


def _report(filled: FillReport, titles: pl.Series, dataset: Path, as_json: bool) -> None:
    requests, kept = filled.written, filled.kept
    # Evenly spaced rows of the last split written: the same five each time.
    last = requests.filter(requests["split"] == requests["split"][-1])
    every = max(1, len(last) // _SAMPLES)
    samples = [
        {"title": titles[row["target"]], "text": row["text"]}
        for row in last.gather_every(every).head(_SAMPLES).iter_rows(named=True)
    ]
    if as_json:
        report: dict[str, Any] = {
            "dataset": str(dataset),
            "written": _counts(requests),
            "kept": dict.fromkeys(_SPLITS, 0) if kept is None else _counts(kept),
            "redrawn": filled.redrawn,
            "without_conditions": filled.without_conditions,
            "samples": samples,
        }
        if filled.by_model:
            report["failed"] = filled.failed
        print(json.dumps(report, ensure_ascii=False))
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in _counts(requests).items() if count)
    lines = [f"Wrote {len(requests):,} requests to {dataset} ({counts})."]
    if kept is not None:
        lines.append(f"Kept what was there for {' and '.join(kept['split'].unique(maintain_order=True))}.")
    lines.append(f"{filled.redrawn:,} sentences gave their title away and were drawn again; none does now.")
    if filled.without_conditions:
        lines.append(
            f"{filled.without_conditions:,} requests are for items of which the catalogue says nothing to go by."
        )
    if filled.failed:
        lines.append(f"For {filled.failed:,} the language model gave no usable answer; neutral words stand there.")
    lines += ["For instance:", *(f"  {sample['text']}  ({sample['title'] or 'untitled'})" for sample in samples)]
    for line in lines:
        show(line)
