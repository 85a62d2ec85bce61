"""How benchmarks say times and machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def span(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def hardware_line(here: Mapping[str, Any]) -> str:
    """What the figures hold for."""
    return (
        f"{here['cpu']}, {here['cores']} cores ({here['threads']} threads), PyTorch {here['torch']}, "
        f"on {here['device']}."
    )
