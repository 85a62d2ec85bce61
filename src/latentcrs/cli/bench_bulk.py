"""`latentcrs bench bulk` and `latentcrs bench embed`: whole catalogues and logs, beside named peers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from latentcrs.cli.measured import hardware_line
from latentcrs.progress import console

if TYPE_CHECKING:
    from latentcrs.bench.bulk import Catalogue
    from latentcrs.bench.embed import Encoding


def bulk(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    k: Annotated[int, typer.Option(min=1, help="Items for each user.")] = 20,
    users: Annotated[int, typer.Option(min=1, help="The most users of one run.")] = 10_000,
    items: Annotated[
        str, typer.Option(help="Sizes of made-up catalogues beside the bundle's own.")
    ] = "10000,100000,1000000",
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; medians are told.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Users a second and peak memory of bulk recommendation, beside implicit's `recommend` on the same factors.

    Example: `latentcrs bench bulk models/ml-1m`
    """
    from latentcrs.bench.bulk import PEER, bench_bulk  # late: PyTorch takes seconds
    from latentcrs.errors import UserError

    sizes = [part.strip() for part in items.split(",") if part.strip()]
    if not all(size.isdigit() and int(size) >= 1 for size in sizes):
        raise UserError(f"--items wants numbers with commas between, not {items!r}.")
    found = bench_bulk(bundle, k, users, [int(size) for size in sizes], repeats)
    if as_json:
        print(json.dumps(found.as_json()))
        return
    table = _table(
        f"The best {found.k} of {found.width}-wide factors, users a second; peer: {PEER}",
        ("data", "items", "users", "ours", "peer", "times", "by cpu", "MiB", "peer's", "same"),
    )
    for row in found.catalogues:
        table.add_row(row.data, f"{row.items:,}", f"{row.users:,}", *_figures(row), f"{row.same:.2%}")
    console.print(table)
    _line(f"Before it, the behaviour encoder reads {found.encoded_per_second:,.0f} histories a second.")
    _hardware(found.hardware)


def embed(
    dataset: Annotated[Path, typer.Argument(help="The folder of a prepared data set.")],
    encoder: Annotated[str, typer.Option(help="minilm, or a sentence-transformers model.")] = "minilm",
    sample: Annotated[int, typer.Option(min=32, help="Texts of each kind.")] = 512,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; medians are told.")] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Sentences a second of the text encoder, beside sentence-transformers' own loop over the same model.

    Example: `latentcrs bench embed data/ml-1m`
    """
    from latentcrs.bench.embed import PEER, bench_embed  # late: PyTorch takes seconds

    found = bench_embed(dataset, encoder, sample, repeats, device)
    if as_json:
        print(json.dumps(found.as_json()))
        return
    table = _table(
        f"{found.encoder}, {found.sample} texts of each kind, sentences a second; peer: {PEER}",
        ("texts", "tokens", "precision", "ours", "peer", "times", "by cpu", "MiB", "peer's", "cosine"),
    )
    for row in found.encodings:
        table.add_row(row.texts, f"{row.tokens:.0f}", row.precision, *_figures(row), f"{row.lowest_cosine:.4f}")
    console.print(table)
    _hardware(found.hardware)


def _table(title: str, headings: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def _figures(row: Catalogue | Encoding) -> list[str]:
    """What both benchmarks tell of a row: speeds, ratios, memory."""
    speeds = (f"{row.per_second:,.0f}", f"{row.peer_per_second:,.0f}")
    return [*speeds, f"{row.ratio:.2f}", f"{row.processor_ratio:.2f}", f"{row.mib:,.0f}", f"{row.peer_mib:,.0f}"]


def _hardware(here: dict[str, Any]) -> None:

    _line(f"{hardware_line(here)} Both in turn in one process; medians of rounds.")


def _line(words: str) -> None:
    console.print(words, highlight=False, markup=False, soft_wrap=True)
