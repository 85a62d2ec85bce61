"""A system to compare with: the newest items first. `latentcrs evaluate one-turn BUNDLE --with newest`"""

import numpy as np

from latentcrs.systems.open import SystemParts
from latentcrs.users.dialogue import SystemTurn


class Newest:
    """Answers whatever is said with the newest items that the person has not had; see `latentcrs.systems`."""

    name = "newest"

    def __init__(self, parts: SystemParts) -> None:
        year = next(name for name, kind in parts.dataset.info.columns.items() if kind == "year")
        self._years = parts.dataset.items[year].fill_null(0).to_numpy().astype(np.float32)  # (n,)
        self._best = np.argsort(-self._years, kind="stable")

    def scores(self, requests) -> np.ndarray:
        """How well every item fits each request, (B, n)."""
        return np.tile(self._years, (len(requests), 1))

    def meet(self, dialogues) -> None:
        """There is nothing to remember of a conversation but what it holds itself."""

    def reply(self, dialogues) -> list[SystemTurn]:
        """Five items for each dialogue, none twice."""
        gone = [{*one.history.tolist(), *(item for shown in one.shown for item in shown.items)} for one in dialogues]
        return [SystemTurn(tuple([item for item in self._best.tolist() if item not in had][:5])) for had in gone]

    def tokens(self, dialogue) -> tuple[int, int]:
        """No language model is asked."""
        return 0, 0
