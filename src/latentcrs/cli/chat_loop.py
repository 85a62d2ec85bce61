"""The loop around a conversation: a line in, an answer out, commands, Ctrl-C and Ctrl-D."""

import json
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file
from latentcrs.base.progress import err_console
from latentcrs.cli.display import ItemDisplay, TextStream, chips, pairs, plain
from latentcrs.converse.conversation import Conversation
from latentcrs.converse.examples import example_request
from latentcrs.converse.open import begin_again
from latentcrs.hear import HeardRule
from latentcrs.store.session import VARIANTS, Turn, TurnItem, Variant

PROMPT = "you> "
LISTED = 20
LEAVE = ("/quit", "/exit", "/q", "quit", "exit")
HELP = {
    "/like N": "you know item N of the list and like it: it counts as history from now on",
    "/why N": "everything that speaks for item N",
    "/rules": "what is asked of the catalogue, and where you said it",
    "/drop N": "take rule N back",
    "/undo": "put back what was in force before it was changed last",
    "/variant b|f|v": "b: rules do not apply; f: they filter; v: and a language model judges",
    "/history": "what you liked, saw and said",
    "/export [FILE]": "this conversation as JSON",
    "/new": "a new conversation",
    "/quit": "leave; so does Ctrl-D (Ctrl-C only stops an answer)",
}
VARIANT_WORDS = {
    "b": "your words and what you liked decide; rules do not apply",
    "f": "rules filter",
    "v": "rules filter, and a language model judges the order",
}


