"""A catalogue that changes while it is served, in one process and so in all that share the store."""

from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Any

import polars as pl

from latentcrs.hear.open import Extractors
from latentcrs.recommend import Recommender
from latentcrs.recommend.new_items import HIDDEN, new_rows, typed_change, typed_rows
from latentcrs.serve.catalogue import CatalogueView
from latentcrs.serve.errors import Conflict, NotFound
from latentcrs.store.conversations import ConversationStore

Row = dict[str, Any]
PATIENCE = 1.0
"""Seconds that somebody's turn waits for items which others put into the catalogue; it goes on without them then."""


class GrowingCatalogue:
    """recommender, view: of the catalogue as it stands. Each time that items join or change both are new; turns under
    way go on with the old ones. left_out: ids of items in the store that do not fit this catalogue, each with why.
    """

    def __init__(
        self, recommender: Recommender, store: ConversationStore, hearing: Callable[[Recommender], Extractors]
    ) -> None:
        """recommender: of the trained items; those of the store join at a `catch_up`. hearing: who hears rules."""
        self.recommender, self.view = recommender, CatalogueView(recommender)
        self._store, self._name = store, recommender.bundle.info.dataset.name
        self._known = set(recommender.bundle.items["item_id"].to_list())
        self._growing, self._changing, self._joined = Lock(), Lock(), 0
        self.left_out: dict[str, str] = {}
        self._hearing, self._hearing_lock = hearing, Lock()
        self._heard_by: Extractors | None = None

    def extractors(self) -> Extractors:
        """Who hears the rules of the catalogue as it stands; their `recommender` says which that is."""
        with self._hearing_lock:
            found = self._heard_by
            if found is None or (found.recommender is not self.recommender and not self._growing.locked()):
                found = self._heard_by = self._hearing(self.recommender)
            return found

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._known

    def catch_up(self, patience: float | None = None) -> None:
        """Take in what joined or changed. patience: seconds to wait; what takes longer goes on in its own thread."""
        if self._store.items_joined(self._name) <= self._joined:
            return
        if patience is None:
            self._catch_up()
        elif not self._growing.locked():  # else somebody is about it
            thread = Thread(target=self._catch_up, name="catalogue", daemon=True)
            thread.start()
            thread.join(patience)

    def add(self, rows: Sequence[Row]) -> int:
        """Put new items into the catalogue and into the store; how many.

        Raises:
            Conflict: an id that the catalogue has already.
            UserError: a column that the catalogue does not have, a value of the wrong type, no id or title.
            NobodyWaits: whoever asked for it has gone; nothing was added.
        """
        with self._growing:
            self._take_in_new_items()
            ids = [str(row.get("item_id")) for row in rows]
            twice = next((id for place, id in enumerate(ids) if id in self or id in ids[:place]), None)
            if twice is not None:
                raise Conflict(f"The catalogue already has an item with the id {twice!r}.")
            columns = self.recommender.bundle.columns
            typed = [
                {name: value for name, value in row.items() if value is not None}
                for row in typed_rows(columns, rows).to_dicts()
            ]
            grown = self.recommender.copy()
            grown.add_items(typed_rows(columns, typed))
            self._store.add_items(self._name, typed)
            self._swap(grown, reworded=True)
            self._take_in_new_items()  # others' may have come in between
        return len(rows)

    def change(self, rows: Sequence[Row]) -> None:
        """Keep what is new of items: see `Recommender.change_items`. It is in the store on return, and in force in
        each process when that next reads the catalogue.

        Raises:
            NotFound: no such item.
            UserError: a column that the catalogue does not have, a value of the wrong type.
        """
        changes = self.check(rows)
        if any(change["item_id"] not in self for change in changes):
            self._catch_up()
        strange = next((change["item_id"] for change in changes if change["item_id"] not in self), None)
        if strange is not None:
            raise NotFound(f"The catalogue has no item with the id {strange!r}.")
        with self._changing:  # a thread that waits here is on in no time; one that waits for the database sleeps
            self._store.change_items(self._name, changes)

    def put(self, rows: Sequence[Row]) -> tuple[int, int]:
        """Add the items that the catalogue does not have, and change the others: how many of each.

        Raises as `add` and `change`; then what is new may have been added.
        """
        self.check(rows)
        new: dict[str, Row] = {}
        for row in rows:
            if row["item_id"] not in self:
                new[row["item_id"]] = new.get(row["item_id"], {}) | row
        hidden = [{"item_id": id, HIDDEN: True} for id, row in new.items() if row.pop(HIDDEN, False)]
        known = [row for row in rows if row["item_id"] not in new]
        if new:
            self.add(list(new.values()))
        if known or hidden:
            self.change([*known, *hidden])
        return len(new), len(known)

    def check(self, rows: Sequence[Row]) -> list[Row]:
        """What is new of items, each value brought to the type of its column. Raises `UserError` as `change`."""
        return [typed_change(self.recommender.bundle.columns, row) for row in rows]

    def _catch_up(self) -> None:
        with self._growing:
            self._take_in_new_items()

    def _take_in_new_items(self) -> None:
        found = self._store.items_after(self._name, self._joined)
        grown, reworded = self.recommender.copy(), False
        if new := self._readable([(number, row) for number, row in found if self._is_new(row)], self._fit):
            grown.add_items(self._typed(new))
            reworded = True
        known = set(grown.bundle.items["item_id"].to_list()) if reworded else self._known
        changed = [(number, row) for number, row in found if row is not None and row.get("item_id") in known]
        if changes := self._readable(changed, self.check):
            reworded = grown.change_items(changes) or reworded
        if new or changes:
            self._swap(grown, reworded)
        if found:
            self._joined = found[-1][0]

    def _is_new(self, row: Row | None) -> bool:
        """Whether this is all of a new item: not what cannot be read, nor what changed of another bundle's item."""
        return row is None or "item_id" not in row or (row["item_id"] not in self and "title" in row)

    def _fit(self, rows: Sequence[Row]) -> pl.DataFrame:
        return new_rows(self.recommender.bundle, self._typed(rows))

    def _typed(self, rows: Sequence[Row]) -> pl.DataFrame:
        bare = [{name: value for name, value in row.items() if name != HIDDEN} for row in rows]
        return typed_rows(self.recommender.bundle.columns, bare)

    def _readable(
        self, rows: Sequence[tuple[int, Row | None]], check: Callable[[Sequence[Row]], object]
    ) -> list[Row]:
        """The rows that `check` lets pass; each of the others is left out, and said in the log."""
        if not rows:
            return []
        found = [row for _, row in rows if row is not None]
        try:
            if len(found) == len(rows):
                check(found)
                return found
            reason = "it is no JSON object"
        except Exception as error:  # whatever it is: nothing in the store may end the service
            reason = str(error)
        if len(rows) == 1:
            self.left_out |= {str(row.get("item_id")): reason for row in found}
            self._store.left_out(f"item {rows[0][0]} of {self._name}", reason)
            return []
        half = len(rows) // 2
        return [*self._readable(rows[:half], check), *self._readable(rows[half:], check)]

    def _swap(self, grown: Recommender, reworded: bool) -> None:
        with self._hearing_lock:
            before = self._heard_by
        if before is not None:  # who speaks meanwhile is heard by those of before
            made = self._hearing(grown) if reworded else before.over(grown)
            with self._hearing_lock:
                self._heard_by = made
        self.recommender, self.view = grown, CatalogueView(grown)
        self._known = set(grown.bundle.items["item_id"].to_list())
