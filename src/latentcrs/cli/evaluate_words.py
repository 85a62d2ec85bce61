"""`latentcrs evaluate extraction` and `heard`: how well words are understood."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentcrs.cli.options import MOST, a_model

if TYPE_CHECKING:
    from latentcrs.evaluate.extraction import ExtractionResult


def register(group: typer.Typer) -> None:
    """Add the commands to `group`."""
    group.command("extraction")(extraction)
    group.command("heard")(heard)


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

    Example: latentcrs evaluate extraction data/ml-1m --errors
    """
    from latentcrs.data import PreparedDataset
    from latentcrs.evaluate.extraction import evaluate_extraction  # late: PyTorch comes with it
    from latentcrs.evaluate.utterances import fitting_set, read_utterances
    from latentcrs.hear.open import open_extractor
    from latentcrs.llm import open_chat_model

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


def heard(
    dataset: Annotated[Path, typer.Argument(help="A prepared data set: the catalogue that people talk about.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Labelled messages or dialogues (JSON lines); else heard/*.dev.jsonl under $LATENTCRS_DATA."
        ),
    ] = None,
    simulated: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Hear so many test requests of the simulated user instead.")
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="List what was heard wrongly, and what for what.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """How well real people are heard: the opposite, the uninvited, titles, acts, and what is in force after each
    turn.

    Example: latentcrs evaluate heard data/ml-1m --labels labels.jsonl --json
    """
    from latentcrs.base.progress import console
    from latentcrs.data import PreparedDataset
    from latentcrs.evaluate.heard import dev_labels, evaluate_heard, figures_of, read_labels, trade_off
    from latentcrs.evaluate.heard_simulated import evaluate_simulated
    from latentcrs.hear.hearer import Hearer

    prepared = PreparedDataset(dataset)
    items, columns = prepared.items, prepared.info.columns
    hearer = Hearer(items, columns)
    if simulated is not None:
        figures = evaluate_simulated(hearer, prepared, simulated)
        if as_json:
            print(json.dumps(figures))
            return
        console.print(f"requests of the simulated user over {prepared.info.name}", style="bold", highlight=False)
        for figure, told in figures.items():
            console.print(f"  {figure.replace('_', ' '):28} {_shown(told)}", highlight=False)
        return
    lines = {path.name: read_labels(path) for path in ([labels] if labels is not None else dev_labels())}
    tallies = {name: evaluate_heard(hearer, items, columns, found) for name, found in lines.items()}
    messages = [line for found in lines.values() for line in found if "turns" not in line]
    traded = trade_off(hearer, lambda: evaluate_heard(hearer, items, columns, messages)) if messages else []
    if as_json:
        print(json.dumps({**figures_of(tallies), "trade_off": traded}))
        return
    for name, tally in tallies.items():
        console.print(f"{name} over {prepared.info.name}", style="bold", highlight=False)
        for figure, value in tally.figures.items():
            if value is not None:
                console.print(f"  {figure.replace('_', ' '):28} {_shown(value)}", highlight=False)
        if errors:
            for kind, pairs in tally.confused.items():
                for (said, taken), count in pairs.most_common():
                    if said != taken:
                        console.print(f"  {kind}: {said}, heard as {taken}: {count}", highlight=False)
            for id, text, missing, extra in tally.mistakes:
                console.print(f"  {id}  {text}", highlight=False, markup=False, soft_wrap=True)
                console.print(
                    f"      missing: {missing}  extra: {extra}", highlight=False, markup=False, soft_wrap=True
                )
    if traded:
        console.print("where a rule filters from this probability on", style="bold", highlight=False)
    for row in traded:
        parts = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in row.items())
        console.print(f"  {parts}", highlight=False, soft_wrap=True)


def _shown(value: float | int | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _print_extraction(result: ExtractionResult, where: str) -> None:
    from rich import box
    from rich.table import Table

    from latentcrs.base.progress import console

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
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _print_mistakes(result: ExtractionResult) -> None:
    from latentcrs.base.progress import console

    for mistake in result.mistakes:
        console.print(f"\n{mistake.id}  {mistake.text}", highlight=False, markup=False, soft_wrap=True)
        for sign, predicates in (("missing", mistake.missing), ("extra", mistake.extra)):
            for predicate in predicates:
                console.print(f"  {sign}: {predicate}", highlight=False, markup=False, soft_wrap=True)
