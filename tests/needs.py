"""What a test wants and pip does not bring: real data, a browser, Java."""

from __future__ import annotations

import os

import pytest


def require(found: object, lacking: str) -> None:
    """Where something is not `found`, skip the test on a developer's machine and fail it in CI (the variable `CI` is
    set), where a silent skip would hide that nothing was tested. `lacking` says what it is and how to get it.
    """
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(lacking)
