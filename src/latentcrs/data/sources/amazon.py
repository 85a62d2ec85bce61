"""Reads Amazon Reviews 2023 as McAuley Lab publishes it: one file of reviews and one of items per category."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.data.dataset import ColumnKind
from latentcrs.data.known import AMAZON_TERMS
from latentcrs.data.lines import BROKEN_JSON, LineProblem, readable, scan_json_lines
from latentcrs.data.raw import RawData, Source, raw_interactions, unusable

KINDS: dict[str, ColumnKind] = {
    "brand": "category",
    "department": "category",
    "categories": "multi-category",
    "price": "number",
    "year": "year",
    "description": "text",
}
# Encoders read a few hundred words; the longest descriptions have tens of thousands.
LONGEST_TEXT = 2000


def find_files(path: Path) -> tuple[Path, Path]:
    """The files of reviews and of items at `path`: a folder with one category, or the file of reviews itself.

    Raises:
        UserError: there is no such pair, or there are several.
    """
    wanted = "CATEGORY.jsonl and meta_CATEGORY.jsonl (plain or .gz)"
    pairs: list[tuple[Path | None, Path | None]]
    if path.is_dir():
        metas = sorted(file for file in path.iterdir() if file.name.startswith("meta_") and ".jsonl" in file.suffixes)
        pairs = [(_beside(meta, meta.name.removeprefix("meta_")), meta) for meta in metas]
    elif path.is_file():
        pairs = [(path, _beside(path, f"meta_{path.name}"))]
    else:
        raise UserError(f"{path} does not exist; --from wants a folder with {wanted}.")
    found = {(reviews, meta) for reviews, meta in pairs if reviews is not None and meta is not None}
    if not found:
        raise UserError(
            f"{path} does not hold {wanted}; fetch them with 'latentcrs data fetch amazon-2023:CATEGORY'."
        )
    categories = {reviews.name.split(".")[0] for reviews, _ in found}
    if len(categories) > 1:
        raise UserError(
            f"{path} holds several categories ({', '.join(sorted(categories))}); "
            "name one by its file of reviews: --from FOLDER/CATEGORY.jsonl"
        )
    return min(found)


def _beside(file: Path, name: str) -> Path | None:
    """The file called `name` in the folder of `file`, plain or .gz."""
    bare = name.removesuffix(".gz")
    return next((path for path in (file.with_name(bare), file.with_name(f"{bare}.gz")) if path.is_file()), None)


def scan_reviews(path: Path, item_field: str) -> pl.LazyFrame:
    """The log: one row per review, `problem` where a row cannot be used.

    Args:
        item_field: "parent_asin" (all variants of a product are one item) or "asin" (as the paper does).
    """
    fields = {"user_id": "user_id", "item_id": item_field, "rating": "rating", "milliseconds": "timestamp"}
    log = scan_json_lines(path, {name: f"$.{field}" for name, field in fields.items()})
    rating = pl.col("rating").cast(pl.Float64, strict=False)
    milliseconds = pl.col("milliseconds").cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
    problem = pl.coalesce("problem", unusable(rating, milliseconds))
    read = {"rating": rating, "timestamp": milliseconds // 1000, "order": milliseconds, "problem": problem}
    return raw_interactions(log.select("line", "user_id", "item_id", **read))


def read_items(path: Path) -> tuple[pl.DataFrame, list[LineProblem]]:
    """The catalogue, each item with its `line`, and what could not be read."""
    fields = {
        "item_id": "$.parent_asin",
        "title": "$.title",
        "brand": "$.store",
        "department": "$.main_category",
        "categories": "$.categories",
        "price": "$.price",
        "released": "$.details['Release date']",
        "available": "$.details['Date First Available']",
        "features": "$.features",
        "description": "$.description",
    }
    items = scan_json_lines(path, fields).collect(engine="streaming")
    no_id = pl.col("item_id").fill_null("") == ""
    unusable = items.filter(pl.col("problem").is_not_null() | no_id).select(
        "line", pl.col("problem").fill_null("no parent_asin")
    )
    problems = [
        LineProblem(path, line, kind, "this line is no JSON object" if kind == BROKEN_JSON else "the item has no id")
        for line, kind in unusable.iter_rows()
    ]
    text = pl.concat_str([_sentences(items["features"]), _sentences(items["description"])], separator=" ")
    year = pl.coalesce("released", "available").str.extract(r"\b((?:19|20)\d\d)\b").cast(pl.Int32)
    items = items.with_columns(
        _strings(items["categories"]),
        pl.col("price").str.extract(r"(\d[\d,]*(?:\.\d+)?)").str.replace_all(",", "").cast(pl.Float64, strict=False),
        year.alias("year"),
        text.str.strip_chars().str.slice(0, LONGEST_TEXT).alias("description"),
    )
    items = items.filter(pl.col("problem").is_null() & ~no_id)
    items = items.unique("item_id", keep="first", maintain_order=True)
    return items.select("item_id", "title", *KINDS, "line"), problems


def _sentences(values: pl.Series) -> pl.Series:
    """Lists of sentences in JSON as one text each, "" where there is none."""
    return _strings(values).list.join(" ").fill_null("")


def _strings(values: pl.Series) -> pl.Series:
    """Lists of strings in JSON (or null) as List(String); elements that are not strings are left out."""
    try:
        return values.str.json_decode(pl.List(pl.String))
    except pl.exceptions.ComputeError:
        # Some row holds an object or a list where a string belongs, which the fast path refuses as a whole.
        lists = [json.loads(value) if value and value.startswith("[") else [value] for value in values]
        strings = [[part for part in parts if isinstance(part, str)] for parts in lists]
        return pl.Series(values.name, strings, dtype=pl.List(pl.String))


def reader(name: str, item_field: str) -> Callable[[Path, Path], RawData]:
    """The reader whose items are told apart by `item_field`."""

    def read(path: Path, workspace: Path) -> RawData:
        reviews, meta = find_files(path)
        log, catalogue = readable(reviews, workspace), readable(meta, workspace)
        items, broken = read_items(catalogue.path)
        broken = [LineProblem(meta, problem.line, problem.kind, problem.detail) for problem in broken]
        return RawData(
            name=f"{name}-{reviews.name.split('.')[0]}",
            source=f"Amazon Reviews 2023 ({reviews.name}, {meta.name})",
            terms=AMAZON_TERMS,
            interactions=scan_reviews(log.path, item_field),
            items=items.drop("line"),
            kinds=KINDS,
            files={"interactions": reviews, "items": meta},
            problems=[*log.problems, *catalogue.problems, *broken],
            item_lines=items["line"],
        )

    return read


AMAZON = [
    Source(name, about, AMAZON_TERMS, reader(name, field))
    for name, about, field in (
        ("amazon-2023", "Amazon Reviews 2023, one category; variants of a product are one item", "parent_asin"),
        ("amazon-2023-asin", "the same, joined on asin as the LatentCRS paper does", "asin"),
    )
]
