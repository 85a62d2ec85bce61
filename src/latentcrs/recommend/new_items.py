"""Items that joined the catalogue after training: recommendable at once by their text, without any interaction."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from latentcrs.base.errors import UserError
from latentcrs.data import ColumnKind
from latentcrs.data.catalogue import build_catalogue
from latentcrs.data.columns import YEAR
from latentcrs.fit.rows import ClueReader, words_of_items
from latentcrs.intent import GenerativeModel
from latentcrs.recommend.bundle import Bundle
from latentcrs.recommend.index import ItemIndex

TYPES: dict[ColumnKind, pl.DataType] = {
    "category": pl.String(),
    "multi-category": pl.List(pl.String()),
    "number": pl.Float64(),
    "year": pl.Int64(),
    "text": pl.String(),
}
WANTED: dict[ColumnKind, str] = {
    "category": "one word or name",
    "multi-category": "words, or a list of words",
    "number": "a finite number",
    "year": "a year from 1500 to 2099",
    "text": "text",
}


def typed_rows(columns: Mapping[str, ColumnKind], rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """Rows as programs write them (column -> value) as a frame for `new_rows`: each value is brought to the type of
    its column, so that no row hangs on what others hold.

    Raises:
        UserError: a column that the catalogue does not have, or a value that its type cannot hold.
    """
    schema: dict[str, pl.DataType] = {"item_id": pl.String(), "title": pl.String()}
    for row in rows:
        strange = next((name for name in row if name not in ("item_id", "title", *columns)), None)
        if strange is not None:
            has = ", ".join(columns)
            raise UserError(f"The catalogue has no column {strange!r}; it has item_id, title, {has}.")
    given = {name: TYPES[kind] for name, kind in columns.items() if any(name in row for row in rows)}
    data: dict[str, list[object]] = {
        name: [_typed(row, name, "text" if name in schema else columns[name]) for row in rows]
        for name in (*schema, *given)
    }
    return pl.DataFrame(data, schema=schema | given)


def _typed(row: Mapping[str, object], name: str, kind: ColumnKind) -> object:
    value = row.get(name)
    if value is None:
        return None
    texts = value if isinstance(value, list) else [value]
    typed: object = None
    if kind in ("number", "year"):
        typed = _number(value) if kind == "number" else _year(value)
    elif all(isinstance(text, str) for text in texts):
        if kind == "multi-category":
            typed = texts if isinstance(value, list) else [part.strip() for part in re.split("[|;]", str(value))]
        elif kind == "text" or len(texts) == 1:
            typed = ", ".join(map(str, texts))
    if typed is None:
        shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:79]}…"
        raise UserError(f"Item {row.get('item_id')!r}: {name} wants {WANTED[kind]}, not {shown}.")
    return typed


def _number(value: object) -> float | None:
    try:
        number = float(re.sub(r"[$€£¥%,\s]", "", value) if isinstance(value, str) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and not isinstance(value, bool) else None


def _year(value: object) -> int | None:
    if isinstance(value, str):
        found = re.search(YEAR, value)
        return int(found[0]) if found else None
    number = _number(value)
    return int(number) if number is not None and number.is_integer() and 1500 <= number <= 2099 else None


VISIBLE = r"[\p{L}\p{N}\p{P}\p{S}]"


def new_rows(bundle: Bundle, rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` (item_id, title, any of the catalogue's columns) as rows of the bundle's catalogue.

    Raises:
        UserError: no item_id or title column, a column that the catalogue does not have, an id that it has already,
            an id or a title of blanks alone.
    """
    rows = rows.with_columns(pl.col(pl.Categorical).cast(pl.String)) if len(rows.columns) else rows
    for needed in ("item_id", "title"):
        if needed not in rows.columns:
            raise UserError(f"New items need a column {needed!r}; there are {', '.join(rows.columns) or 'none'}.")
    strange = [name for name in rows.columns if name not in ("item_id", "title", *bundle.columns)]
    if strange:
        has = ", ".join(bundle.columns)
        raise UserError(f"The catalogue has no column {strange[0]!r}; it has item_id, title, {has}.")
    rows = rows.with_columns(pl.col("item_id").cast(pl.String), pl.col("title").cast(pl.String))
    known = rows.filter(pl.col("item_id").is_in(bundle.items["item_id"].implode()) | ~pl.col("item_id").is_unique())
    if len(known):
        raise UserError(f"The catalogue already has an item with the id {known['item_id'][0]!r}.")
    if rows["item_id"].null_count():
        raise UserError("A new item has no item_id.")
    unseen = rows.filter(~pl.col("item_id").str.contains(VISIBLE) | pl.col("item_id").is_in([".", ".."]))
    if len(unseen):
        raise UserError(f"No item can have the id {unseen['item_id'][0]!r}: nobody could ask for it.")
    untitled = rows.filter(~pl.col("title").fill_null("").str.contains(VISIBLE))
    if len(untitled):
        raise UserError(f"Item {untitled['item_id'][0]!r} has no title that can be read.")
    kinds = {name: kind for name, kind in bundle.columns.items() if name in rows.columns}
    typed = build_catalogue(rows, rows.clear(), kinds).items
    absent = [
        pl.lit(None, dtype).alias(name) for name, dtype in bundle.items.schema.items() if name not in typed.columns
    ]
    return typed.with_columns(absent).select(
        pl.col(name).cast(dtype, strict=False) for name, dtype in bundle.items.schema.items()
    )


def with_items(bundle: Bundle, rows: pl.DataFrame, T: NDArray[np.float32]) -> Bundle:
    """The bundle with `rows` (as of `new_rows`) behind its own items; T (m, d_x) are their content embeddings.

    Nobody has chosen them: their popularity says so, and their behaviour embedding is that of the item whose content
    is nearest (on validation better than any average of several, which is too short a vector).
    """
    model = bundle.generative
    content = torch.from_numpy(T).to(model.V.device)
    nearest = (F.normalize(content, dim=1) @ F.normalize(model.T, dim=1).T).argmax(1)
    popularity = torch.zeros_like(model.log_popularity[:1]).expand(len(T))  # log(0 + 1)
    grown = GenerativeModel(
        model.M,
        torch.cat([model.V, model.V[nearest]]),
        torch.cat([model.T, content]),
        torch.cat([model.log_popularity, popularity]),
        model.config,
        torch.cat([model.log_suggested, model.log_suggested.min().expand(len(T))]),
    ).to(model.V.device)
    grown.load_state_dict(model.state_dict())
    grown.eval()
    with torch.inference_mode():
        index = ItemIndex.build(grown.items().cpu().numpy())
    items, reader = pl.concat([bundle.items, rows]), bundle.reader
    if reader is not None:
        talk = reader.comentions
        reader = ClueReader(
            reader.lexical.with_texts(words_of_items(rows)), None if talk is None else talk.with_items(len(rows))
        )
    return replace(bundle, generative=grown, items=items, index=index, behaviour_index=None, reader=reader)
