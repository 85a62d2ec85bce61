"""Raw files as the options of several commands name them, and the engine that works on them."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from latentcrs.base.errors import UserError
from latentcrs.cli.options import MOST, listed

if TYPE_CHECKING:
    from latentcrs.data.engine import Engine
    from latentcrs.data.raw import RawData

Log = Annotated[
    str | None,
    Option(help="`own`: the log (.csv, .parquet, .jsonl; compressed too) or a folder of Parquet; path or URL."),
]
Catalogue = Annotated[
    str | None, Option(help="`own`: the catalogue (.csv, .parquet, .jsonl; compressed too); path or URL.")
]
Mapping = Annotated[Path | None, Option(help="`own`: a TOML that names columns and their kinds.")]
SameIds = Annotated[str | None, Option(help="`own`: ids match without number (.0), zeros, case.")]
Core = Annotated[int | None, Option(min=1, max=MOST, help="Sets both --user-core and --item-core.")]
UserCore = Annotated[int | None, Option(min=1, max=MOST, help="Fewest interactions of a user.")]
ItemCore = Annotated[int | None, Option(min=1, max=MOST, help="Fewest interactions of an item.")]


def chosen_engine(
    name: str, master: str | None, work: str | None, conf: list[str]
) -> AbstractContextManager[Engine | None]:
    """The engine that the options of `prepare` name; None is this process.

    Raises:
        UserError: an unknown engine, or options that do not go together.
    """
    if name not in ("polars", "spark"):
        raise UserError(f"There is no engine {name!r}; use polars or spark.")
    settings = dict(entry.split("=", 1) for entry in conf if "=" in entry)
    if len(settings) < len(conf):
        raise UserError(f"--spark-conf wants KEY=VALUE, each key once, not {', '.join(conf)}.")
    if name == "spark":
        from latentcrs.data.spark_session import spark_engine

        return spark_engine(master or "local[*]", work, settings)
    if master or work or conf:
        raise UserError("--master, --work and --spark-conf belong to --engine spark.")
    return nullcontext(None)


def read_raw(
    name: str,
    origin: Path | None,
    interactions: Path | str | None,
    items: Path | str | None,
    mapping: Path | None,
    workspace: Path,
    same_ids: str | None = None,
) -> RawData:
    """The raw data that the options of `prepare` name.

    Raises:
        UserError: an unknown name, or options that do not go together.
    """
    from latentcrs.base.places import fetched
    from latentcrs.data.sources import SOURCES
    from latentcrs.data.sources.own import read_own

    if name == "own":
        if interactions is None or items is None:
            raise UserError("'data prepare own' wants --interactions FILE and --items FILE.")
        if origin is not None:
            raise UserError("'data prepare own' reads --interactions and --items; leave --from out.")
        return read_own(
            interactions, fetched(items, workspace / "fetched"), mapping, workspace, listed(same_ids or "")
        )
    if name not in SOURCES:
        raise UserError(f"No source is called {name!r}; use one of {', '.join([*SOURCES, 'own'])}.")
    if interactions or items or mapping or same_ids:
        raise UserError(
            f"--interactions, --items, --mapping and --same-ids belong to 'own'; {name} is read --from one place."
        )
    if origin is None:
        home = os.environ.get("LATENTCRS_DATA")
        if not home or not (Path(home) / name).exists():
            raise UserError(
                f"'data prepare {name}' wants --from PATH (or a folder {name} in $LATENTCRS_DATA); "
                f"'latentcrs data fetch {name}' downloads it."
            )
        origin = Path(home) / name
    return SOURCES[name].read(origin, workspace)
