"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Callable[..., Path]:
    """Finds real data by name below `LATENTCRS_DATA` (else ../shared/data): `shared_data("ml-1m")`.

    Data that is not there skips the test on a developer's machine and fails it in CI (the variable `CI` is set),
    where a silent skip would hide that nothing was tested.
    """
    root = Path(os.environ.get("LATENTCRS_DATA") or REPOSITORY.parent / "shared" / "data")

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            reason = f"{name} is not below {root}; set LATENTCRS_DATA to the folder that holds it"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find
