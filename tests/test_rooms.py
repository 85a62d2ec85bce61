"""The picture of the house holds: imports go down it, every folder is a room, and the package keeps to its budget."""

from __future__ import annotations

from rooms import DOORS, PACKAGE, ROOMS, budget, lines, upward


def test_no_room_imports_from_one_above_it_but_by_a_door_that_is_named() -> None:
    assert set(upward()) == set(DOORS)


def test_every_folder_is_a_room_of_the_picture() -> None:
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()} == set(ROOMS)


def test_the_package_keeps_to_its_budget_of_lines() -> None:
    assert sum(lines().values()) <= budget()
