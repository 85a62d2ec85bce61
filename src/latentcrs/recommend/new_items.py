"""Items that joined the catalogue after training, recommendable at once by their text, and items that changed."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from latentcrs.base.errors import UserError
from latentcrs.data import ColumnKind
from latentcrs.data.catalogue import build_catalogue
from latentcrs.data.columns import LINK, YEAR
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
    "link": pl.String(),
}
WANTED: dict[ColumnKind, str] = {
    "category": "one word or name",
    "multi-category": "words, or a list of words",
    "number": "a finite number",
    "year": "a year from 1500 to 2099",
    "text": "text",
    "link": "an address, as in https://example.org/17.jpg",
}

HIDDEN = "hidden"  # what programs say of an item that is not to be recommended; no column of a catalogue


def typed_rows(columns: Mapping[str, ColumnKind], rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """Rows as programs write them (column -> value) as a frame for `new_rows`: each value is brought to the type of
    its column, so that no row hangs on what others hold.

    Raises:
        UserError: a column that the catalogue does not have, or a value that its type cannot hold.
    """
    schema: dict[str, pl.DataType] = {"item_id": pl.String(), "title": pl.String()}
    for row in rows:
        _refuse_strange(row, columns)
    given = {name: TYPES[kind] for name, kind in columns.items() if any(name in row for row in rows)}
    data: dict[str, list[object]] = {
        name: [_typed(row, name, "text" if name in schema else columns[name]) for row in rows]
        for name in (*schema, *given)
    }
    return pl.DataFrame(data, schema=schema | given)


def typed_change(columns: Mapping[str, ColumnKind], row: Mapping[str, object]) -> dict[str, Any]:
    """What a program says anew of an item (its `item_id`, and column -> value; null: nothing any more), each value
    brought to the type of its column. `HIDDEN` is true or false.

    Raises:
        UserError: a column that the catalogue does not have, or a value that its type cannot hold.
    """
    hidden = {HIDDEN: row[HIDDEN]} if HIDDEN in row else {}
    if hidden and not isinstance(row[HIDDEN], bool):
        raise UserError(f"Item {row.get('item_id')!r}: {HIDDEN} wants true or false, not {row[HIDDEN]!r}.")
    row = {name: value for name, value in row.items() if name != HIDDEN}
    _refuse_strange(row, columns)
    if "title" in row and not re.search(r"\S", str(row["title"] or "")):
        raise UserError(f"Item {row.get('item_id')!r} wants a title that can be read.")
    return hidden | {key: _typed(row, key, "text" if key in ("item_id", "title") else columns[key]) for key in row}


def _refuse_strange(row: Mapping[str, object], columns: Mapping[str, ColumnKind]) -> None:
    strange = next((name for name in row if name not in ("item_id", "title", *columns)), None)
    if strange is not None:
        raise UserError(f"The catalogue has no column {strange!r}; it has item_id, title, {', '.join(columns)}.")


def _typed(row: Mapping[str, object], name: str, kind: ColumnKind) -> object:
    value = row.get(name)
    if value is None:
        return None
    texts = value if isinstance(value, list) else [value]
    typed: object = None
    if kind in ("number", "year"):
        typed = _number(value) if kind == "number" else _year(value)
    elif kind == "link":
        typed = value if isinstance(value, str) and re.search(LINK, value) else None
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
    _refuse_strange(dict.fromkeys(rows.columns), bundle.columns)
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
    return _as_catalogue(bundle, rows)


def _as_catalogue(bundle: Bundle, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows as those of the bundle's catalogue, with their text."""
    kinds = {name: kind for name, kind in bundle.columns.items() if name in rows.columns}
    typed = build_catalogue(rows, rows.clear(), kinds).items
    return typed.select(
        pl.col(name).cast(dtype, strict=False) if name in typed.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in bundle.items.schema.items()
    )


def changed_rows(bundle: Bundle, numbers: NDArray[np.int64], changes: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Whole rows of the items of these numbers, after `changes` (as of `typed_change`; in the same order)."""
    rows = bundle.items[numbers]
    named = dict.fromkeys(name for change in changes for name in change if name in rows.columns and name != "item_id")
    for name in named:
        said = pl.Series([name in change for change in changes])
        values = pl.Series(name, [change.get(name) for change in changes], rows.schema[name], strict=False)
        rows = rows.with_columns(pl.when(said).then(values).otherwise(pl.col(name)).alias(name))
    if all(bundle.columns.get(name) in ("number", "link") for name in named):  # which no text has
        return rows
    return _as_catalogue(bundle, rows.drop("text"))


def with_items(bundle: Bundle, rows: pl.DataFrame, T: NDArray[np.float32]) -> Bundle:
    """The bundle with `rows` (as of `new_rows`) behind its own items; T (m, d_x) are their content embeddings.

    Nobody has chosen them: their popularity says so, and their behaviour embedding is that of the item whose content
    is nearest (on validation better than any average of several, which is too short a vector).
    """
    model = bundle.generative
    content = torch.from_numpy(T).to(model.V.device)
    nearest = (F.normalize(content, dim=1) @ F.normalize(model.T, dim=1).T).argmax(1)
    popularity = torch.zeros_like(model.log_popularity[:1]).expand(len(T))  # log(0 + 1)
    suggested = model.log_suggested.min().expand(len(T))
    more = {"V": model.V[nearest], "T": content, "log_popularity": popularity, "log_suggested": suggested}
    grown = _with_arrays(model, *(torch.cat([getattr(model, name), rows]) for name, rows in more.items()))
    reader = bundle.reader
    if reader is not None:
        talk = None if reader.comentions is None else reader.comentions.with_items(len(rows))
        reader = ClueReader(reader.lexical.with_texts(words_of_items(rows)), talk)
    return _with_model(bundle, grown, pl.concat([bundle.items, rows]), reader)


def with_texts(bundle: Bundle, numbers: NDArray[np.int64], T: NDArray[np.float32]) -> Bundle:
    """The bundle after the texts of these items (in `bundle.items`) have changed; T (m, d_x) are their embeddings."""
    model, reader = bundle.generative, bundle.reader
    content = model.T.clone()
    content[torch.from_numpy(numbers).to(content.device)] = torch.from_numpy(T).to(content.device)
    if reader is not None:
        reader = replace(reader, lexical=reader.lexical.with_others(numbers, words_of_items(bundle.items[numbers])))
    same = model.V, content, model.log_popularity, model.log_suggested
    return _with_model(bundle, _with_arrays(model, *same), bundle.items, reader)


def _with_arrays(
    model: GenerativeModel, V: Tensor, T: Tensor, popularity: Tensor, suggested: Tensor
) -> GenerativeModel:
    """The same model of other items."""
    made = GenerativeModel(model.M, V, T, popularity, model.config, suggested).to(model.V.device)
    made.load_state_dict(model.state_dict())
    return made.eval()


def _with_model(bundle: Bundle, model: GenerativeModel, items: pl.DataFrame, reader: ClueReader | None) -> Bundle:
    with torch.inference_mode():
        index = ItemIndex.build(model.items().cpu().numpy())
    return replace(bundle, generative=model, items=items, index=index, behaviour_index=None, reader=reader)
