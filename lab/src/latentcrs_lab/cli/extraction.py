"""`latentcrs-lab extraction`: how well rules and wishes are heard in utterances of our own labelling."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentcrs.cli.options import MOST, a_model

if TYPE_CHECKING:
    from latentcrs_lab.hear.extraction import ExtractionResult


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("extraction")(extraction)


def extraction(
    dataset: Annotated[Path, typer.Argument(help="A prepared data set.")],
    utterances: Annotated[
        Path | None, typer.Option("--set", help="Labelled utterances; without it, the set that fits the columns.")
    ] = None,
    extractor: Annotated[str, typer.Option(help="lexical, or llm for a language model.")] = "lexical",
    llm: Annotated[
        str | None,
        typer.Option(
            callback=a_model, help="With llm: 'local', or the address of an endpoint; else $LATENTCRS_LLM_URL."
        ),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Only so many utterances, always the same.")
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="List every utterance that was heard wrongly.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures and the errors as JSON.")] = False,
) -> None:
    """Precision, recall and F1 of the rules and wishes heard in utterances that were labelled by hand.

    Example: latentcrs-lab extraction data/ml-1m --errors
    """
    from latentcrs.data import PreparedDataset
    from latentcrs.hear.open import open_extractor
    from latentcrs.llm import open_chat_model
    from latentcrs_lab.hear.extraction import evaluate_extraction  # late: PyTorch comes with it
    from latentcrs_lab.hear.utterances import fitting_set, read_utterances

    prepared = PreparedDataset(dataset)
    columns = prepared.info.columns
    path = utterances or fitting_set(columns)
    said = read_utterances(path, columns)

    if sample is not None and sample < len(said):
        said = random.Random(0).sample(said, sample)
    model = open_chat_model(llm) if extractor == "llm" else None
    chosen = open_extractor(extractor, prepared.items, columns, model)
    result = evaluate_extraction(chosen, said, columns)
    if as_json:
        print(json.dumps({"dataset": prepared.info.name, "set": path.stem, **result.as_json()}))
        return
    _print_extraction(result, f"{path.stem} over {prepared.info.name}")
    if errors:
        _print_mistakes(result)


def _print_extraction(result: ExtractionResult, where: str) -> None:
    from rich import box
    from rich.table import Table

    from latentcrs.base.progress import console, show

    table = Table(
        title=f"What {result.extractor} hears: {where}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in ("predicates", "said", "heard", "right", "prec.", "recall", "F1", "95%"):
        table.add_column(heading, justify="left" if heading == "predicates" else "right", no_wrap=True)
    names = {"rule": "rules", "wish": "wishes", "dropped": "taken back"}
    rows = [
        ("all", result.all),
        *((names[said], figures) for said, figures in result.said.items()),
        *((f"  {column}", figures) for column, figures in result.columns.items()),
    ]
    for name, figures in rows:
        shares = (f"{share:.3f}" for share in (figures.precision, figures.recall, figures.f1))
        interval = "{:.2f}–{:.2f}".format(*figures.ci95["f1"]) if figures.ci95 else ""
        counts = (str(count) for count in (figures.labelled, figures.heard, figures.right))
        table.add_row(name, *counts, *shares, interval, style="bold" if name == "all" else "")
    console.print(table)
    low, high = result.exact_ci95
    if result.failed:
        console.print(f"The language model gave no usable answer to {result.failed} utterances.", highlight=False)
    unknown = result.unknown
    for line in (
        f"{result.exact:.1%} of {result.n} utterances heard exactly (95% {low:.1%} to {high:.1%}); "
        f"{result.milliseconds:.1f} ms each. Intervals (in the table, of F1): bootstrap over utterances.",
        f"Unknown conditions: noticed in {unknown['noticed']} of {unknown['labelled']} utterances that have one, "
        f"and in {unknown['alarmed']} that have none.",
    ):
        show(line)


def _print_mistakes(result: ExtractionResult) -> None:
    from latentcrs.base.progress import show

    for mistake in result.mistakes:
        show(f"\n{mistake.id}  {mistake.text}")
        for sign, predicates in (("missing", mistake.missing), ("extra", mistake.extra)):
            for predicate in predicates:
                show(f"  {sign}: {predicate}")
