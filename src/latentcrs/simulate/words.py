"""The word lists of this room, read once from `words.toml`."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=1)
def _lists() -> dict[str, dict[str, str]]:
    return tomllib.loads(resources.files("latentcrs.simulate").joinpath("words.toml").read_text("utf-8"))


def word_list(section: str, name: str) -> frozenset[str]:
    """The words under `[section] name`."""
    return frozenset(_lists()[section][name].split())
