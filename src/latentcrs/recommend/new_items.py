"""Items that joined the catalogue after training: recommendable at once by their text, without any interaction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from latentcrs.data.catalogue import build_catalogue
from latentcrs.errors import UserError
from latentcrs.intent import GenerativeModel
from latentcrs.recommend.bundle import Bundle
from latentcrs.recommend.index import ItemIndex


def new_rows(bundle: Bundle, rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` (item_id, title, any of the catalogue's columns) as rows of the bundle's catalogue.

    Raises:
        UserError: no item_id or title column, a column that the catalogue does not have, an id that it has already.
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
    ).to(model.V.device)
    grown.load_state_dict(model.state_dict())
    grown.eval()
    with torch.inference_mode():
        index = ItemIndex.build(grown.items().cpu().numpy())
    items = pl.concat([bundle.items, rows])
    return replace(bundle, generative=grown, items=items, index=index, behaviour_index=None)
