"""`latentcrs evaluate`: how well a bundle does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from latentcrs.cli import evaluate_words
from latentcrs.cli.options import LAST_SEED, MOST, Device, a_model

group = typer.Typer(
    help="Measure a bundle beside what it must beat, and how well words are understood.\n\n"
    "Example: latentcrs evaluate one-turn models/ml-1m",
    no_args_is_help=True,
)


@group.command("one-turn")
def one_turn(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    split: Annotated[str, typer.Option(help="test or valid.")] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    dataset: Annotated[Path | None, typer.Option(help="Where the data set lies, if it was moved.")] = None,
    history: Annotated[
        str | None,
        typer.Option(
            help="Show every system only so many of a user's newest items (0: newcomers), or, as 'random 3', of all."
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Only so many requests, the same ones every time; 500 with --llm."),
    ] = None,
    llm: Annotated[
        str | None,
        typer.Option(callback=a_model, help="Judge for variant V: 'local', or the address of an OpenAI endpoint."),
    ] = None,
    with_: Annotated[
        str,
        typer.Option(
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
    others = [name.strip() for name in with_.split(",") if name.strip()]
    seen = None if history is None else HistoryWindow.of(history)
    result = evaluate_one_turn(bundle, split, dataset, device, seen, sample, model, others)
    _print(result, as_json, markdown if as_markdown else print_table)


@group.command("multi-turn")
def multi_turn(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    variants: Annotated[
        str,
        typer.Option(
            help="Which systems, with commas: b, f, v, b-paper, f-paper; references: popularity, behaviour, text, "
            "sum, fusion, bm25-sum, bm25-fusion; these under the hard rules: fusion-f and so on; "
            "other systems: attributes, max-entropy, crm, unicorn, crif, zero-shot, chat-rec, interec."
        ),
    ] = "b,f",
    user: Annotated[str, typer.Option(help="Who talks: attributes, plot, or llm.")] = "attributes",
    llm: Annotated[
        str | None,
        typer.Option(
            callback=a_model,
            help="A language model for variant v, --rules llm and --user llm: 'local', or an address.",
        ),
    ] = None,
    user_llm: Annotated[
        str | None, typer.Option(callback=a_model, help="Another language model to play the user llm.")
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Conversations, drawn with --seed; all, or 500 where a model is asked."),
    ] = None,
    split: Annotated[str, typer.Option(help="test or valid.")] = "test",
    seed: Annotated[int, typer.Option(min=0, max=LAST_SEED, help="Of the simulated user, and of the sample.")] = 0,
    rules: Annotated[
        Literal["lexical", "llm"], typer.Option(help="Who hears the rules: lexical, or llm.")
    ] = "lexical",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
    transcripts: Annotated[Path | None, typer.Option(help="Write every conversation to this JSONL file.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget conversations of earlier runs.")] = False,
    dataset: Annotated[Path | None, typer.Option(help="Where the data set lies, if it was moved.")] = None,
    device: Device = "auto",
) -> None:
    """Simulated users talk with every system until their item is shown: S@1, S@3, S@5 and average turns.

    An interrupted run goes on where it stopped.

    Example: latentcrs evaluate multi-turn models/ml-1m --variants b,f,text,fusion
    """
    from latentcrs.evaluate.multi_turn_tables import markdown_of, print_result  # late: PyTorch takes seconds
    from latentcrs.evaluate.talks import multi_turn as run
    from latentcrs.llm import open_chat_model

    names = [name.strip().lower() for name in variants.split(",") if name.strip()]
    asked = llm is not None or user == "llm" or rules == "llm" or "v" in names
    model = open_chat_model(llm) if asked else None
    player = open_chat_model(user_llm) if user_llm is not None else None
    result = run(bundle, names, user, model, player, n, split, seed, rules, dataset, device, fresh, transcripts)
    _print(result, as_json, markdown_of if as_markdown else print_result)


@group.command("people")
def people(
    where: Annotated[Path, typer.Argument(help="A model bundle, or a prepared data set for what needs no model.")],
    on: Annotated[
        list[str] | None,
        typer.Option(
            help="Whose requests: NAME=PATH, or a NAME in $LATENTCRS_DATA; may be repeated. redial (dialogues, plain "
            "JSON lines too), tomt, opendialkg, reviews, own (lines as of --requests). By default all that are there."
        ),
    ] = None,
    context: Annotated[
        Literal["seeker", "both"], typer.Option(help="Of dialogues: the seeker's words, or both speakers'.")
    ] = "seeker",
    with_: Annotated[
        str,
        typer.Option(
            "--with",
            help="Other systems too, with commas: attributes, max-entropy; of latentcrs-lab crm, unicorn, crif.",
        ),
    ] = "",
    only: Annotated[
        str, typer.Option(help="Only these systems, with commas, by their names in --json: latentcrs-b,bm25.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
    dataset: Annotated[Path | None, typer.Option(help="Where the bundle's data set lies, if it was moved.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Recall and NDCG of every system on requests that people made, with intervals and paired tests.

    Example: latentcrs evaluate people models/ml-1m --on redial=redial-valid --on tomt=tomt/validation.jsonl
    """
    from latentcrs.evaluate.people import evaluate_people  # late: PyTorch takes seconds
    from latentcrs.evaluate.people_tables import people_markdown, print_people

    others, chosen = ([name.strip() for name in names.split(",") if name.strip()] for names in (with_, only))
    result = evaluate_people(where, on or [], context, others, dataset, device, chosen)
    _print(result, as_json, people_markdown if as_markdown else print_people)


def _print(result: Any, as_json: bool, shown: Callable[[Any], str | None]) -> None:
    """Print a result as JSON, or as `shown` prints it or returns it."""
    told = json.dumps(result.as_json()) if as_json else shown(result)
    if told is not None:
        print(told)


group.command("heard")(evaluate_words.heard)


@group.command("intents")
def intents(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    by: Annotated[str | None, typer.Option(help="The category column that is asked for.")] = None,
    n: Annotated[int, typer.Option(min=1, max=MOST, help="People of the log who ask.")] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    dataset: Annotated[Path | None, typer.Option(help="Where the data set lies, if it was moved.")] = None,
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
        print(json.dumps(result.as_json()))
        return
    rows = [
        [each.value, f"{each.items:,}", f"{each.q:.3f}", f"{each.f:.3f}", f"{each.lift:.2f}", f"{each.shown:.0%}"]
        for each in result.values
    ]
    rows.append(["all", "", "", "", f"{result.lift:.2f}", f"{result.shown:.0%}"])
    title = f"What intents expect when {result.people} people ask for a value of {result.column}"
    print_rows(title, (result.column, "items", "before", "after words", "lift", "shown"), rows)
