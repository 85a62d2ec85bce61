"""Addresses of servers, as people give them."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

HOST = re.compile(r"[^\s/@\\?#\[\]\x00-\x20\x7f]{1,253}")


def http_parts(address: str) -> SplitResult | None:
    """The parts of an http or https address; None for what no client could ask: no host, bad port, open bracket."""
    try:
        parts = urlsplit(address)
        sound = parts.port != 0 and is_host(parts.hostname or "")
    except ValueError:
        return None
    return parts if sound and parts.scheme in ("http", "https") and not re.search(r"\s", address) else None


def is_host(name: str) -> bool:
    """Whether a machine can be called so: the name or address alone, without scheme, port and path."""
    if not HOST.fullmatch(name):
        return False
    try:
        name.encode("idna" if ":" not in name else "ascii")  # an address of IPv6 is no name
    except UnicodeError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
