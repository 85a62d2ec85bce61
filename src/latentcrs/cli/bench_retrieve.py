"""`latentcrs bench retrieve`: the top of a large catalogue, beside plain NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentcrs.base.errors import UserError
from latentcrs.bench.report import Report
from latentcrs.cli.measured import hardware_line, span, tell
from latentcrs.cli.options import MOST

if TYPE_CHECKING:
    from latentcrs.bench.retrieve import RetrieveBenchmark

NAMED = {"half": "exact", "lists": "lists"}


def retrieve(
    items: Annotated[int, typer.Option(min=1, max=MOST, help="How many items.")] = 1_000_000,
    width: Annotated[int, typer.Option(min=1, max=MOST, help="Width of made-up vectors.")] = 64,
    bundle: Annotated[
        Path | None, typer.Option(help="Repeat the vectors of this bundle, and ask as its people would.")
    ] = None,
    words: Annotated[
        bool, typer.Option("--words", help="Of the bundle: the vectors that requests are compared with.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Milliseconds for the best 100 of many items on one thread, with rules and without, as ratios to plain NumPy.

    Builds an exact index and one with lists in a temporary folder; needs some 500 bytes of memory for each item.

    Example: `latentcrs bench retrieve --items 1000000`
    """
    from latentcrs.bench.retrieve import bench_retrieve  # late: PyTorch takes seconds

    if words and bundle is None:
        raise UserError("--words says which vectors of a bundle are meant; name one with --bundle.")
    found = bench_retrieve(items, width, bundle, words)
    tell(found, report_of(found), as_json)


def report_of(found: RetrieveBenchmark) -> Report:
    """The searches, and what the indexes cost."""
    from latentcrs.bench.retrieve import REPEATS, K

    return Report(
        f"The best {K} of {found.items:,} items of width {found.width}, {found.vectors}",
        ("index", "pass", "time", "CPU", "NumPy", "ratio", "recall"),
        [
            (
                NAMED[search.kind] + (" + BM25" if search.lexical else ""),
                "all" if search.share is None else f"{search.share:.1%}",
                f"{search.milliseconds:.2f} ms",
                f"{search.processor_milliseconds:.2f} ms",
                f"{search.numpy_milliseconds:.2f} ms",
                f"{search.ratio:.3f}",
                f"{search.recall:.3f}",
            )
            for search in found.searches
        ],
        [
            f"{NAMED[kind]}: {size:,.0f} MiB, {size / found.vectors_mib:.2f} times NumPy's; built in "
            f"{span(found.built[kind])}."
            for kind, size in found.sizes.items()
        ],
        f"Medians of {REPEATS} searches on one thread, by turns with NumPy (matrix product, mask, argpartition). "
        f"{hardware_line(found.hardware, found.busy)}",
    )
