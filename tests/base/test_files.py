"""Claims about folders that are replaced: one of the two is there whole, whenever Ctrl-C comes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from latentcrs.base import files
from latentcrs.base.files import replace_folder


@contextmanager
def interrupted_before(line: int) -> Iterator[None]:
    """Ctrl-C before the line that `latentcrs.base.files` comes to as number `line`, from 1."""
    left, before = line, sys.gettrace()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != files.__file__:
            return None
        left -= event == "line"
        if left == 0:
            sys.settrace(before)
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def test_a_folder_that_is_replaced_is_there_whole_whenever_ctrl_c_comes(tmp_path: Path) -> None:
    found = []
    for line in range(1, 100):
        old, new = tmp_path / f"{line}", tmp_path / f"{line}-new"
        for folder, words in ((old, "old"), (new, "new")):
            folder.mkdir()
            (folder / "words.txt").write_text(words)
        try:
            with interrupted_before(line):
                replace_folder(new, old)
        except KeyboardInterrupt:
            found.append((old / "words.txt").read_text())
        else:
            break
    assert set(found) == {"old", "new"} and (old / "words.txt").read_text() == "new"
