"""The `plot` user: tells what its target is about in sentences of its plot or description, and never names it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from latentcrs.base.draws import Dice, mixed
from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.dialogue import Dialogue, answer_to
from latentcrs.users.leak import leaks
from latentcrs.users.phrases import capital, talk
from latentcrs.users.stories import StoryReader

_STREAM, _ORDER, _WORDS = 5, 0, 1  # of random numbers
_FIRST = 3  # sentences of a text, any of which may come next
_SOMEBODY = {"he": "a man", "she": "a woman", "they": "some people"}


class PlotUser:
    """Remembers what happens in an item, not what it is: no category value, no year, no names of people or makers.

    The hard case for rules, the fair case for embeddings. It opens with one sentence of the item's text and tells
    another after each refusal, until none is left. Where an item has no text it says that it cannot tell. A sentence
    is a function of (seed, user, cut), of the target, and of what was shown before.
    """

    def __init__(self, dataset: PreparedDataset, seed: int = 0) -> None:
        self.name = f"plot (seed {seed})" if seed else "plot"
        self.seed, self._dataset = seed, dataset
        self._titles: list[str | None] = dataset.items["title"].to_list()
        self._told = cache(StoryReader(dataset).told)

    def speak(self, dialogues: Sequence[Dialogue]) -> None:
        """See `SimulatedUser.speak`."""
        for dialogue in dialogues:
            attempts = self._attempts(dialogue)
            said = next(
                text for text in (*attempts, "I don't know.", "Hm.") if not self._leaks(text, dialogue.target)
            )
            dialogue.leaks += said != attempts[0]
            dialogue.said.append(said)

    def has_something_to_tell(self, item: int) -> bool:
        """Whether the text of `item` has a sentence that may be said."""
        return any(not self._leaks(sentence, item) for sentence in self._told(item))

    def _leaks(self, text: str, item: int) -> bool:
        return leaks(text, self._titles[item])

    def _attempts(self, dialogue: Dialogue) -> list[str]:
        """What may be said next, the best first."""
        turn, frames, target = len(dialogue.said), talk()["plot"], dialogue.target
        dice, shown = self._dice(dialogue, _WORDS, turn), dialogue.shown[-1] if dialogue.shown else None
        answers = [""]
        if shown is not None and shown.question is not None:
            true = answer_to(shown.question, self._dataset, target)
            answers = _from_a_random_one(frames["forgotten" if true is None else "yes" if true else "no"], dice)
            if not shown.items:
                return answers
        # What was told is counted, not noted: a turn tells something unless it only answered a question.
        told = sum(1 for before in dialogue.shown[:turn] if before.items or before.question is None)
        order = self._order(dialogue)
        if told < len(order):
            dialogue.leaks += len(self._told(target)) - len(order) if told == 0 else 0
            first, _, rest = order[told].partition(" ")
            # Nobody was spoken of before the opening.
            words = f"{_SOMEBODY[first]} {rest}" if turn == 0 and first in _SOMEBODY else order[told]
            frame = "{s}" if answers[0] else dice.pick(frames["opening" if turn == 0 else "more"])
            attempts = [_sentence(each.replace("{s}", words)) for each in (frame, "{s}")]
        else:
            choices = _from_a_random_one(frames["nothing_known" if turn == 0 else "nothing_left"], dice)
            attempts = [each for each in choices if each not in dialogue.said] or choices
        return [f"{answers[0]} {attempt}".strip() for attempt in attempts]

    def _order(self, dialogue: Dialogue) -> list[str]:
        """The sentences that may be said, as this dialogue tells them: roughly from the beginning, as a story is
        remembered.
        """
        dice = self._dice(dialogue, _ORDER, 0)
        rest = [sentence for sentence in self._told(dialogue.target) if not self._leaks(sentence, dialogue.target)]
        return [rest.pop(dice.below(min(len(rest), _FIRST))) for _ in range(len(rest))]

    def _dice(self, dialogue: Dialogue, use: int, turn: int) -> Dice:
        key = mixed(self.seed, _STREAM, dialogue.user, dialogue.cut, dialogue.target, use, turn)
        return Dice(int(key[0]))


def _from_a_random_one(sentences: Sequence[str], dice: Dice) -> list[str]:
    """All `sentences` with their stops, from a random one on: the title "A Night to Remember" rules some out."""
    start = dice.below(len(sentences))
    return [_sentence(each) for each in [*sentences[start:], *sentences[:start]]]


def _sentence(text: str) -> str:
    """`text` with a capital and a stop."""
    return capital(text if text.endswith(("?", "!", ".")) else f"{text}.")
