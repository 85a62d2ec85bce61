"""Addresses of servers, as people give them."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def http_parts(address: str) -> SplitResult | None:
    """The parts of an http or https address; None for anything that no client could ask (no host, a port that is
    none, a bracket left open).
    """
    import httpx2  # late: commands that ask nobody need not wait for it

    try:
        parts = urlsplit(address)
        asked = parts.port != 0 and bool(httpx2.URL(address).host)
    except (ValueError, httpx2.InvalidURL):
        return None
    return parts if asked and parts.scheme in ("http", "https") else None