class ChatLoop:
    """Reads lines, answers them on the console, until /quit or the end of the lines.

    bundle: the folder of the bundle, by which a conversation that is stored can be resumed.
    """

    def __init__(self, conversation: Conversation, console: Console, bundle: Path) -> None:
        self.conversation, self.console, self.bundle = conversation, console, bundle
        self.display = ItemDisplay(conversation.recommender.bundle)
        self.first_answer: float | None = None  # time.perf_counter() when it was on the screen
        self._chips = ""
        self._turns: list[Turn] = []  # of this conversation, where no store has them
        self.commands: dict[str, Callable[[list[str]], None]] = {
            "/help": self._help,
            "/like": self._like,
            "/why": self._why,
            "/rules": self._rules,
            "/drop": self._drop,
            "/undo": self._undo,
            "/variant": self._variant,
            "/history": self._history,
            "/export": self._export,
            "/new": self._new,
        }

    # The frame.

    def greet(self, who: str | None = None) -> None:
        """Which catalogue this is, whom it takes the user for, and where a resumed conversation stands."""
        bundle, session = self.conversation.recommender.bundle, self.conversation.session
        dataset = bundle.info.dataset
        self._line(f"{dataset.name}: {dataset.items:,} items, learnt from {dataset.users:,} people", "bold")
        past = session.past
        known = f"{who}. " if who else ""
        if past:
            self._line(f"{known}Your history, newest first: {self.display.newest(past, 5)}.")
        else:
            self._line(f"{known}I know nothing of you yet: your words decide, and /like tells me more.")
        if session.turns:
            count = f"{session.turns:,} turn{'s'[: session.turns > 1]}"
            self._line(f"This conversation has {count} so far; /history shows what you said.")
            if session.listed:
                self._line("The last list was:")
                self._list([self._shown(item_id) for item_id in session.listed])
            self._in_force(always=True)
        else:
            example = example_request(bundle)
            self._line(f"Say what you are looking for, for instance {example}; each line adds to what you said.")
        self._line("/help lists the commands.", "dim")
        self.console.print()

    def run(self, lines: Iterable[str]) -> None:
        """Answer every line. Ctrl-C during an answer stops that answer only, at a prompt it empties the line."""
        waiting = iter(lines)
        try:
            while True:
                line = next(waiting, None)
                if line is None or line.strip().lower() in LEAVE:
                    break
                self._handled(line.strip())
        except KeyboardInterrupt:  # while a script or a pipe is waited for
            self.console.print()
        self._part()

    def _handled(self, line: str) -> None:
        conversation, before = self.conversation, self.conversation.session.turns
        try:
            self.handle(line)
        except KeyboardInterrupt:
            kept = conversation.session.turns > before
            self._line(f"Stopped; that line {'was answered' if kept else 'does not count'}.", "yellow")
        except UserError as error:
            self._line(str(error)[:1].upper() + str(error)[1:], "yellow")
        if conversation.store is None and conversation.session.turns > before:
            self._turns.append(conversation.recent[-1])
        self.console.print()

    def handle(self, line: str) -> None:
        """One line: a command, or something said.

        Raises:
            UserError: a command that does not exist or does not fit.
        """
        if not line:
            example = example_request(self.conversation.recommender.bundle)
            self._line(f"Say something, for instance {example}, or /help.", "dim")
        elif line.startswith("/"):
            name, *arguments = line.split()
            command = self.commands.get(name.lower())
            if command is None:
                raise UserError(f"there is no {name[:40]}; /help lists the commands.")
            command(arguments)
        else:
            self._answer(line)

    def _answer(self, line: str) -> None:
        """Say it, and show what comes of it; the text is shown as it is written, the list once the turn is stored."""
        streamed = TextStream(self.console)
        with ExitStack() as waiting:
            waiting.callback(streamed.end)
            if self.conversation.model is not None:
                status = err_console.status("thinking")
                waiting.callback(status.stop)
                status.start()

            def on_text(piece: str) -> None:
                if self.conversation.model is not None:
                    status.stop()
                streamed.write(piece)

            turn = self.conversation.reply(line, on_text)
        if turn.taken_back:
            self._line("/undo puts it back.", "dim")
        if turn.items:
            self._list(turn.items)
        if turn.question is not None:
            self._line(turn.question.text, "bold")
        self._in_force(always=bool(turn.items))
        for failure in self.conversation.failures:
            self._line(f"({failure.rstrip('.')})", "yellow")
        if self.first_answer is None and turn.items:
            self.first_answer = time.perf_counter()

    def _part(self) -> None:
        self._line("Goodbye.", "dim")
        conversation = self.conversation
        if conversation.store is None:
            return
        if conversation.session.turns:
            command = f"latentcrs chat {shlex.quote(str(self.bundle))} --resume {conversation.id}"
            told = plain(f"To go on with this conversation: {command}", "dim")
            self.console.print(told, soft_wrap=True, highlight=False)  # one line, to be copied
        else:
            conversation.store.forget(conversation.id)

    # Commands.

    def _like(self, numbers: list[str]) -> None:
        if not numbers:
            raise UserError("/like wants the number of an item on the list: /like 1")
        places = [self._place(number) for number in numbers]
        self.conversation.mark("like", places)
        listed = self.conversation.session.listed
        titles = " and ".join(self.display.titled(listed[place]) for place in dict.fromkeys(places))
        self._line(f"Noted: you like {titles}. It counts from the next line on.")

    def _why(self, numbers: list[str]) -> None:
        if len(numbers) != 1:
            raise UserError("/why wants the number of an item on the list: /why 1")
        item_id = self.conversation.session.listed[self._place(numbers[0])]
        self.console.print(self.display.reason(self._shown(item_id)))

    def _rules(self, _: list[str]) -> None:
        session = self.conversation.session
        if not session.rules and not session.wishes:
            self._line("No rules are in force: your words rank, and nothing is filtered out.")
            return
        if session.variant == "b":
            self._line("Variant b does not apply them; /variant f does.", "yellow")
        number = 1
        for name, group in (("Rules, which filter:", session.rules), ("Wishes, which only rank:", session.wishes)):
            if group:
                self._line(name, "dim")
                self.console.print(pairs((f"{n:>3}", self._about(rule)) for n, rule in enumerate(group, number)))
            number += len(group)

    def _about(self, heard: HeardRule) -> str:
        passing = int(self.conversation.recommender.mask(heard.rule).sum())
        said = f", said as \u201c{heard.words}\u201d" if heard.words else ""
        return f"{heard.rule}{said}, {passing:,} items{', insisted on' if heard.insisted else ''}"

    def _drop(self, numbers: list[str]) -> None:
        session = self.conversation.session
        count = len(session.rules) + len(session.wishes)
        if not count:
            raise UserError("no rules are in force.")
        if len(numbers) != 1 or not 1 <= (number := _number(numbers[0])) <= count:
            raise UserError(f"/drop wants the number of a rule: {'1' if count == 1 else f'1 to {count}'}.")
        before = [*session.rules, *session.wishes]
        self.conversation.drop(number - 1)
        after = [*self.conversation.session.rules, *self.conversation.session.wishes]
        gone = "; ".join(str(heard.rule) for heard in before if heard not in after)
        self._line(f"No longer asked for: {gone}. \u201cSomething else\u201d shows what fits now.")
        self._in_force(always=True)

    def _undo(self, rest: list[str]) -> None:
        if rest:
            raise UserError("/undo takes no word.")
        self.conversation.undo()
        self._line("Put back. \u201cSomething else\u201d shows what fits now.")
        self._in_force(always=True)

    def _variant(self, names: list[str]) -> None:
        session = self.conversation.session
        if names and (len(names) != 1 or names[0].lower() not in VARIANTS):
            raise UserError("/variant wants b, f or v: /variant f")
        if names:
            self.conversation.use(cast(Variant, names[0].lower()))
            session = self.conversation.session
        self._line(f"Variant {session.variant}: {VARIANT_WORDS[session.variant]}.")
        if names:
            self._in_force()

    def _history(self, _: list[str]) -> None:
        session = self.conversation.session
        past = session.past
        self._line(f"Your history, newest first ({len(past):,}):" if past else "Your history is empty.", "dim")
        for item_id in reversed(past[-LISTED:]):
            here = item_id not in session.history
            mark = "" if not here else "  (liked here)" if item_id in session.liked else "  (taken here)"
            self._line(f"  {self.display.titled(item_id)}{mark}")
        if len(past) > LISTED:
            self._line(f"  and {len(past) - LISTED:,} older")
        for name, item_ids in (("You know already:", session.seen), ("Not for you:", session.refused)):
            if item_ids:
                self._line(name, "dim")
                self._line(f"  {self.display.newest(item_ids, LISTED)}")
        if session.said:
            self._line("You said:", "dim")
            for sentence in session.said:
                self._line(f"  {sentence}")

    def _export(self, words: list[str]) -> None:
        conversation = self.conversation
        if not conversation.session.turns:
            raise UserError("nothing was said yet, so there is nothing to export.")
        path = Path(" ".join(words) or f"conversation-{conversation.id}.json").expanduser()
        if words and path.exists():
            raise UserError(f"{path} is there already; name another file.")
        try:
            with atomic_file(path) as temporary:
                temporary.write_text(json.dumps(self._all(), indent=2, ensure_ascii=False), "utf-8")
        except (OSError, ValueError) as error:  # the latter for names that no file has
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"{path} cannot be written: {reason}.") from None
        count = conversation.session.turns
        self._line(f"Wrote {path}: {count:,} turn{'s'[: count > 1]}.")

    def _new(self, _: list[str]) -> None:
        begin_again(self.conversation, self.bundle)
        self._chips, self._turns = "", []
        self._line("A new conversation: what you said, were shown and liked here is forgotten.")

    def _help(self, _: list[str]) -> None:
        self.console.print(pairs(HELP.items()))

    # Parts.

    def _all(self) -> dict[str, Any]:
        """All there is of this conversation, ready for JSON."""
        conversation = self.conversation
        if conversation.store is not None:
            return conversation.store.export(conversation.id)
        session, turns = conversation.session.model_dump(), [turn.model_dump() for turn in self._turns]
        return {"id": conversation.id, "user": session["user"], "session": session, "turns": turns}

    def _place(self, number: str) -> int:
        """The position in the last list, from 0, of a number as it is shown, from 1."""
        count = len(self.conversation.session.listed)
        if not count:
            raise UserError("nothing is on the list yet; say what you are looking for.")
        if not 1 <= _number(number) <= count:
            has = "only number 1" if count == 1 else f"the numbers 1 to {count}"
            raise UserError(f"the list has {has}, not {number[:40]!r}.")
        return _number(number) - 1

    def _shown(self, item_id: str) -> TurnItem:
        """An item as it was last recommended."""
        shown = [item for turn in self.conversation.recent for item in turn.items if item.item_id == item_id]
        title = str(self.display.facts(item_id)["title"])
        return shown[-1] if shown else TurnItem(item_id=item_id, title=title, score=0.0)

    def _list(self, items: Sequence[TurnItem]) -> None:
        rules = [str(heard.rule) for heard in self.conversation.session.rules]
        self.console.print(self.display.answer(items, self.console.width, rules))

    def _in_force(self, always: bool = False) -> None:
        """The line of chips, where it is wanted or has changed."""
        session = self.conversation.session
        applied = session.variant != "b"
        line = chips(session.rules if applied else (), session.wishes if applied else (), self.console.width)
        if line.plain and (always or line.plain != self._chips):
            self.console.print(line, soft_wrap=True)
        self._chips = line.plain

    def _line(self, words: str, style: str = "") -> None:
        self.console.print(plain(words, style), highlight=False)


def _number(written: str) -> int:
    return int(written) if written.isascii() and written.isdigit() and len(written) < 4 else 0


def spoken_lines(lines: Iterable[str], console: Console) -> Iterator[str]:
    """A script's lines, each printed as if it was typed."""
    for line in lines:
        console.print(plain(f"{PROMPT}{line}", "bold green"), highlight=False)
        yield line
