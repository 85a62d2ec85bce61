"""A catalogue as the feeds that shops hand to others: OpenAI's product feed, and schema.org's Product as JSON-LD.

Both are read as any JSON lines are (`latentcrs data prepare own`): https://developers.openai.com/commerce/specs/feed
(for file uploads, "currently stable", as of November 2026) and https://schema.org/version/30.0/.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from latentcrs.base.errors import UserError
from latentcrs.data import ColumnKind
from latentcrs.data.roles import addresses, roles_of
from latentcrs.recommend.bundle import Bundle

Feed = Literal["openai", "schema.org"]
LONGEST = {"title": 150, "description": 5000, "brand": 70}
_STOCK = re.compile(r"stock|availab|quantity|inventory")
_OUT = re.compile(r"\b(no|not|out|false|0|sold|discontinued)\b|outofstock|unavailable", re.IGNORECASE)


@dataclass(frozen=True)
class Seller:
    """Who sells: what a feed says of every item. currency: ISO 4217. countries: ISO 3166-1 alpha-2, its own first."""

    name: str = ""
    url: str = ""
    currency: str = "USD"
    countries: tuple[str, ...] = ()


def feed_of(
    bundle: Bundle, hidden: Collection[int], kind: Feed, seller: Seller
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The items of a catalogue as lines of a feed, and what was missing in how many that were left out. `hidden`: the
    numbers of those that are not to be found.

    Raises:
        UserError: nothing fits, or the seller lacks what the feed demands.
    """
    if kind == "openai" and not (seller.name and seller.url and seller.countries):
        raise UserError("OpenAI's feed demands --seller, --seller-url and --country.")
    columns, lines, missing = bundle.columns, [], dict[str, int]()
    for number, row in enumerate(bundle.items.iter_rows(named=True)):
        product = _product(row, columns)
        line = _schema_org(product, seller) if kind == "schema.org" else _openai(product, seller, number in hidden)
        lacking = [name for name, value in line.items() if value in ("", None)]
        missing |= {name: missing.get(name, 0) + 1 for name in lacking}
        if not lacking and (kind == "openai" or number not in hidden):
            lines.append(line)
    if not lines:
        raise UserError(f"No item has what this feed demands; missing are {', '.join(missing) or 'all'}.")
    return lines, missing


def _product(row: Mapping[str, Any], columns: Mapping[str, ColumnKind]) -> dict[str, Any]:
    """What a feed may say of an item, by what its columns are about."""
    roles = roles_of(columns)

    def first(*wanted: str) -> Any:
        return next((row[name] for name, role in roles.items() if role in wanted and row[name] is not None), None)

    image, link = addresses(row, columns)
    stories = [row[name] for name, kind in columns.items() if kind == "text" and row[name]]
    stock = next((row[name] for name in columns if _STOCK.search(name.lower())), None)
    there = stock > 0 if isinstance(stock, float) else not _OUT.search(str(stock))
    brand = first("publisher", "creator", "developer")
    genres = first("genre", "kind")
    return {
        "id": row["item_id"],
        "title": row["title"],
        "description": max(stories, key=len, default="") or row["text"],
        "brand": ", ".join(brand) if isinstance(brand, list) else brand,
        "category": genres if isinstance(genres, list) else [genres] if genres else [],
        "price": first("price"),
        "available": None if stock is None else there,
        "image": image,
        "link": link,
    }


def _openai(product: Mapping[str, Any], seller: Seller, hidden: bool) -> dict[str, Any]:
    price, available = product["price"], product["available"]
    return {
        "item_id": product["id"],
        **{name: (product[name] or "")[:longest] for name, longest in LONGEST.items()},
        "url": product["link"],
        "image_url": product["image"],
        "price": None if price is None else f"{price:.2f} {seller.currency}",
        "availability": "unknown" if available is None else "in_stock" if available else "out_of_stock",
        "seller_name": seller.name,
        "seller_url": seller.url,
        "target_countries": list(seller.countries),
        "store_country": seller.countries[0],
        "is_eligible_search": not hidden,
        "is_eligible_checkout": False,
    }


def _schema_org(product: Mapping[str, Any], seller: Seller) -> dict[str, Any]:
    price, available = product["price"], product["available"]
    offer = {
        "@type": "Offer",
        "price": None if price is None else f"{price:.2f}",
        "priceCurrency": None if price is None else seller.currency,
        "availability": None if available is None else f"https://schema.org/{'In' if available else 'OutOf'}Stock",
        "url": product["link"],
    }
    said = {
        "@context": "https://schema.org",
        "@type": "Product",
        "sku": product["id"],
        "name": product["title"],
        "description": product["description"],
        "brand": {"@type": "Brand", "name": product["brand"]} if product["brand"] else None,
        "category": product["category"],
        "image": product["image"],
        "url": product["link"],
        "offers": _said(offer) if price is not None or available is not None else None,
    }
    return _said(said)


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", [])}
