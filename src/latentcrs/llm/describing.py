"""Descriptions where a catalogue says little: a paragraph for each item, by a language model, and marked as such."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.data.dataset import MACHINE_WRITTEN, PreparedDataset
from latentcrs.llm.embedded import is_in_process
from latentcrs.llm.ledger import remembered
from latentcrs.llm.model import Call, ChatModel, ChatRequest, Message, ModelError, complete
from latentcrs.llm.prompts import prompt

DESCRIBED = "described.sqlite"
"""The file beside a prepared data set's own in which what models wrote is kept: nothing is asked twice."""
MAX_TOKENS, LONGEST_TEXT = 120, 600
_AT_ONCE, _ASKED_IN_VAIN = 8, 3
_MARKUP = re.compile(r"<[^>]*>|[*_#`\[\]{}|]|\w+://\S+|\bwww\.\S+")


def undescribed(dataset: PreparedDataset, little: int = 30, sample: int | None = None) -> list[int]:
    """The items of which fewer than `little` words are told and no model has written yet, at most `sample`."""
    words = dataset.items["text"].fill_null("").str.split(" ").list.len()
    wanted = words < little
    if MACHINE_WRITTEN in dataset.items.columns:
        wanted &= dataset.items[MACHINE_WRITTEN].is_null()
    return wanted.arg_true().to_list()[:sample]


def request_of(text: str) -> ChatRequest:
    """What a model is asked about the item with this text."""
    asked = [Message("system", prompt("describe")), Message("user", prompt("item", text=text[:LONGEST_TEXT]))]
    return ChatRequest(asked, Call("describe"), max_tokens=MAX_TOKENS)


def describe(dataset: PreparedDataset, model: ChatModel, numbers: Sequence[int]) -> tuple[int, int]:
    """Have `model` write a paragraph about each of the items `numbers`, and put them into the data set: a text column
    of their own (`MACHINE_WRITTEN`), and the end of the text that is embedded and matched by words. Returns how many
    have one now, and for how many the model had none.

    What was written is kept at once: a run that is stopped goes on where it was. The data set changes at the end.

    Raises:
        UserError: the model answers nothing from the beginning.
    """
    writer = remembered(model, dataset.path / DESCRIBED)
    texts, found, failed = dataset.items["text"].fill_null("").to_list(), dict[int, str](), 0

    def written(number: int) -> str | ModelError:
        try:
            return paragraph(complete(writer, request_of(texts[number])).text)
        except ModelError as error:
            return error

    with (
        step("descriptions", len(numbers)) as bar,
        ThreadPoolExecutor(1 if is_in_process(model.id) else _AT_ONCE) as pool,
    ):
        for number, told in zip(numbers, pool.map(written, numbers), strict=True):
            bar.advance()
            if isinstance(told, str) and told:
                found[number] = told
                continue
            failed += 1
            if isinstance(told, ModelError) and failed >= _ASKED_IN_VAIN and not found:
                pool.shutdown(cancel_futures=True)
                raise UserError(f"The language model described nothing: {told}")
    if found:
        _write(dataset, found, model.id)
    return len(found), failed


def paragraph(text: str) -> str:
    """A model's answer as plain text of one line, without a sentence that was not finished."""
    line = " ".join(_MARKUP.sub(" ", text).split())
    whole = re.match(r".*[.!?…][\"”’)]?(?=\s|$)", line)
    return whole[0] if whole else ""


def _write(dataset: PreparedDataset, found: dict[int, str], by: str) -> None:
    items, info = dataset.items, dataset.info
    before = items[MACHINE_WRITTEN].to_list() if MACHINE_WRITTEN in items.columns else [None] * len(items)
    column = pl.Series(MACHINE_WRITTEN, [found.get(row, told) for row, told in enumerate(before)], pl.String)
    new = pl.Series("new", [found.get(row) for row in range(len(items))], pl.String)
    texts = items.select(pl.concat_str(["text", new], separator=" ", ignore_nulls=True).alias("text"))["text"]
    others = [name for name in items.columns if name not in (MACHINE_WRITTEN, "text")]
    note = f"{MACHINE_WRITTEN}: {len(found):,} items described by the language model {by}, not by a person"
    dataset.write_items(
        items.select(others).with_columns(column, texts),
        columns={**info.columns, MACHINE_WRITTEN: "text"},
        notes=[*info.notes, note],
    )
