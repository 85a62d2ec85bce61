"""Items that joined a catalogue after training, and what changed of items, as the store keeps them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from latentcrs.base.errors import UserError
from latentcrs.store.access import OpenedStore
from latentcrs.store.tables import ITEMS, check_names, json_object, raw

AT_ONCE = 500  # ids that are looked for in one statement: SQLite takes only so many


class ItemStore(OpenedStore):
    """The items that joined catalogues or changed after training, in a store."""

    def add_items(self, catalogue: str, rows: Sequence[dict[str, Any]]) -> None:
        """Keep items (rows with an `item_id`) that joined a catalogue after training.

        Raises:
            UserError: one has the id of another that joined, or one that cannot be kept; then none is.
        """
        self._put(catalogue, rows, changes=False)

    def change_items(self, catalogue: str, rows: Sequence[dict[str, Any]]) -> None:
        """Keep what is new of items (rows with an `item_id`), in the place of what was kept of them before.

        Raises:
            UserError: an id that cannot be kept; then nothing is.
        """
        self._put(catalogue, rows, changes=True)

    def items_joined(self, catalogue: str) -> int:
        """The number of the last item that joined a catalogue or changed after training; 0 where none did."""
        with self._reading() as connection:
            return _last(connection, catalogue)

    def items_after(self, catalogue: str, number: int) -> list[tuple[int, dict[str, Any] | None]]:
        """The items that joined or changed after this number, in order: number and row (None: no JSON object)."""
        here = (ITEMS.c.catalogue == catalogue) & (ITEMS.c.number > number)
        found = select(ITEMS.c.number, raw(ITEMS.c.item)).where(here).order_by(ITEMS.c.number)
        with self._reading() as connection:
            return [(row.number, json_object(row.item)) for row in connection.execute(found)]

    def _put(self, catalogue: str, rows: Sequence[dict[str, Any]], changes: bool) -> None:
        """Keep rows behind those there, all or none. changes: a row replaces what it says of its item alone."""
        ids = [str(row.get("item_id")) for row in rows]
        check_names(*ids)
        kept: dict[str, dict[str, Any]] = {}
        ours = ITEMS.c.catalogue == catalogue
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                # SQLite has one writer at a time. Here two would take the same number, or a later one be seen first,
                # and whoever follows the numbers would miss the earlier. Readers go on meanwhile.
                connection.exec_driver_sql(f"LOCK TABLE {ITEMS.name} IN SHARE ROW EXCLUSIVE MODE")
            last = _last(connection, catalogue)
            for start in range(0, len(ids), AT_ONCE):
                same = ours & ITEMS.c.item_id.in_(ids[start : start + AT_ONCE])
                before = connection.execute(select(ITEMS.c.item_id, raw(ITEMS.c.item)).where(same))
                kept |= {id: json_object(item) or {} for id, item in before}
                if changes:
                    connection.execute(delete(ITEMS).where(same))
            for id, row in zip(ids, rows, strict=True):
                if id in kept and not changes:
                    raise UserError(f"The catalogue already has an item with the id {id!r}.")
                kept[id] = kept.pop(id, {}) | row
            values = [
                {"catalogue": catalogue, "number": last + place, "item": row, "item_id": id}
                for place, (id, row) in enumerate(kept.items(), 1)
            ]
            if values:
                connection.execute(insert(ITEMS), values)


def _last(connection: Connection, catalogue: str) -> int:
    return connection.execute(select(func.max(ITEMS.c.number)).where(ITEMS.c.catalogue == catalogue)).scalar() or 0
