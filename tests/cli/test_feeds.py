"""Feeds: a catalogue is written as OpenAI's product feed and as schema.org's Product, and read again from both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.cli.main import app
from latentcrs.data import PreparedDataset
from latentcrs.recommend import Recommender, load
from latentcrs.recommend.feeds import Feed, Seller, feed_of

SELLER = Seller("Acme", "https://acme.example", "EUR", ("DE", "AT"))
COLUMNS = {"maker": "category", "price": "number", "stock": "number", "photo": "link", "page": "link"}


@pytest.fixture
def shop(bundle: Path) -> Recommender:
    """The bundle with what shops have."""
    recommender = load(bundle)
    recommender.bundle.info.dataset.columns |= COLUMNS
    recommender.bundle.items = recommender.bundle.items.with_columns(
        maker=pl.lit("Acme"),
        price=pl.int_range(pl.len()).cast(pl.Float64) / 4 + 1,
        stock=pl.int_range(pl.len()).cast(pl.Float64) % 2,
        photo=pl.format("https://img.example/{}.jpg", "item_id"),
        page=pl.format("https://acme.example/{}", "item_id"),
    )
    return recommender


def test_openais_feed_has_every_field_that_it_demands(shop: Recommender) -> None:
    lines, missing = feed_of(shop.bundle, {1}, "openai", SELLER)
    assert len(lines) == len(shop.bundle.items) and not missing
    first = lines[0]
    assert first == {
        "item_id": shop.bundle.items["item_id"][0],
        "title": shop.bundle.items["title"][0],
        "description": shop.bundle.items["plot"][0],
        "brand": "Acme",
        "url": f"https://acme.example/{first['item_id']}",
        "image_url": f"https://img.example/{first['item_id']}.jpg",
        "price": "1.00 EUR",
        "availability": "out_of_stock",
        "seller_name": "Acme",
        "seller_url": "https://acme.example",
        "target_countries": ["DE", "AT"],
        "store_country": "DE",
        "is_eligible_search": True,
        "is_eligible_checkout": False,
    }
    assert lines[1]["is_eligible_search"] is False and lines[1]["availability"] == "in_stock"


def test_schema_orgs_product_says_what_is_known_and_nothing_of_what_is_hidden(shop: Recommender) -> None:
    lines, _ = feed_of(shop.bundle, {1}, "schema.org", SELLER)
    assert len(lines) == len(shop.bundle.items) - 1
    first = lines[0]
    assert (first["@context"], first["@type"], first["sku"]) == (
        "https://schema.org", "Product", shop.bundle.items["item_id"][0],
    )  # fmt: skip
    assert first["offers"] == {
        "@type": "Offer", "price": "1.00", "priceCurrency": "EUR",
        "availability": "https://schema.org/OutOfStock", "url": f"https://acme.example/{first['sku']}",
    }  # fmt: skip
    assert first["brand"] == {"@type": "Brand", "name": "Acme"} and first["category"]


@pytest.mark.parametrize("kind", ["openai", "schema.org"])
def test_a_feed_is_read_as_a_catalogue(shop: Recommender, kind: Feed, tmp_path: Path) -> None:
    lines, _ = feed_of(shop.bundle, set(), kind, SELLER)
    feed, log = tmp_path / "feed.jsonl", tmp_path / "log.csv"
    feed.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ids = shop.bundle.items["item_id"].head(40).to_list()
    log.write_text("user,item\n" + "".join(f"{user},{id}\n" for user in range(9) for id in ids))
    asked = ["data", "prepare", "own", "--interactions", str(log), "--items", str(feed), "--out", str(tmp_path / "d")]
    ran = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    prepared = PreparedDataset(tmp_path / "d")
    kinds, items = prepared.info.columns, prepared.items
    price, stock = ("price", "availability") if kind == "openai" else ("offers.price", "offers.availability")
    assert kinds[price] == "number" and items[price].head(2).to_list() == [1.0, 1.25]
    assert kinds[stock] == "category" and items[stock].n_unique() == 2 and "schema.org" not in items[stock][0]
    assert items["title"].to_list() == shop.bundle.items["title"].head(40).to_list()
    links: list[Any] = [name for name, found in kinds.items() if found == "link"]
    assert len(links) >= 2


def test_what_a_catalogue_lacks_for_a_feed_is_said(bundle: Path, tmp_path: Path) -> None:
    asked = ["export", "feed", str(bundle), "--out", str(tmp_path / "f.jsonl"), "--db", str(tmp_path / "s.sqlite")]
    assert "demands --seller, --seller-url and --country" in str(CliRunner().invoke(app, asked).exception)
    seller = ["--seller", "Acme", "--seller-url", "https://acme.example", "--country", "DE"]
    assert "missing are brand, url, image_url, price" in str(CliRunner().invoke(app, [*asked, *seller]).exception)
    ran = CliRunner().invoke(app, [*asked, "--as", "schema.org"], catch_exceptions=False)
    assert ran.exit_code == 0 and "672 products" in ran.output
