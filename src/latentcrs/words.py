"""Word lists of a room, read once from the `words.toml` beside its modules."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources


@cache
def _lists(package: str) -> dict[str, dict[str, str]]:
    return tomllib.loads(resources.files(package).joinpath("words.toml").read_text("utf-8"))


def word_list(package: str, section: str, name: str) -> frozenset[str]:
    """The words under `[section] name` in the package's `words.toml`."""
    return frozenset(_lists(package)[section][name].split())
