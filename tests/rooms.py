"""The rooms of the house: which may import which, and how many lines each has (`python tests/rooms.py`)."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "latentcrs"
ROOMS = (
    *("base", "data", "behaviour", "intent", "text", "llm", "fit", "recommend", "hear", "store", "converse"),
    *("users", "systems", "evaluate", "serve", "web", "scale", "bench", "cli"),
)
"""From the ground up: a room imports from those before it, never from those after it."""
DOORS = {
    ("serve/app.py", "web"): "the page is opened where its extra is installed",
}
"""Imports against that order, each with its reason; the list only gets shorter."""
TEXT = {".py", ".toml", ".j2", ".css", ".js", ".html"}


def imported(path: Path) -> Iterator[str]:
    """The rooms, or the modules beside them, that a file of the package imports from."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in filter(None, names):
            package, _, rest = name.partition(".")
            if package == "latentcrs_lab":
                yield package
            elif package == "latentcrs" and rest:
                yield rest.split(".")[0]


def upward() -> dict[tuple[str, str], int]:
    """Every import that goes up: (file, what it imports from) and how often."""
    found: Counter[tuple[str, str]] = Counter()
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE)
        if len(file.parts) == 1:  # the front door stands outside of all rooms
            continue
        here = ROOMS.index(file.parts[0])
        for there in imported(path):
            if there not in ROOMS or ROOMS.index(there) > here:
                found[file.as_posix(), there] += 1
    return dict(found)


def lines() -> dict[str, int]:
    """Lines of code and of data by room; "" for what stands beside the rooms."""
    found: Counter[str] = Counter()
    for path in PACKAGE.rglob("*"):
        if path.suffix in TEXT:
            parts = path.relative_to(PACKAGE).parts
            found[parts[0] if len(parts) > 1 else ""] += path.read_text("utf-8").count("\n")
    return dict(found)


def budget() -> int:
    """How many lines the package may have, by `pyproject.toml`."""
    return int(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["latentcrs"]["lines"])


if __name__ == "__main__":
    counted = lines()
    for room in ("", *ROOMS):
        print(f"{counted.get(room, 0):7,}  {room or '(front door)'}")
    print(f"{sum(counted.values()):7,}  lines of src/latentcrs; at most {budget():,}")
    sys.exit(sum(counted.values()) > budget())
