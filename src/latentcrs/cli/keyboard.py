"""Lines from standard input: typed at a terminal, with editing and a history of lines, or out of a pipe."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs

MOST_LINES = 1000


def lines_file() -> Path:
    """Where the lines typed in chats are kept: a file in the platform's data folder."""
    return Path(platformdirs.user_data_dir("latentcrs")) / "chat-history"


def typed_lines(prompt: str, history: Path | None = None) -> Iterator[str]:
    """Lines as they come; `history` is the file that keeps those typed at a terminal."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    return Keyboard(prompt, history) if sys.stdin.isatty() else (line.rstrip("\n") for line in sys.stdin)


class Keyboard:
    """The lines typed at a terminal, until Ctrl-D. Ctrl-C empties the line that is being typed.

    history: a file for nobody else's eyes with the lines of this session and earlier ones; None keeps none.
    """

    def __init__(self, prompt: str, history: Path | None = None) -> None:
        self.prompt, self.history = prompt, history
        self._editing = None
        with contextlib.suppress(ImportError):
            import readline  # its import gives input() line editing and history

            self._editing = readline
        if self._editing is not None and history is not None:
            with contextlib.suppress(OSError):  # without a history one can talk, too
                private_file(history)
                self._editing.read_history_file(history)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            try:
                line = input(self.prompt)
            except EOFError:
                print()
                raise StopIteration from None
            except KeyboardInterrupt:
                print("\n(Ctrl-D or /quit leaves)")
                continue
            self._keep(line)
            return line

    def _keep(self, line: str) -> None:
        if self._editing is None or self.history is None or not line.strip():
            return
        with contextlib.suppress(OSError):
            self._editing.set_history_length(MOST_LINES)
            self._editing.write_history_file(self.history)
            os.chmod(self.history, 0o600)


def private_file(path: Path) -> None:
    """Make the file where it is missing, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    os.chmod(path, 0o600)
