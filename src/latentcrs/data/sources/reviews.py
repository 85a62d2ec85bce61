"""Reads people with some of their reviews on each line: a small log in which everybody speaks for themselves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ValidationError

from latentcrs.base.errors import UserError
from latentcrs.data.archives import open_text
from latentcrs.data.dataset import ColumnKind
from latentcrs.data.known import AMAZON_TERMS
from latentcrs.data.lines import LineProblem, TextFile, readable
from latentcrs.data.raw import RawData, Source, raw_interactions

FILE = "training.jsonl"
KINDS: dict[str, ColumnKind] = {"brand": "category", "department": "category", "price": "number"}


class Product(BaseModel):
    """What was reviewed."""

    title: str | None = None
    brand: str | None = None
    main_category: str | None = None
    price: float | str | None = None


class Review(BaseModel):
    """One review."""

    parent_asin: str
    rating: float
    timestamp_ms: int
    review_full: str
    product: Product


class Reviewer(BaseModel):
    """One line: a person's reviews, oldest first, and the one after them. A person may have several lines."""

    user_id: str
    history: list[Review]
    heldout: Review


def reviewers(file: TextFile) -> Iterator[tuple[int, Reviewer | LineProblem]]:
    """Every line of a file with its number, or what is wrong with it."""
    with open_text(file.path) as stream:
        for number, text in enumerate(stream, start=1):
            if not text.isspace():
                try:
                    yield number, Reviewer.model_validate_json(text)
                except ValidationError as error:
                    wrong = error.errors()[0]
                    detail = f"{'.'.join(map(str, wrong['loc'])) or 'the line'}: {wrong['msg']}"
                    yield number, LineProblem(file.original, number, "no reviewer", detail)


def reviews_file(path: Path) -> Path:
    """The file at `path`, which is it or its folder.

    Raises:
        UserError: there is none.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file} does not exist; a sample of reviewers is a file of JSON lines.")
    return file


def read_reviews(path: Path, workspace: Path) -> RawData:
    """The log and the catalogue of a sample of reviewers. What they write is no part of the items' texts.

    Raises:
        UserError: there is no such file.
    """
    file = readable(reviews_file(path), workspace)
    problems, log = list(file.problems), []
    items: dict[str, dict[str, Any]] = {}
    for number, person in reviewers(file):
        if isinstance(person, LineProblem):
            problems.append(person)
            continue
        for review in (*person.history, person.heldout):
            product, at = review.product, review.timestamp_ms
            log.append((person.user_id, review.parent_asin, review.rating, at // 1000, at, number))
            price = product.price if isinstance(product.price, float) else None
            about = {"brand": product.brand, "department": product.main_category, "price": price}
            items.setdefault(review.parent_asin, {"title": product.title, **about})
    names = ["user_id", "item_id", "rating", "timestamp", "order", "line"]
    schema: dict[str, Any] = {"item_id": pl.String, "title": pl.String, "brand": pl.String, "department": pl.String}
    rows = [{"item_id": item, **about} for item, about in items.items()]
    return RawData(
        name="amazon-2023-sample",
        source=f"Amazon Reviews 2023, a sample of reviewers ({file.original.name})",
        terms=AMAZON_TERMS,
        interactions=raw_interactions(pl.DataFrame(log, schema=names, orient="row").lazy()),
        items=pl.DataFrame(rows, schema={**schema, "price": pl.Float64}),
        kinds=KINDS,
        threshold=1.0,
        user_core=3,
        item_core=1,
        files={"interactions": file.original, "items": file.original},
        problems=problems,
    )


REVIEWS = [
    Source("amazon-2023-sample", "people and some of their reviews on each line (JSON)", AMAZON_TERMS, read_reviews)
]
