"""Chat-Rec (Gao et al., "Chat-REC: Towards Interactive and Explainable LLMs-Augmented Recommender System", 2023): a
recommender finds candidates, a language model picks among them and says why.
"""

from __future__ import annotations

from collections import Counter
from functools import cache, cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, create_model
from torch.nn import functional as F

from latentcrs.converse.judge import described
from latentcrs_lab.systems.prompted import PromptedSystem, Talk, Turn, share

CANDIDATES = 20
"""Items that the recommender hands over (as in the paper's experiments)."""
NEAR = 200
"""Items nearest to what is looked for in the catalogue's text, among which behaviour picks the candidates."""
LONGEST_WHY, LONGEST_SEARCH = 200, 80  # characters


class Refresh(BaseModel):
    """Whether the recommender is called again, and the words it is given."""

    refresh: bool
    look_for: Annotated[str, Field(max_length=LONGEST_SEARCH)]


class ChatRec(PromptedSystem):
    """The candidates are the best by behaviour at first. Every later turn asks the model whether others are needed:
    new ones are the best by behaviour of those not shown yet, or, where it says what to look for, of those nearest
    to these words by the text encoder (the paper's search of an item database by embeddings). When too few are left
    the recommender is called anyway.

    Where the model does not say which candidates fit, or not enough of them, the recommender's order stands.
    """

    name = "chat-rec"

    def _answer(self, turn: Turn) -> list[int]:
        """See `PromptedSystem`."""
        talk = turn.talk
        talk.candidates = self._refreshed(turn) if talk.shown else talk.best(CANDIDATES)
        picked = self._picked(turn)
        return picked + [item for item in talk.candidates if item not in picked]

    def _refreshed(self, turn: Turn) -> list[int]:
        """The candidates of a later turn: those left, or others."""
        open_items = turn.talk.open
        left = [item for item in turn.talk.candidates if open_items[item]]
        text = self.prompt("chat_rec_refresh", turn, items=[self.titled(item) for item in left])
        said = turn.ask("chat-rec refresh", text, Refresh, 100)
        words = said.look_for.strip() if said is not None and said.refresh else ""
        turn.counts["later"] += 1
        if not (said is not None and said.refresh) and len(left) >= turn.wanted:
            return left
        turn.counts["refreshed"] += 1
        turn.counts["searched"] += bool(words)
        return turn.talk.best(CANDIDATES, self._near(words, turn.talk) if words else None)

    @cached_property
    def _texts(self) -> NDArray[np.float32]:
        """Embeddings of all that is told of each item, of length 1, (n, d_x)."""
        T = self.recommender.bundle.generative.T[: len(self.dataset.items)]
        return F.normalize(T, dim=1).cpu().numpy()

    def _near(self, words: str, talk: Talk) -> NDArray[np.bool_]:
        """The open items whose text is nearest to `words`, (n,)."""
        alike = self._texts @ self.recommender.text_encoder.encode([words])[0]
        alike[~talk.open] = -np.inf
        near = np.zeros(len(alike), bool)
        near[np.argsort(-alike, kind="stable")[:NEAR]] = True
        return near

    def _picked(self, turn: Turn) -> list[int]:
        """The candidates that the model picks, best first."""
        candidates, columns = turn.talk.candidates, self.dataset.info.columns
        turn.talk.words = ""
        if not candidates:
            return []
        items = [described(self.dataset.items.row(item, named=True), columns) for item in candidates]
        wanted = min(turn.wanted, len(candidates))
        text = self.prompt("chat_rec", turn, items=items)
        picked: Any = turn.ask("chat-rec", text, _schema(wanted, len(candidates)), 8 * wanted + 150)
        if picked is None:
            return []
        turn.talk.words = picked.why
        places = list(dict.fromkeys(picked.ranking))
        turn.counts["picked"] += len(places)
        turn.counts["repeated"] += len(picked.ranking) - len(places)
        turn.counts["reordered"] += places != list(range(1, len(places) + 1))
        return [candidates[place - 1] for place in places]

    def _told(self, counts: Counter[str]) -> dict[str, float]:
        """picked: candidates that the model named per answer, each once; `repeated` places left out. reordered: the
        share of answers whose order is not the recommender's. refreshed, searched: the shares of later turns with new
        candidates, and with words to look for.
        """
        return {
            "picked": share(counts["picked"], counts["answers"]),
            "repeated": counts["repeated"],
            "reordered": share(counts["reordered"], counts["answers"]),
            "refreshed": share(counts["refreshed"], counts["later"]),
            "searched": share(counts["searched"], counts["later"]),
        }


@cache
def _schema(wanted: int, candidates: int) -> type[BaseModel]:
    place = Annotated[int, Field(ge=1, le=candidates)]
    ranking: Any = Annotated[list[place], Field(min_length=1, max_length=wanted)]
    return create_model("Ranking", ranking=(ranking, ...), why=(Annotated[str, Field(max_length=LONGEST_WHY)], ...))
