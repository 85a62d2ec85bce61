"""A turn as Markdown: what is said, then the items as a numbered list; all text in it is data, and stays text."""

import re
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from latentcrs.data.columns import LINK
from latentcrs.recommend.catalogue_text import plain_text
from latentcrs.store.session import Turn, TurnItem

SPECIAL = re.compile(r"[\\`*_\[\]~|$]|<(?=[A-Za-z/!?])|(?<=:)//|(?<=\b[wW]{3})\.|@(?=\w)")
"""What begins emphasis, code, a link, a table, a formula, a tag or an address that becomes a link by itself."""
LINE_START = re.compile(r"^(\s*)([#>+=-]|\d+(?=[.)](?:\s|$)))")
"""What makes a heading, a quotation or a list of a line."""
LAST_WORD = re.compile(r"\S*\Z")
Year = Callable[[str], int | None]


def escaped(text: str) -> str:
    """`text` on one line, shown by a reader of Markdown as it is: no markup, no HTML, no links."""
    words = " ".join(plain_text(text).split())
    return LINE_START.sub(_at_line_start, _inside(words))


def markdown(turn: Turn, year: Year, image_hosts: Collection[str] = ()) -> str:
    """The whole answer of a turn. `year`: of an item id. `image_hosts`: whose pictures are shown."""
    return f"{escaped(turn.text)}{listed(turn, year, image_hosts)}"


def listed(turn: Turn, year: Year, image_hosts: Collection[str] = ()) -> str:
    """The items of a turn with what separates them from the words before; empty where there are none."""
    lines = [f"{number}. {_line(item, year(item.item_id), image_hosts)}" for number, item in enumerate(turn.items, 1)]
    asked = f"\n\n{escaped(turn.question.text)}" if turn.question is not None else ""
    return "\n\n" + "\n".join(lines) + asked if lines else ""


class EscapedWords:
    """Text that comes in pieces, escaped word by word: a word at the end of a piece waits for its rest."""

    def __init__(self) -> None:
        self._waiting, self._begun = "", False

    def write(self, piece: str) -> str:
        """What is whole now, escaped."""
        text = self._waiting + piece
        self._waiting = LAST_WORD.search(text).group()  # type: ignore[union-attr]  # it matches nothing too
        return self._escaped(text[: len(text) - len(self._waiting)])

    def end(self) -> str:
        """The last word."""
        last, self._waiting = self._waiting, ""
        return self._escaped(last)

    def _escaped(self, text: str) -> str:
        if not text.strip():
            return text if self._begun else ""
        begins, self._begun = not self._begun, True
        if begins:
            return LINE_START.sub(_at_line_start, _inside(plain_text(text.lstrip())))
        return "\n".join(_inside(plain_text(line)) for line in text.split("\n"))


def _line(item: TurnItem, year: int | None, image_hosts: Collection[str]) -> str:
    dated = f" ({year})" if year is not None else ""
    title = f"**{_inside(' '.join(plain_text(item.title).split()))}**"
    if re.search(LINK, item.link):
        title = f"[{title}]({item.link})"
    picture = f"![]({item.image}) " if shows(item.image, image_hosts) else ""
    return f"{picture}{title}{dated} — {_inside(plain_text(item.why))}"


def shows(image: str, image_hosts: Collection[str]) -> bool:
    """Whether a picture is one of those whose host the operator has named."""
    return bool(re.search(LINK, image)) and urlsplit(image).hostname in image_hosts


def _inside(text: str) -> str:
    return SPECIAL.sub(_instead, text)


def _instead(found: re.Match[str]) -> str:
    # Some readers of Markdown let HTML through and know no backslash; to all of them this is no tag.
    mark = found.group()
    return "&lt;" if mark == "<" else r"\/\/" if mark == "//" else f"\\{mark}"


def _at_line_start(found: re.Match[str]) -> str:
    before, mark = found.groups()
    return f"{before}{mark}\\" if mark.isdigit() else f"{before}\\{mark}"
