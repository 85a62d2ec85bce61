"""Finds what other installed packages plug in: text encoders, systems to compare with, simulated users.

A package names an object in its `pyproject.toml`, in the group of its kind:

    [project.entry-points."latentcrs.systems"]
    newest = "my_package:open_newest"

| group | the object is called with | and returns |
|---|---|---|
| `latentcrs.encoders` | what stands behind `NAME:` ("" without it), the device, the precision | a `TextEncoder` |
| `latentcrs.systems` | `SystemParts` | a system that `evaluate one-turn --with NAME` measures |
| `latentcrs.users` | the prepared data set, a seed, the chat model or None | a `SimulatedUser` |
"""

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from latentcrs.base.errors import UserError, first_line

Kind = Literal["encoder", "system", "user"]
CALLED: dict[Kind, str] = {"encoder": "text encoder", "system": "system", "user": "simulated user"}


def group(kind: Kind) -> str:
    """The group of entry points that this kind of plug-in is found in."""
    return f"latentcrs.{kind}s"


def plugin_names(kind: Kind) -> list[str]:
    """The names that installed packages give to their plug-ins of this kind, sorted; none of them is imported."""
    return sorted({entry.name for entry in entry_points(group=group(kind))})


def is_plugged_in(kind: Kind, name: str) -> bool:
    """Whether an installed package has a plug-in of this kind and name; nothing is imported."""
    return bool(entry_points(group=group(kind), name=name))


def load_plugin(kind: Kind, name: str, own: Sequence[str] = (), hint: str = "") -> Any:
    """The object that the plug-in `name` names, imported.

    own: what LatentCRS itself has of this kind, named where nothing of that name is installed; hint: said last then.

    Raises:
        UserError: no installed package has it, two have it, or it cannot be imported.
    """
    entries = list(entry_points(group=group(kind), name=name))
    if not entries:
        have = ", ".join(dict.fromkeys([*own, *plugin_names(kind)]))
        known = f"choose of {have}" if have else f"no package that is installed has one ({group(kind)})"
        raise UserError(f"There is no {CALLED[kind]} {name!r}; {known}." + (f" {hint}" if hint else ""))
    if len({entry.value for entry in entries}) > 1:
        packages = " and ".join(sorted(map(_package, entries)))
        raise UserError(f"The {CALLED[kind]} {name!r} comes from {packages}; uninstall all of them but one.")
    try:
        return entries[0].load()
    except Exception as error:  # whatever it is, it is about that package
        raise UserError(
            f"The {CALLED[kind]} {name!r} of {_package(entries[0])} cannot be loaded: {first_line(error)}."
        ) from error


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value
