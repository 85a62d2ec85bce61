"""`latentcrs evaluate`: how well a bundle does."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Argument, Option

from latentcrs.cli.options import LAST_SEED, MOST, Device, RulesBy, a_model, listed

group = typer.Typer(
    help="Measure a bundle beside what it must beat, and how well words are understood.\n\n"
    "Example: latentcrs evaluate one-turn models/ml-1m",
    no_args_is_help=True,
)


@group.command("one-turn")
def one_turn(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    split: Annotated[str, Option(help="test or valid.")] = "test",
    as_json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False,
    as_markdown: Annotated[bool, Option("--markdown", help="Print the table as Markdown.")] = False,
    dataset: Annotated[Path | None, Option(help="Where the data set lies, if it was moved.")] = None,
    history: Annotated[
        str | None,
        Option(
            help="Show every system only so many of a user's newest items (0: newcomers), or, as 'random 3', of all."
        ),
    ] = None,
    sample: Annotated[
        int | None, Option(min=1, max=MOST, help="Only so many requests, the same ones every time; 500 with --llm.")
    ] = None,
    llm: Annotated[
        str | None,
        Option(callback=a_model, help="Judge for variant V: 'local', or the address of an OpenAI endpoint."),
    ] = None,
    with_: Annotated[
        str,
        Option(
            "--with",
            help="Other systems too, with commas, trained at first use: attributes, max-entropy; of latentcrs-lab "
            "crm, unicorn, crif, and with --llm zero-shot, chat-rec, interec.",
        ),
    ] = "",
    device: Device = "auto",
) -> None:
    """Recall and NDCG at 5 and 20 of every system on the same requests, with intervals and a paired test.

    Example: latentcrs evaluate one-turn models/ml-1m --json
    """
    from latentcrs.evaluate import evaluate_one_turn, markdown, print_table  # late: PyTorch takes seconds
    from latentcrs.evaluate.one_turn import HistoryWindow
    from latentcrs.llm import open_chat_model

    model = None if llm is None else open_chat_model(llm)
    if model is not None:
        sample = sample or 500
    seen = None if history is None else HistoryWindow.of(history)
    result = evaluate_one_turn(bundle, split, dataset, device, seen, sample, model, listed(with_))
    _print(result, as_json, markdown if as_markdown else print_table)


@group.command("multi-turn")
def multi_turn(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    variants: Annotated[
        str,
        Option(
            help="Which systems, with commas: b, f, v, b-paper, f-paper; references: popularity, behaviour, text, "
            "sum, fusion, bm25-sum, bm25-fusion; these under the hard rules: fusion-f and so on; "
            "other systems: attributes, max-entropy, crm, unicorn, crif, zero-shot, chat-rec, interec."
        ),
    ] = "b,f",
    user: Annotated[str, Option(help="Who talks: attributes, plot, or llm.")] = "attributes",
    llm: Annotated[
        str | None,
        Option(
            callback=a_model,
            help="A language model for variant v, --rules llm and --user llm: 'local', or an address.",
        ),
    ] = None,
    user_llm: Annotated[
        str | None, Option(callback=a_model, help="Another language model to play the user llm.")
    ] = None,
    n: Annotated[
        int | None,
        Option(min=1, max=MOST, help="Conversations, drawn with --seed; all, or 500 where a model is asked."),
    ] = None,
    split: Annotated[str, Option(help="test or valid.")] = "test",
    seed: Annotated[int, Option(min=0, max=LAST_SEED, help="Of the simulated user, and of the sample.")] = 0,
    rules: RulesBy = "lexical",
    as_json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False,
    as_markdown: Annotated[bool, Option("--markdown", help="Print the tables as Markdown.")] = False,
    transcripts: Annotated[Path | None, Option(help="Write every conversation to this JSONL file.")] = None,
    fresh: Annotated[bool, Option("--fresh", help="Forget conversations of earlier runs.")] = False,
    dataset: Annotated[Path | None, Option(help="Where the data set lies, if it was moved.")] = None,
    device: Device = "auto",
) -> None:
    """Simulated users talk with every system until their item is shown: S@1, S@3, S@5 and average turns.

    An interrupted run goes on where it stopped.

    Example: latentcrs evaluate multi-turn models/ml-1m --variants b,f,text,fusion
    """
    from latentcrs.evaluate.multi_turn_tables import markdown_of, print_result  # late: PyTorch takes seconds
    from latentcrs.evaluate.talks import multi_turn as run
    from latentcrs.llm import open_chat_model

    names = listed(variants.lower())
    asked = llm is not None or user == "llm" or rules == "llm" or "v" in names
    model = open_chat_model(llm) if asked else None
    player = open_chat_model(user_llm) if user_llm is not None else None
    result = run(bundle, names, user, model, player, n, split, seed, rules, dataset, device, fresh, transcripts)
    _print(result, as_json, markdown_of if as_markdown else print_result)


@group.command("people")
def people(
    where: Annotated[Path, Argument(help="A model bundle, or a prepared data set for what needs no model.")],
    on: Annotated[
        list[str] | None,
        Option(
            help="Whose requests: NAME=PATH, or a NAME in $LATENTCRS_DATA; may be repeated. redial (dialogues, plain "
            "JSON lines too), tomt, opendialkg, reviews, own (lines as of --requests). By default all that are there."
        ),
    ] = None,
    context: Annotated[
        Literal["seeker", "both"], Option(help="Of dialogues: the seeker's words, or both speakers'.")
    ] = "seeker",
    with_: Annotated[
        str,
        Option(
            "--with",
            help="Other systems too, with commas: attributes, max-entropy; of latentcrs-lab crm, unicorn, crif.",
        ),
    ] = "",
    only: Annotated[
        str, Option(help="Only these systems, with commas, by their names in --json: latentcrs-b,bm25.")
    ] = "",
    as_json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False,
    as_markdown: Annotated[bool, Option("--markdown", help="Print the tables as Markdown.")] = False,
    dataset: Annotated[Path | None, Option(help="Where the bundle's data set lies, if it was moved.")] = None,
    device: Annotated[str, Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Recall and NDCG of every system on requests that people made, with intervals and paired tests.

    Example: latentcrs evaluate people models/ml-1m --on redial=redial-valid --on tomt=tomt/validation.jsonl
    """
    from latentcrs.evaluate.people import evaluate_people  # late: PyTorch takes seconds
    from latentcrs.evaluate.people_tables import people_markdown, print_people

    result = evaluate_people(where, on or [], context, listed(with_), dataset, device, listed(only))
    _print(result, as_json, people_markdown if as_markdown else print_people)


