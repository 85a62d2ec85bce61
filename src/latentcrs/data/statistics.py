"""What a prepared data set looks like in figures: the counts of the paper's Table 1, and its columns."""

from typing import Any

import polars as pl

from latentcrs.data.dataset import PreparedDataset


def describe(dataset: PreparedDataset) -> dict[str, Any]:
    """`manifest` (dataset.json), `statistics`, `requests` (rows per split) and `columns` (kind, share filled,
    distinct values, and the value of the item that people took most often).
    """
    info, items = dataset.info, dataset.items
    lengths = dataset.lengths
    statistics = {
        "users": info.users,
        "items": info.items,
        "interactions": info.interactions,
        "interactions per user, mean": info.interactions / max(info.users, 1),
        "interactions per user, median": float(pl.Series(lengths).median() or 0),  # type: ignore[arg-type]
        "interactions per user, most": int(lengths.max(initial=0)),
        "interactions per item, mean": info.interactions / max(info.items, 1),
        "density": info.interactions / max(info.users * info.items, 1),
    }
    counts = dataset.interactions["item"].value_counts().sort("count", "item", descending=[True, False])
    sample = items.row(int(counts["item"][0]), named=True) if len(counts) else {}
    kinds = {"item_id": "id", "title": "text", **info.columns, "text": "text"}
    columns = [
        {
            "column": column,
            "kind": kind,
            "filled": items[column].count() / max(len(items), 1),
            "distinct": distinct_values(items[column]),
            "sample": sample.get(column),
        }
        for column, kind in kinds.items()
    ]
    requests = {}
    if dataset.has_requests:
        requests = dict(dataset.requests["split"].value_counts(sort=True).iter_rows())
    return {"manifest": info.model_dump(), "statistics": statistics, "requests": requests, "columns": columns}


def distinct_values(values: pl.Series) -> int:
    """How many different values a column has; for lists, how many different members."""
    if isinstance(values.dtype, pl.List):
        values = values.explode(keep_nulls=False, empty_as_null=False)
    return values.drop_nulls().n_unique()
