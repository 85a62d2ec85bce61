"""How the heads of `latentcrs.hear` are trained, and on what."""

from pathlib import Path

SETS = {name: Path(__file__).parent / "utterances" / f"{name}.jsonl" for name in ("movies", "games", "albums")}
"""The labelled messages that come with the package, by name; see the README beside them."""
