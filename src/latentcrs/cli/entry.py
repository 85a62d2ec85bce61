"""Where the command begins, before anything is loaded: with Unicode everywhere, and without a traceback on Ctrl-C."""

import os
import sys
from importlib import import_module

INTERRUPTED = 130


def main() -> None:
    """Run the command line, as a process of its own."""
    begin("latentcrs.cli.main")


def begin(module: str) -> None:
    """Run `main` of `module`, which is loaded only now."""
    try:
        if sys.getfilesystemencoding() != "utf-8":  # a locale without Unicode, in which libraries open no such path
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"PYTHONUTF8": "1"})
        run = import_module(module).main  # loading it takes long enough to be interrupted
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()
