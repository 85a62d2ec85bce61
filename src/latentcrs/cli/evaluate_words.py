"""`latentcrs evaluate heard`: how well words are understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from latentcrs.cli.options import MOST, a_model


def heard(
    dataset: Annotated[Path, typer.Argument(help="A prepared data set: the catalogue that people talk about.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Labelled messages or dialogues (JSON lines); else heard/*.dev.jsonl under $LATENTCRS_DATA."
        ),
    ] = None,
    llm: Annotated[
        str | None,
        typer.Option(callback=a_model, help="Let a language model hear: 'local', or the address of an endpoint."),
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
    from latentcrs.base.progress import console, show
    from latentcrs.data import PreparedDataset
    from latentcrs.evaluate.heard import (
        ExtractorHearer,
        dev_labels,
        evaluate_heard,
        figures_of,
        read_labels,
        trade_off,
    )
    from latentcrs.evaluate.heard_simulated import evaluate_simulated
    from latentcrs.hear.hearer import Hearer
    from latentcrs.hear.open import open_extractor
    from latentcrs.llm import open_chat_model

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
    paths = dev_labels() if labels is None else [labels]
    lines = {path.name: read_labels(path) for path in paths}
    model = None if llm is None else ExtractorHearer(open_extractor("llm", hearer, open_chat_model(llm)))
    tallies = {name: evaluate_heard(model or hearer, items, columns, found) for name, found in lines.items()}
    messages = [line for found in lines.values() for line in found if "turns" not in line and model is None]
    traded = trade_off(hearer, lambda: evaluate_heard(hearer, items, columns, messages)) if messages else []
    failed = {} if model is None else {"failed": model.failed}
    if as_json:
        print(json.dumps({**figures_of(tallies), **failed, "trade_off": traded}))
        return
    if failed:
        show(f"The language model gave no usable answer to {failed['failed']} utterances.")
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
                show(f"  {id}  {text}")
                show(f"      missing: {missing}  extra: {extra}")
    if traded:
        console.print("where a rule filters from this probability on", style="bold", highlight=False)
    for row in traded:
        parts = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in row.items())
        console.print(f"  {parts}", highlight=False, soft_wrap=True)


def _shown(value: float | int | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
