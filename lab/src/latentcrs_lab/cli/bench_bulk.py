"""`latentcrs-lab bench bulk` and `embed`: whole catalogues and logs beside peers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentcrs.bench.report import Report, hardware_line, tell
from latentcrs.cli.options import MOST, Device, an_encoder

if TYPE_CHECKING:
    from latentcrs_lab.bench.alternating import Comparison

IN_TURN = "Both in turn in one process; medians of rounds."


def bulk(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    k: Annotated[int, typer.Option(min=1, max=MOST, help="Items for each user.")] = 20,
    users: Annotated[int, typer.Option(min=1, max=MOST, help="The most users of one run.")] = 10_000,
    items: Annotated[
        list[int] | None, typer.Option(min=1, help="Size of a made-up catalogue beside the bundle's own; several.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, max=MOST, help="Rounds; medians are told.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Users a second and peak memory of bulk recommendation, beside implicit's `recommend` on the same factors.

    Example: `latentcrs-lab bench bulk models/ml-1m`
    """
    from latentcrs_lab.bench.bulk import CATALOGUES, PEER, bench_bulk  # late: PyTorch takes seconds

    found = bench_bulk(bundle, k, users, items or CATALOGUES, repeats)
    report = Report(
        f"The best {found.k} of {found.width}-wide factors, users a second; peer: {PEER}",
        ("data", "items", "users", "ours", "peer", "times", "by cpu", "MiB", "peer's", "same"),
        [
            (row.data, f"{row.items:,}", f"{row.users:,}", *_figures(row), f"{row.same:.2%}")
            for row in found.catalogues
        ],
        [f"Before it, the behaviour encoder reads {found.encoded_per_second:,.0f} histories a second."],
        f"{hardware_line(found.hardware)} {IN_TURN}",
    )
    tell(found, report, as_json)


def embed(
    dataset: Annotated[Path, typer.Argument(help="The folder of a prepared data set.")],
    encoder: Annotated[
        str, typer.Option(callback=an_encoder, help="minilm, or a sentence-transformers model.")
    ] = "minilm",
    sample: Annotated[int, typer.Option(min=1, max=MOST, help="Texts of each kind.")] = 512,
    repeats: Annotated[int, typer.Option(min=1, max=MOST, help="Rounds; medians are told.")] = 3,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Sentences a second of the text encoder, beside sentence-transformers' own loop over the same model.

    Example: `latentcrs-lab bench embed data/ml-1m`
    """
    from latentcrs_lab.bench.embed import PEER, bench_embed  # late: PyTorch takes seconds

    found = bench_embed(dataset, encoder, sample, repeats, device)
    report = Report(
        f"{found.encoder}, {found.sample} texts of each kind, sentences a second; peer: {PEER}",
        ("texts", "tokens", "precision", "ours", "peer", "times", "by cpu", "MiB", "peer's", "cosine"),
        [
            (row.texts, f"{row.tokens:.0f}", row.precision, *_figures(row), f"{row.lowest_cosine:.4f}")
            for row in found.encodings
        ],
        conditions=f"{hardware_line(found.hardware)} {IN_TURN}",
    )
    tell(found, report, as_json)


def _figures(row: Comparison) -> list[str]:
    """What both benchmarks tell of a row: speeds, ratios, memory."""
    speeds = (f"{row.per_second:,.0f}", f"{row.peer_per_second:,.0f}")
    return [*speeds, f"{row.ratio:.2f}", f"{row.processor_ratio:.2f}", f"{row.mib:,.0f}", f"{row.peer_mib:,.0f}"]
