"""The loop around a conversation: a line in, an answer out, commands, Ctrl-C and Ctrl-D."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console

from latentcrs.converse.display import ItemDisplay, plain
from latentcrs.converse.terminal import TerminalChat
from latentcrs.errors import UserError

PROMPT = "you> "
LISTED = 20
HELP = {
    "/like N": "you know item N of the list and like it: it counts as history from now on",
    "/why N": "everything that speaks for item N",
    "/history": "what you liked, and what you said",
    "/new": "start over",
    "/quit": "leave; so does Ctrl-D",
}


class ChatLoop:
    """Reads lines, answers them on the console, until /quit or the end of the lines."""

    def __init__(self, chat: TerminalChat, console: Console) -> None:
        self.chat, self.console = chat, console
        self.display = ItemDisplay(chat.recommender.bundle)
        self.first_answer: float | None = None  # time.perf_counter() when it was on the screen
        self.commands: dict[str, Callable[[list[str]], None]] = {
            "/help": self._help,
            "/like": self._like,
            "/why": self._why,
            "/history": self._history,
            "/new": self._new,
        }

    def greet(self, who: str | None = None) -> None:
        """Which catalogue this is, and whom it takes the user for."""
        dataset = self.chat.recommender.bundle.info.dataset
        self._line(f"{dataset.name}: {dataset.items:,} items, learnt from {dataset.users:,} people", "bold")
        past = self.chat.past
        known = f"{who}. " if who else ""
        if past:
            self._line(f"{known}Your history, newest first: {self.display.newest(past, 5)}.")
        else:
            self._line(f"{known}I know nothing of you yet: your words decide, and /like tells me more.")
        self._line("Say what you are looking for; each line adds to what you said. /help lists the commands.", "dim")

    def run(self, lines: Iterable[str]) -> None:
        """Answer every line. Ctrl-C while waiting for one ends the conversation, during an answer only the answer."""
        waiting = iter(lines)
        while True:
            try:
                line = next(waiting, None)
            except KeyboardInterrupt:
                line = None
                self.console.print()
            if line is None or line.strip().lower() in ("/quit", "/exit", "/q"):
                self._line("Goodbye.", "dim")
                return
            try:
                self.handle(line.strip())
            except KeyboardInterrupt:
                self._line("\nStopped; that line does not count.", "yellow")
            except UserError as error:
                self._line(str(error)[:1].upper() + str(error)[1:], "yellow")

    def handle(self, line: str) -> None:
        """One line: a command, or something said.

        Raises:
            UserError: a command that does not exist or does not fit.
        """
        if not line:
            self._line("Say something, for instance a genre or a decade, or /help.", "dim")
        elif line.startswith("/"):
            name, *arguments = line.split()
            command = self.commands.get(name.lower())
            if command is None:
                raise UserError(f"there is no {name}; /help lists the commands.")
            command(arguments)
        else:
            self._answer(line)

    def _answer(self, line: str) -> None:
        before = len(self.chat.said)
        items = self.chat.turn(line)
        if not items:
            self._line("Nothing is left that you have not seen; /new starts over.", "yellow")
            return
        words = "For: " if before == 0 else "For all you said: "
        self.console.print(plain(f"{words}{self.chat.request}", "dim italic"), soft_wrap=True)
        self.console.print(self.display.answer(items, self.console.width))
        self.console.print()
        if self.first_answer is None:
            self.first_answer = time.perf_counter()

    def _like(self, numbers: list[str]) -> None:
        if not numbers:
            raise UserError("/like wants the number of an item on the list: /like 1")
        liked = self.chat.like(numbers)
        titles = " and ".join(self.display.titled(item.item_id) for item in liked)
        self._line(f"Noted: you like {titles}. It counts from the next line on.")

    def _why(self, numbers: list[str]) -> None:
        if len(numbers) != 1:
            raise UserError("/why wants the number of an item on the list: /why 1")
        self.console.print(self.display.reason(self.chat.numbered(numbers[0])))

    def _history(self, _: list[str]) -> None:
        past = self.chat.past
        self._line(f"Your history, newest first ({len(past):,}):" if past else "Your history is empty.", "dim")
        for item_id in reversed(past[-LISTED:]):
            mark = "  (liked here)" if item_id in self.chat.liked else ""
            self._line(f"  {self.display.titled(item_id)}{mark}")
        if len(past) > LISTED:
            self._line(f"  and {len(past) - LISTED:,} older")
        if self.chat.said:
            self._line("You said:", "dim")
            for sentence in self.chat.said:
                self._line(f"  {sentence}")

    def _new(self, _: list[str]) -> None:
        self.chat.start_over()
        self._line("A new conversation: what you said, were shown and liked here is forgotten.")

    def _help(self, _: list[str]) -> None:
        width = max(map(len, HELP))
        for command, words in HELP.items():
            self._line(f"  {command:<{width}}  {words}")

    def _line(self, words: str, style: str = "") -> None:
        start, rest = ("\n", words[1:]) if words.startswith("\n") else ("", words)
        self.console.print(start, end="")
        self.console.print(plain(rest, style), highlight=False)


def typed_lines() -> Iterator[str]:
    """Lines from standard input: with a prompt and line editing on a terminal, one after the other from a pipe."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if not sys.stdin.isatty():
        for line in sys.stdin:
            yield line.rstrip("\n")
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  its import gives input() line editing and history
    while True:
        try:
            line = input(PROMPT)
        except EOFError:
            print()
            return
        yield line


def spoken_lines(lines: Iterable[str], console: Console) -> Iterator[str]:
    """A script's lines, each printed as if it was typed."""
    for line in lines:
        console.print(plain(f"{PROMPT}{line}", "bold green"), highlight=False)
        yield line
