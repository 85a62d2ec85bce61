"""Where the command `latentcrs-lab` begins, before anything is loaded."""

from __future__ import annotations

from latentcrs.cli.entry import begin


def main() -> None:
    """Run the command line, as a process of its own."""
    begin("latentcrs_lab.cli.main")
