"""Where the command begins, before anything is loaded: with Unicode everywhere, and without a traceback on Ctrl-C."""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line, as a process of its own."""
    try:
        if sys.getfilesystemencoding() != "utf-8":  # a locale without Unicode, in which libraries open no such path
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"PYTHONUTF8": "1"})
        from latentcrs.cli.main import main as run  # late: loading it takes long enough to be interrupted
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()
