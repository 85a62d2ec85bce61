"""A conversation in the terminal: what was said adds up, what was shown is not shown again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from latentcrs.errors import UserError
from latentcrs.recommend import Recommendation, Recommender

LONGEST_REQUEST = 1000
"""Characters of what was said that are kept. Encoders cut a long text at its end, where the newest words are."""


@dataclass
class TerminalChat:
    """The state of one conversation. A turn that fails or is interrupted leaves it as it was."""

    recommender: Recommender
    history: list[str] = field(default_factory=list)  # item ids, oldest first
    k: int = 5
    said: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)  # item ids
    answer: list[Recommendation] = field(default_factory=list)  # the last list
    liked: list[str] = field(default_factory=list)  # item ids liked in this conversation

    @property
    def request(self) -> str:
        """x^u: all that was said so far."""
        return joined(self.said)

    @property
    def past(self) -> list[str]:
        """The history with what was liked since, oldest first."""
        return [*self.history, *self.liked]

    def open(self) -> None:
        """Load what the first turn needs, so that it does not wait."""
        self.recommender.recommend(self.history, "hello", self.k)

    def turn(self, utterance: str) -> list[Recommendation]:
        """The next k items for everything said so far; empty when nothing is left to show."""
        said = [*self.said, utterance.strip()]
        answer = self.recommender.recommend(self.past, joined(said), self.k, exclude=self.shown)
        self.said, self.answer = said, answer
        self.shown = [*self.shown, *(item.item_id for item in answer)]
        return answer

    def numbered(self, number: str) -> Recommendation:
        """An item of the last list by its number there, from 1.

        Raises:
            UserError: nothing was shown yet, or the list has no such number.
        """
        if not self.answer:
            raise UserError("nothing is on the list yet; say what you are looking for.")
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= len(self.answer)):
            raise UserError(f"the list has the numbers 1 to {len(self.answer)}, not {number!r}.")
        return self.answer[int(number) - 1]

    def like(self, numbers: Sequence[str]) -> list[Recommendation]:
        """Add items of the last list to the history, for the turns to come.

        Raises:
            UserError: as in `numbered`; then none is added.
        """
        items = [self.numbered(number) for number in numbers]
        self.liked = [*self.liked, *(item.item_id for item in items if item.item_id not in self.liked)]
        return items

    def start_over(self) -> None:
        """Forget what was said, shown and liked in this conversation."""
        self.said, self.shown, self.answer, self.liked = [], [], [], []


def joined(said: Sequence[str]) -> str:
    """Sentences as one text, the oldest left out where it would be longer than `LONGEST_REQUEST`."""
    ended = [sentence if sentence[-1:] in ".!?…" else f"{sentence}." for sentence in said[:-1]]
    parts, room = [said[-1]] if said else [], LONGEST_REQUEST - len(said[-1]) if said else 0
    for sentence in reversed(ended):
        room -= len(sentence) + 1
        if room < 0:
            break
        parts.append(sentence)
    return " ".join(reversed(parts))
