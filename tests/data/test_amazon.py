from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from latentcrs.base.errors import UserError
from latentcrs.data.prepare import prepare
from latentcrs.data.sources import SOURCES
from latentcrs.data.sources.amazon import KINDS


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, "utf-8")


def review(user: str, item: str, rating: Any = 5.0, time: Any = 1_600_000_000_123, **other: Any) -> dict[str, Any]:
    named = {"rating": rating, "title": "t", "text": "words", "asin": item, "parent_asin": item}
    return {**named, "user_id": user, "timestamp": time, "helpful_vote": 0, "verified_purchase": True, **other}


def product(item: str, **other: Any) -> dict[str, Any]:
    named = {"parent_asin": item, "title": f"Product {item}", "main_category": "Video Games", "store": "Nintendo"}
    lists = {"categories": ["Video Games", "Switch"], "features": ["Small.", "Red."], "description": ["A console."]}
    return {**named, **lists, "price": 19.99, "details": {"Release date": "March 3, 2017"}, **other}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def write(reviews: list[dict[str, Any]], items: list[dict[str, Any]], ending: str = ".jsonl") -> Path:
        write_lines(tmp_path / f"Video_Games{ending}", reviews)
        write_lines(tmp_path / f"meta_Video_Games{ending}", items)
        return tmp_path

    return write


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_real_reviews_in_the_official_layout_become_a_data_set(
    shared_data: Callable[..., Path], tmp_path: Path, folder: Callable[..., Path], ending: str
) -> None:
    sample = [
        json.loads(line) for line in (shared_data("amazon-2023-sample") / "training.jsonl").open(encoding="utf-8")
    ]
    reviews, items = [], {}
    for person in sample:
        for had in person["history"]:
            item, known = had["parent_asin"], had["product"]
            reviews.append(
                review(person["user_id"], item, had["rating"], had["timestamp_ms"], text=had["review_full"])
            )
            told = {"title": known["title"], "price": known["price"], "store": known["brand"]}
            items[item] = product(item, **told, main_category=known["main_category"])
    raw = SOURCES["amazon-2023"].read(folder(reviews, list(items.values()), ending), tmp_path / "work")
    assert raw.problems == []
    done = prepare(raw, tmp_path / "out", user_core=3, item_core=1).dataset
    liked = pl.DataFrame(
        [(row["user_id"], row["parent_asin"]) for row in reviews if row["rating"] >= 4],
        schema=["u", "i"],
        orient="row",
    ).unique()
    expected = liked.filter(pl.len().over("u") >= 3)
    assert done.info.interactions == len(expected) and done.info.users == expected["u"].n_unique()
    # No product of this sample names its brand, and a column without values is left out.
    assert done.info.columns == {column: kind for column, kind in KINDS.items() if column != "brand"}
    times = done.interactions.filter(pl.col("user") == 0)["timestamp"]
    assert times.is_sorted() and 1e9 < times[0] < 2e9


def test_columns_of_an_item(folder: Callable[..., Path], tmp_path: Path) -> None:
    items = [
        product("A"),
        product("B", price="from $1,234.50", details={"Date First Available": "May 1, 2009"}, store=None),
        product("C", price=None, details={}, categories=[], features=[], description=["x" * 5000]),
        product("D", details=None, description=[["nested"], "flat"]),
    ]
    raw = SOURCES["amazon-2023"].read(folder([review("u", "A")], items), tmp_path / "work")
    assert raw.items["year"].to_list() == [2017, 2009, None, None]
    assert raw.items["price"].to_list() == [19.99, 1234.5, None, 19.99]
    assert raw.items["brand"].to_list() == ["Nintendo", None, "Nintendo", "Nintendo"]
    assert raw.items["categories"].to_list() == [["Video Games", "Switch"]] * 2 + [[]] + [["Video Games", "Switch"]]
    text = raw.items["description"].to_list()
    assert text[0] == "Small. Red. A console." and text[3] == "Small. Red. flat" and len(text[2]) == 2000
    assert raw.item_lines is not None and raw.item_lines.to_list() == [1, 2, 3, 4]


def test_variants_are_one_item_or_what_has_metadata_as_the_paper_joins(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    reviews = [review("u", "A"), review("u", "A", asin="A-red"), review("u", "B")]
    path = folder(reviews, [product("A"), product("B")])
    for source, usable in (("amazon-2023", ["A", "A", "B"]), ("amazon-2023-asin", ["A", "A-red", "B"])):
        raw = SOURCES[source].read(path, tmp_path / "work")
        assert raw.interactions.collect()["item_id"].to_list() == usable


def test_items_without_metadata_are_dropped_and_counted(folder: Callable[..., Path], tmp_path: Path) -> None:
    reviews = [review("u", item, time=1_600_000_000_000 + place) for place, item in enumerate("ABCX")]
    raw = SOURCES["amazon-2023"].read(folder(reviews, [product(item) for item in "ABC"]), tmp_path / "work")
    done = prepare(raw, tmp_path / "out", user_core=3, item_core=1).dataset
    assert done.info.interactions == 3
    assert done.info.dropped["item not in the catalogue"] == 1


def test_milliseconds_decide_the_order_within_a_second(folder: Callable[..., Path], tmp_path: Path) -> None:
    reviews = [review("u", item, time=1_600_000_000_000 + place) for item, place in (("C", 3), ("A", 1), ("B", 2))]
    raw = SOURCES["amazon-2023"].read(folder(reviews, [product(item) for item in "ABC"]), tmp_path / "work")
    done = prepare(raw, tmp_path / "out", user_core=3, item_core=1).dataset
    assert done.items["item_id"].gather(done.sequence).to_list() == ["A", "B", "C"]


def test_reviews_that_cannot_be_read_are_named(folder: Callable[..., Path], tmp_path: Path) -> None:
    reviews = [review("u", "A"), review("u", "B", rating="good"), review("", "A"), review("u", "C", time=None)]
    path = folder(reviews, [product("A"), {"title": "no id"}])
    with (path / "Video_Games.jsonl").open("a") as log:
        log.write('{"rating": 5.0, "asin"\n')
    raw = SOURCES["amazon-2023"].read(path, tmp_path / "work")
    rows = raw.interactions.collect()
    assert rows.filter(pl.col("problem").is_not_null()).select("line", "problem").rows() == [
        (2, "unreadable rating"),
        (3, "no user"),
        (4, "unreadable timestamp"),
        (5, "broken JSON"),
    ]
    assert [(problem.line, problem.path.name) for problem in raw.problems] == [(2, "meta_Video_Games.jsonl")]


def test_a_folder_with_two_categories_asks_which(folder: Callable[..., Path], tmp_path: Path) -> None:
    path = folder([review("u", "A")], [product("A")])
    assert (
        SOURCES["amazon-2023"].read(path / "Video_Games.jsonl", tmp_path / "work").name == "amazon-2023-Video_Games"
    )
    write_lines(path / "Books.jsonl", [review("u", "A")])
    write_lines(path / "meta_Books.jsonl", [product("A")])
    with pytest.raises(UserError, match=r"several categories \(Books, Video_Games\)"):
        SOURCES["amazon-2023"].read(path, tmp_path / "work")


def test_a_folder_without_the_pair_says_what_is_wanted(tmp_path: Path) -> None:
    write_lines(tmp_path / "Books.jsonl", [review("u", "A")])
    with pytest.raises(UserError, match=r"CATEGORY.jsonl and meta_CATEGORY.jsonl"):
        SOURCES["amazon-2023"].read(tmp_path, tmp_path / "work")
