"""The pages that people read, and what stands in their code blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {"commands.md", "lab-commands.md", "settings.md", "environment.md", "http.md"}
PAGES = sorted(
    [path for path in (ROOT / "docs").rglob("*.md") if path.name not in GENERATED or path.parent.name != "reference"]
    + [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "lab/README.md", "examples/README.md")]
)
"""What is written by hand."""
PROGRAMS = ("latentcrs", "latentcrs-lab")


class Block(NamedTuple):
    """A fenced block: its language ("" where it has none), its text, and the line of its page that it begins at."""

    language: str
    text: str
    line: int


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The fenced blocks of a page, those of one language where it is named."""
    text, found = page.read_text("utf-8"), []
    for match in re.finditer(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match[2], match[3], line))
    return [block for block in found if language in (None, block.language)]


def commands_in(text: str) -> Iterator[list[str]]:
    """Every command of ours that some lines of a shell run, as words that begin with the program's name."""
    for line in text.replace("\\\n", " ").splitlines():
        typed = re.sub(r"(^|\s)#.*", "", line.strip().removeprefix("$ "))
        shell = shlex.shlex(typed, posix=True, punctuation_chars=";|&<>")
        shell.whitespace_split, shell.commenters = True, ""
        words: list[str] = []
        try:
            parts = [*shell, ";"]
        except ValueError:  # no line of a shell: an apostrophe of somebody's words
            continue
        for part in parts:
            if set(part) <= set(";|&<>"):
                names = [place for place, word in enumerate(words) if Path(word).name in PROGRAMS]
                if names and all("=" in word or word == "sudo" or word == "echo" for word in words[: names[0]]):
                    yield [Path(words[names[0]]).name, *words[names[0] + 1 :]]
                words = []
            else:
                words.append(part)
