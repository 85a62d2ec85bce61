"""The catalogue of a prepared data set: one row per item, typed columns, a title, and the text that is embedded."""

from dataclasses import dataclass, field

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.data.columns import TypedCatalogue, type_columns
from latentcrs.data.dataset import ColumnKind
from latentcrs.data.raw import RawData, first_reason

LINE, REASON = "__line__", "__reason__"  # names no catalogue is likely to use
LISTED = 6  # of a long list: the encoder reads 256 word pieces, and the plot is to fit in too


@dataclass
class Catalogue:
    """A catalogue ready to be written.

    items: item_id, title, attribute columns, text.
    kinds, left_out, unreadable, notes: as in `TypedCatalogue`.
    dropped: rows (line Int64: row of the catalogue, 1 is the first; item_id; reason) that are not in `items`.
    untitled: items that had no title and show their id.
    """

    items: pl.DataFrame
    kinds: dict[str, ColumnKind]
    left_out: dict[str, str]
    unreadable: dict[str, int]
    dropped: pl.DataFrame
    untitled: int
    notes: list[str] = field(default_factory=list)


def rows_with_ids(raw: RawData) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The catalogue's rows with a distinct id, and those dropped (line, item_id, reason): no id, or a second one."""
    lines = pl.int_range(1, pl.len() + 1) if raw.item_lines is None else raw.item_lines
    items = raw.items.with_columns(
        lines.cast(pl.Int64).alias(LINE), pl.col("item_id").cast(pl.String).str.strip_chars()
    )
    reasons = {
        "catalogue row without an id": pl.col("item_id").is_null() | (pl.col("item_id") == ""),
        "second catalogue row of one item": ~pl.col("item_id").is_first_distinct(),
    }
    items = items.with_columns(first_reason(reasons).alias(REASON))
    good = items.filter(pl.col(REASON).is_null()).drop(LINE, REASON)
    if len(good) == 0:
        raise UserError(f"The catalogue {raw.files.get('items', raw.source)} holds no items.")
    return good, items.filter(pl.col(REASON).is_not_null()).select(
        pl.col(LINE).alias("line"), "item_id", pl.col(REASON).alias("reason")
    )


def build_catalogue(
    items: pl.DataFrame, dropped: pl.DataFrame, kinds: dict[str, ColumnKind], decimal: str | None = None
) -> Catalogue:
    """Type the columns of `items` (item_id, title, attributes; distinct ids) and compose each item's text."""
    typed = type_columns(items, kinds, decimal)
    untitled = typed.items["title"].null_count()
    frame = typed.items.with_columns(pl.coalesce("title", "item_id").alias("title"))
    frame = frame.with_columns(compose_text(typed).alias("text"))
    return Catalogue(frame, typed.kinds, typed.left_out, typed.unreadable, dropped, untitled, typed.notes)


def compose_text(typed: TypedCatalogue) -> pl.Expr:
    """What is embedded as an item's content: title and year, then categories and people, then prose.

    The most telling comes first because a sentence encoder cuts what is too long.
    """
    kinds = typed.kinds
    year = next((column for column, kind in kinds.items() if kind == "year"), None)
    title = pl.coalesce("title", "item_id")
    if year is not None:
        title = title + pl.when(pl.col(year).is_not_null()).then(pl.format(" ({})", year)).otherwise(pl.lit(""))
    parts = [pl.concat_str(title, pl.lit("."))]
    for column, kind in kinds.items():
        words = column.replace("_", " ").strip()
        if kind == "category":
            parts.append(pl.format("{}: {}.", pl.lit(words), pl.col(column)))
        elif kind == "multi-category":
            some = pl.col(column).list.head(LISTED).list.join(", ")
            parts.append(pl.format("{}: {}.", pl.lit(words), some))
    parts += [pl.col(column) for column, kind in kinds.items() if kind == "text"]
    return pl.concat_str(parts, separator=" ", ignore_nulls=True)
