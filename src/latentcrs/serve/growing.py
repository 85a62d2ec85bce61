"""A catalogue that grows while it is served: items join in one process, and are in all that share the store."""

from __future__ import annotations

from threading import Lock
from typing import Any

import polars as pl

from latentcrs.converse.store import ConversationStore
from latentcrs.errors import UserError, first_line
from latentcrs.recommend import Recommender
from latentcrs.serve.catalogue import CatalogueView
from latentcrs.serve.errors import Conflict


class GrowingCatalogue:
    """recommender, view: of the catalogue as it stands. Each time that items join both are new; turns under way go
    on with the old ones.
    """

    def __init__(self, recommender: Recommender, store: ConversationStore) -> None:
        """`recommender`: of the items that were trained on; those in the store join it at the first `catch_up`."""
        self.recommender, self.view = recommender, CatalogueView(recommender)
        self._store, self._name = store, recommender.bundle.info.dataset.name
        self._growing, self._joined = Lock(), 0

    def __contains__(self, item_id: str) -> bool:
        try:
            return bool(len(self.recommender.item_numbers([item_id])))
        except UserError:
            return False

    def catch_up(self) -> None:
        """Take in the items that joined in other processes."""
        if self._store.items_joined(self._name) > self._joined:
            with self._growing:
                self._take_in_new_items()

    def add(self, rows: list[dict[str, Any]]) -> int:
        """Put new items into the catalogue and into the store; how many.

        Raises:
            Conflict: an id that the catalogue has already.
            UserError: a column that the catalogue does not have, a value of the wrong type, no id or title.
        """
        with self._growing:
            self._take_in_new_items()
            known = set(self.recommender.bundle.items["item_id"].to_list())
            ids = [str(row.get("item_id")) for row in rows]
            twice = next((id for place, id in enumerate(ids) if id in known or id in ids[:place]), None)
            if twice is not None:
                raise Conflict(f"The catalogue already has an item with the id {twice!r}.")
            grown = self._grown(rows)
            self._store.add_items(self._name, rows)
            self._swap(grown)
            self._take_in_new_items()  # others' may have come in between
        return len(rows)

    def _take_in_new_items(self) -> None:
        joined = self._store.items_after(self._name, self._joined)
        rows = [row for _, row in joined if str(row.get("item_id")) not in self]
        if rows:
            self._swap(self._grown(rows))
        if joined:
            self._joined = joined[-1][0]

    def _grown(self, rows: list[dict[str, Any]]) -> Recommender:
        """A recommender of its own that has these items too."""
        grown = Recommender(self.recommender.bundle, self.recommender.text_encoder)
        try:
            frame = pl.from_dicts(rows, infer_schema_length=None, strict=False)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"These items are no rows of a catalogue: {first_line(error)}.") from None
        grown.add_items(frame)
        return grown

    def _swap(self, grown: Recommender) -> None:
        self.recommender, self.view = grown, CatalogueView(grown)
