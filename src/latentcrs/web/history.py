"""The user's history: searchable, with a search of the catalogue to add to it, and a button to take an item out."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from latentcrs.web.elements import box, button, text
from latentcrs.web.labels import Labels

MOST_SHOWN = 40
MOST_FOUND = 6


class History:
    """The panel. search: item ids of the catalogue by words. on_add, on_remove: with an item id."""

    def __init__(
        self,
        labels: Labels,
        search: Callable[[str, int], Awaitable[list[str]]],
        on_add: Callable[[str], Awaitable[None]],
        on_remove: Callable[[str], Awaitable[None]],
    ) -> None:
        self._labels, self._search, self._on_add, self._on_remove = labels, search, on_add, on_remove
        self._item_ids: list[str] = []
        with box("panel history", "section", "Your history"):
            with box("panel-head"):
                text("Your history", tag="h2")
                self._count = text("", "count")
            self._field = ui.input(placeholder=f"Search, or add {labels.a_noun}").props(
                "dense outlined clearable debounce=250"
            )
            self._field.props["aria-label"] = f"Search your history, or find {labels.a_noun} to add"
            self._field.on_value_change(self._searched)
            self._found = box("found")
            self._list = box("past", "ul", "Items in your history")

    def show(self, item_ids: Sequence[str]) -> None:
        """The history, oldest first as it is kept, newest first as it is shown."""
        self._item_ids = list(reversed(item_ids))
        self._count.set_text(f"{len(self._item_ids):,}" if self._item_ids else "")
        self._fill()

    async def _searched(self) -> None:
        self._fill()
        words = str(self._field.value or "").strip()
        found = [] if len(words) < 2 else await self._search(words, MOST_FOUND)
        if str(self._field.value or "").strip() != words:
            return  # more was typed in the meantime
        self._found.clear()
        offered = [item_id for item_id in found if item_id not in self._item_ids]
        with self._found:
            if offered:
                text("Add to your history", "sub", "h3")
                with box("past", "ul"):
                    for item_id in offered:
                        self._row(item_id, "add", "Add", self._add)
            elif len(words) >= 2 and not found:
                text(f"No {self._labels.noun} of the catalogue is called that.", "hint", "p")

    async def _add(self, item_id: str) -> None:
        self._field.set_value("")
        self._found.clear()
        await self._on_add(item_id)

    def _fill(self) -> None:
        wanted = str(self._field.value or "").strip().lower()
        titled = [(item_id, self._labels.title(item_id)) for item_id in self._item_ids]
        matching = [item_id for item_id, title in titled if wanted in title.lower()]
        self._list.clear()
        with self._list:
            for item_id in matching[:MOST_SHOWN]:
                self._row(item_id, "close", "Remove", self._on_remove)
            if len(matching) > MOST_SHOWN:
                text(f"and {len(matching) - MOST_SHOWN:,} more; search to find them", "hint", "li")
            if not self._item_ids:
                text(f"Empty so far. Add {self._labels.nouns} you liked, and answers fit you better.", "hint", "li")

    def _row(self, item_id: str, symbol: str, verb: str, act: Callable[[str], Awaitable[None]]) -> None:
        title = self._labels.title(item_id)
        with box("past-row", "li"):
            with box("past-about"):
                text(title, "past-title")
                text(self._labels.facts(item_id), "facts")
            button("", lambda: act(item_id), "round small", symbol, f"{verb} {title}")