def _print(result: Any, as_json: bool, shown: Callable[[Any], str | None]) -> None:
    """Print a result as JSON, or as `shown` prints it or returns it."""
    told = json.dumps(result.as_json()) if as_json else shown(result)
    if told is not None:
        print(told)


@group.command("heard")
def heard(
    dataset: Annotated[Path, Argument(help="A prepared data set: the catalogue that people talk about.")],
    labels: Annotated[
        Path | None,
        Option(help="Labelled messages or dialogues (JSON lines); else heard/*.dev.jsonl under $LATENTCRS_DATA."),
    ] = None,
    llm: Annotated[
        str | None,
        Option(callback=a_model, help="Let a language model hear: 'local', or the address of an endpoint."),
    ] = None,
    simulated: Annotated[
        int | None, Option(min=1, max=MOST, help="Hear so many test requests of the simulated user instead.")
    ] = None,
    errors: Annotated[bool, Option("--errors", help="List what was heard wrongly, and what for what.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """How well real people are heard: the opposite, the uninvited, titles, acts, and what is in force after each
    turn.

    Example: latentcrs evaluate heard data/ml-1m --labels labels.jsonl --json
    """
    from latentcrs.base.progress import console, show
    from latentcrs.data import PreparedDataset
    from latentcrs.evaluate import heard as measured
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
        else:
            _print_figures(f"requests of the simulated user over {prepared.info.name}", figures)
        return
    paths = measured.dev_labels() if labels is None else [labels]
    lines = {path.name: measured.read_labels(path) for path in paths}
    model = None if llm is None else measured.ExtractorHearer(open_extractor("llm", hearer, open_chat_model(llm)))
    tallies = {name: measured.evaluate_heard(model or hearer, items, columns, found) for name, found in lines.items()}
    messages = [line for found in lines.values() for line in found if "turns" not in line and model is None]
    again = partial(measured.evaluate_heard, hearer, items, columns, messages)
    traded = measured.trade_off(hearer, again) if messages else []
    failed = {} if model is None else {"failed": model.failed}
    if as_json:
        print(json.dumps({**measured.figures_of(tallies), **failed, "trade_off": traded}))
        return
    if failed:
        show(f"The language model gave no usable answer to {failed['failed']} utterances.")
    for name, tally in tallies.items():
        _print_figures(f"{name} over {prepared.info.name}", tally.figures)
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


def _print_figures(title: str, figures: Mapping[str, float | int | None]) -> None:
    from latentcrs.base.progress import console

    console.print(title, style="bold", highlight=False)
    for name, value in figures.items():
        if value is not None:
            console.print(f"  {name.replace('_', ' '):28} {_shown(value)}", highlight=False)


def _shown(value: float | int | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@group.command("intents")
def intents(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    by: Annotated[str | None, Option(help="The category column that is asked for.")] = None,
    n: Annotated[int, Option(min=1, max=MOST, help="People of the log who ask.")] = 300,
    as_json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False,
    dataset: Annotated[Path | None, Option(help="Where the data set lies, if it was moved.")] = None,
) -> None:
    """Whether intents hear words: what share of a value they expect when people ask for it, beside without words.

    Lift is that ratio, averaged over the values; shown is the share of the three intents believed in most whose
    commonest value is the one that was asked for.

    Example: latentcrs evaluate intents models/ml-1m
    """
    from latentcrs.evaluate.heard_intents import heard_intents  # late: PyTorch takes seconds
    from latentcrs.evaluate.tables import print_rows

    result = heard_intents(bundle, dataset, n, by)
    if as_json:
        print(json.dumps(asdict(result)))
        return
    rows = [
        [each.value, f"{each.items:,}", f"{each.q:.3f}", f"{each.f:.3f}", f"{each.lift:.2f}", f"{each.shown:.0%}"]
        for each in result.values
    ]
    rows.append(["all", "", "", "", f"{result.lift:.2f}", f"{result.shown:.0%}"])
    title = f"What intents expect when {result.people} people ask for a value of {result.column}"
    print_rows(title, (result.column, "items", "before", "after words", "lift", "shown"), rows)
