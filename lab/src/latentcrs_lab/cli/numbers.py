"""Lists of numbers as options give them."""

from __future__ import annotations

from latentcrs.base.errors import UserError


def numbers(option: str, given: str) -> list[int]:
    """Whole numbers above zero with commas between, as `option` was given them.

    Raises:
        UserError: something else was given.
    """
    parts = [part.strip().replace("_", "") for part in given.split(",") if part.strip()]
    if not all(part.isdigit() and int(part) >= 1 for part in parts):
        raise UserError(f"{option} wants numbers with commas between, not {given!r}.")
    return [int(part) for part in parts]
