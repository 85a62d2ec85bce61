"""`latentcrs describe`: a language model writes a paragraph about items of which the catalogue says little."""

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from latentcrs.base.errors import UserError
from latentcrs.cli.options import MOST, a_model


def describe(
    dataset: Annotated[Path, Argument(help="A prepared data set.")],
    llm: Annotated[
        str | None,
        Option(callback=a_model, help="Who writes: 'local', or an endpoint's address; else $LATENTCRS_LLM_URL."),
    ] = None,
    under: Annotated[int, Option(min=1, max=MOST, help="Describe items whose text has fewer words than this.")] = 30,
    sample: Annotated[int | None, Option(min=1, max=MOST, help="At most so many items.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Describe items of which the catalogue says little: what they are like, for whom, in which mood.

    Says first what it takes. What was written is kept at once: a run that is stopped goes on where it was. The
    paragraphs are a column of their own, `machine_written`, and part of what words are matched with: train anew.

    Example: latentcrs describe data/shop --llm local
    """
    from latentcrs.base.progress import err_console, show
    from latentcrs.data import PreparedDataset
    from latentcrs.llm import open_chat_model
    from latentcrs.llm.describing import MAX_TOKENS, request_of, undescribed
    from latentcrs.llm.describing import describe as write

    prepared = PreparedDataset(dataset)
    model = open_chat_model(llm)
    if model is None:
        raise UserError("Items are described by a language model: name one with --llm, or set LATENTCRS_LLM_URL.")
    numbers = undescribed(prepared, under, sample)
    texts = prepared.items["text"].fill_null("").gather(numbers).to_list()
    prompts = sum(len(message.content) // 4 for text in texts for message in request_of(text).messages)
    most = f"about {prompts:,} tokens in and at most {MAX_TOKENS * len(numbers):,} out"
    err_console.print(f"To describe: {len(numbers):,} items, {most}.", highlight=False, soft_wrap=True)
    written, failed = write(prepared, model, numbers)
    if as_json:
        print(json.dumps({"dataset": str(dataset), "model": model.id, "written": written, "failed": failed}))
        return
    without = f"; for {failed:,} the language model had no usable answer" if failed else ""
    show(f"{written:,} items of {dataset} are described by {model.id}{without}.")
