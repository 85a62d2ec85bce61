"""From raw data to a prepared data set: threshold, duplicates, k-core, order, catalogue, and what was dropped."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_folder, sha256_of
from latentcrs.base.progress import step
from latentcrs.data.catalogue import Catalogue
from latentcrs.data.dataset import MANIFEST, DatasetInfo, PreparedDataset, write_manifest
from latentcrs.data.dropped import DROPPED_FILE, DroppedRows
from latentcrs.data.engine import Engine, PolarsEngine
from latentcrs.data.ordering import number_positions, renumbered
from latentcrs.data.raw import RawData
from latentcrs.data.selection import Selection, text_problems


@dataclass(frozen=True)
class Preparation:
    """What `prepare` returns: the data set, and what its manifest does not hold but the user wants to read."""

    dataset: PreparedDataset
    catalogue: Catalogue


def prepare(
    raw: RawData,
    out: Path,
    *,
    threshold: float | None = None,
    user_core: int | None = None,
    item_core: int | None = None,
    name: str | None = None,
    command: str = "",
    finish: Callable[[Path], None] | None = None,
    engine: Engine | None = None,
) -> Preparation:
    """Filter, order and number `raw`, and write it as a prepared data set at `out`, whole or not at all.

    In this order: rows that cannot be read, or whose item has no catalogue row, are dropped; ratings below the
    threshold are dropped; of several rows of one user and item the earliest is kept; the k-core is taken to its
    fixed point. Users are sorted by id, items keep the catalogue's order, and each user's items are in the order of
    (timestamp, order, line). Peak memory grows with users and items, with interactions only up to a bound.

    Args:
        threshold: lowest rating that counts; None takes the source's default. Ignored where there are no ratings.
        user_core, item_core: fewest interactions of a user and of an item; None takes the source's default. Users
            need three in any case.
        name: what the data set is called, in tables, and in a store, where events belong to it; None is the source's,
            of own files the last part of `out`.
        command: recorded in the manifest.
        finish: called with the finished folder before it takes its name, for what belongs to the same act (imported
            requests); what it raises undoes everything.
        engine: where the heavy steps run; None is this process. The data set is the same, and on this machine.

    Raises:
        UserError: a name of blanks, nothing is left, a file cannot be read, or `out` holds something else.
    """
    if name is not None and not name.strip():
        raise UserError("A data set's name wants at least one letter.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_folder(out, MANIFEST) as folder,
        tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as work_name,
    ):
        work = Path(work_name)
        engine = engine or PolarsEngine(work)
        dropped = DroppedRows(work)
        dropped.keep(text_problems(raw))
        chosen = Selection(raw, engine, dropped, threshold, user_core, item_core)
        chosen.judge()
        chosen.number()
        chosen.mark()
        chosen.take_core()
        encoded, users, kept_items = chosen.encoded, chosen.users, chosen.kept_items
        interactions = chosen.rows_left() if raw.repeats else chosen.in_core
        with step("Sorting and writing histories", total=encoded.rows) as bar:
            new_users, new_items = renumbered(users, "user"), renumbered(kept_items, "item")
            numbered = number_positions(engine.table(new_users), engine.table(new_items), raw.repeats)
            file = folder / "interactions.parquet"
            engine.save_by_user(chosen.marked, encoded.rows_of_users, numbered, file, bar.advance)
            encoded.users.select(pl.col("user_id").gather(new_users["user"])).write_parquet(folder / "users.parquet")
        with step("Typing the catalogue"):
            catalogue = chosen.catalogue()
            catalogue.items.write_parquet(folder / "items.parquet")
            dropped.write(folder / DROPPED_FILE)
        info = DatasetInfo(
            name=name or (out.name if raw.name == "own" else raw.name),  # "own" says nothing in a table
            source=raw.source,
            terms=raw.terms,
            command=command,
            threshold=chosen.least,
            core=chosen.user_core,
            item_core=chosen.item_core,
            users=len(users),
            items=len(kept_items),
            interactions=interactions,
            repeats=raw.repeats,
            events={raw.events.kinds[code]: raw.events.weights[code] for code in raw.events.counted}
            if raw.events
            else {},
            columns=catalogue.kinds,
            notes=[*raw.notes, *chosen.notes],
            dropped=dropped.counts,
            checksums={path.name: sha256_of(path) for path in sorted(folder.glob("*.parquet"))},
        )
        write_manifest(folder, info)
        if finish is not None:
            finish(folder)
    return Preparation(PreparedDataset(out), catalogue)
