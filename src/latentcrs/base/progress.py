"""Progress on the terminal: one bar per step on stderr, so that stdout stays clean for --json."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

console = Console()
err_console = Console(stderr=True)


SELDOM = 0.25
"""Seconds between two messages about one step."""
_tell: Callable[..., None] | None = None


def show_elsewhere(tell: Callable[..., None]) -> None:
    """Show nothing here, but `tell` of "step", name, total; its "at", completed, note; "end", seconds; and "say"."""
    global _tell
    _tell = tell


class Step:
    """One running step: `advance` moves its bar, `note` changes the words after it."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self.last_note = ""
        self.seconds: float | None = None  # how long it took, where that was somewhere else
        self.given_up = False

    def advance(self, by: float = 1) -> None:
        self._progress.advance(self._task, by)

    def at(self, completed: float) -> None:
        self._progress.update(self._task, completed=completed)

    def total(self, total: float) -> None:
        self._progress.update(self._task, total=total)

    def note(self, words: str) -> None:
        self.last_note = words
        self._progress.update(self._task, note=words)


class _ToldStep(Step):
    """A step that is shown elsewhere."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell, self._completed, self._told = tell, 0.0, 0.0
        self.last_note = ""

    def advance(self, by: float = 1) -> None:
        self.at(self._completed + by)

    def at(self, completed: float) -> None:
        self._completed = completed
        if time.monotonic() - self._told > SELDOM:
            self.tell()

    def total(self, total: float) -> None:
        pass

    def note(self, words: str) -> None:
        self.last_note = words

    def tell(self) -> None:
        self._tell("at", self._completed, self.last_note)
        self._told = time.monotonic()


def say(words: str) -> None:
    """One line about what a step did, on stderr, as it is."""
    if _tell is not None:
        _tell("say", words)
        return
    err_console.print(words, highlight=False, markup=False, soft_wrap=True)


def show(words: str, style: str | None = None) -> None:
    """One line of a result, on stdout, as it is."""
    console.print(words, style=style, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def step(name: str | None, total: float | None = None) -> Iterator[Step]:
    """Show a progress bar named `name` while the block runs; no name: no bar. `total` None: it pulses."""
    if _tell is not None and name is not None:
        told = _ToldStep(_tell)
        began = time.perf_counter()
        _tell("step", name, total)
        yield told
        told.tell()
        _tell("end", time.perf_counter() - began)
        return
    if name is None or not err_console.is_terminal:  # a log, not a screen: one line when the step is done
        hidden = Progress(disable=True)
        bar = Step(hidden, hidden.add_task(name or ""))
        began = time.perf_counter()
        yield bar
        if name is not None and not bar.given_up:
            seconds = time.perf_counter() - began if bar.seconds is None else bar.seconds
            say(f"{name}: {bar.last_note}{', ' * bool(bar.last_note)}{seconds:.1f} s")
        return
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        # The only one that gives way where the terminal is narrow.
        TextColumn("[dim]{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        console=err_console,
        expand=True,
    )
    with progress:
        yield Step(progress, progress.add_task(name, total=total, note=""))
