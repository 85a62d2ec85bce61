"""What a conversation looks like on a terminal: lists of items, reasons, rules in force; all text is data."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from latentcrs.hear import HeardRule
from latentcrs.recommend.catalogue_text import CatalogueText, plain_text
from latentcrs.store.session import TurnItem

WIDE = 140
"""Columns of a terminal from which on the reason gets a column of its own."""


def plain(text: object, style: str = "") -> Text:
    """Text as it is: no markup, and nothing that moves the cursor, changes colours or turns the direction."""
    return Text(plain_text(text), style)


class ItemDisplay(CatalogueText):
    """How items of one catalogue are shown on a terminal."""

    def answer(self, items: Sequence[TurnItem], width: int, rules: Sequence[str] = ()) -> RenderableType:
        """The numbered list of an answer; rules: those in force, by whose numbers an item says what it fails."""
        if width < WIDE:
            return self._narrow(items, rules)
        table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
        table.add_column("", justify="right", style="bold cyan")
        table.add_column("title", style="bold", max_width=44)
        if self.year:
            table.add_column("year")
        if self.categories:
            name = ", ".join(name.replace("_", " ") for name in self.categories)
            table.add_column(name, max_width=34, no_wrap=True, overflow="ellipsis")
        table.add_column("why", style="dim", no_wrap=True, overflow="ellipsis", ratio=1)
        for number, item in enumerate(items, 1):
            cells = [plain(number), plain(item.title)]
            if self.year:
                year = self.facts(item.item_id)[self.year]
                cells.append(plain("" if year is None else year))
            if self.categories:
                cells.append(plain(self.values(item.item_id)))
            table.add_row(*cells, plain(_why(item, rules)))
        return table

    def _narrow(self, items: Sequence[TurnItem], rules: Sequence[str]) -> RenderableType:
        lines = []
        for number, item in enumerate(items, 1):
            first = Text.assemble(plain(f"{number:>2}  ", "bold cyan"), plain(self.titled(item.item_id), "bold"))
            if values := self.values(item.item_id):
                first.append("  ").append_text(plain(values))
            why = plain(f"    {_why(item, rules)}", "dim")
            for line in (first, why):
                line.no_wrap, line.overflow = True, "ellipsis"
            lines += [first, why]
        return Group(*lines)

    def reason(self, item: TurnItem) -> RenderableType:
        """Everything that speaks for an item, and what speaks against it."""
        told = {
            "your words": ", ".join(item.words),
            "you liked": ", ".join(item.because_of),
            "what you seem after": "; ".join(item.intents),
            "but it fails": "; ".join(item.fails),
        }
        if not any(told.values()):
            told["why"] = item.why
        return Group(plain(self.titled(item.item_id), "bold"), pairs(told.items()))


def _why(item: TurnItem, rules: Sequence[str]) -> str:
    """The reason in one line, which begins with the numbers of the rules that the item fails."""
    if not item.fails or not set(item.fails) <= set(rules):
        return item.why
    numbers = " ".join(f"[{rules.index(failed) + 1}]" for failed in item.fails)
    return f"fails {numbers} · {item.model_copy(update={'fails': []}).why}"


class TextStream:
    """Text written to a console piece by piece as it comes, whole words at a time, broken at the console's width."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._word, self._column = "", 0

    def write(self, piece: str) -> None:
        """Write what is whole of `piece`; a word at its end waits for its rest. A new line stays one."""
        for c in piece:
            if not c.isspace():
                self._word += c
                continue
            self._flush()
            if c == "\n" and self._column:
                self._break()

    def end(self) -> None:
        """The last word, and the end of the line."""
        self._flush()
        if self._column:
            self._break()

    def _flush(self) -> None:
        word, self._word = plain(self._word), ""
        width = cell_len(word.plain)
        if not width:
            return
        if self._column and self._column + 1 + width > self.console.width:
            self._break()
        if self._column:
            word = Text(" ").append_text(word)
        self.console.print(word, end="", soft_wrap=True, highlight=False)
        self._column = min(self._column + word.cell_len, self.console.width)

    def _break(self) -> None:
        self.console.print()
        self._column = 0


def chips(rules: Sequence[HeardRule], wishes: Sequence[HeardRule], width: int) -> Text:
    """The rules in force, numbered as `/drop` takes them, then the wishes. No chip that fits a line is broken."""
    told = [*(str(heard.rule) for heard in rules), *(f"wish: {heard.rule}" for heard in wishes)]
    line, column = Text(), 0
    for number, words in enumerate(told, 1):
        chip = Text.assemble(plain(f"[{number} ", "dim"), plain(words, "cyan"), plain("]", "dim"))
        if column:
            fits = column + 1 + chip.cell_len <= width
            line.append(" " if fits else "\n")
            column = column + 1 if fits else 0
        line.append_text(chip)
        column += chip.cell_len
    return line


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and what belongs to them, below each other; rows without words are left out."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column("", style="dim", no_wrap=True)
    table.add_column("")
    for name, words in rows:
        if words:
            table.add_row(plain(name), plain(words))
    return table
