"""Installs a package for one test as an installer leaves it: modules, and metadata with entry points."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str, entry_points: str) -> None:
    """Put the module `name` with this `code` and this text of `entry_points.txt` on the path of this process."""
    site = folder / name
    about = site / f"{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (site / f"{name}.py").write_text(code)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(entry_points)
    monkeypatch.delitem(sys.modules, name, raising=False)  # another test's package of this name
    monkeypatch.syspath_prepend(site)
