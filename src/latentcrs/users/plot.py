"""The `plot` user: tells what its target is about in sentences of its plot or description, and never names it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from latentcrs.base.draws import Dice, mixed
from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.dialogue import Dialogue
from latentcrs.users.leak import leaks
from latentcrs.users.phrases import capital, talk
from latentcrs.users.questions import answer_to
from latentcrs.users.stories import StoryReader

NOTHING = "I don't know."  # where every word would give the target away
_STREAM, _ORDER, _WORDS = 5, 0, 1  # of random numbers
_FIRST = 3  # sentences of a text, any of which may come next
_POINTING = frozenset("he she they it his her their its him them this that these those each there".split())
_SOMEBODY = {"he": "a man", "she": "a woman", "they": "some people"}


class PlotUser:
    """Remembers what happens in an item, not what it is: no category value, no year, no names of people or makers.

    The hard case for rules, the fair case for embeddings. It opens with one sentence of the item's text and tells
    another after each refusal, until none is left. Where an item has no text it says that it cannot tell. A sentence
    is a function of (seed, user, cut), of the target, and of what was shown before.
    """

    def __init__(self, dataset: PreparedDataset, seed: int = 0) -> None:
        self.name = f"plot (seed {seed})" if seed else "plot"
        self.seed = seed
        self._dataset = dataset
        self._titles: list[str | None] = dataset.items["title"].to_list()
        self._reader = StoryReader(dataset)
        self._told = cache(self._told_of)

    def speak(self, dialogues: Sequence[Dialogue]) -> None:
        """See `SimulatedUser.speak`."""
        for dialogue in dialogues:
            dialogue.said.append(self._sentence(dialogue))

    def has_something_to_tell(self, item: int) -> bool:
        """Whether the text of `item` has a sentence that may be said."""
        return bool(self._told(item)[0])

    def _sentence(self, dialogue: Dialogue) -> str:
        turn, frames = len(dialogue.said), talk()["plot"]
        dice = self._dice(dialogue, _WORDS, turn)
        shown = dialogue.shown[-1] if dialogue.shown else None
        answer = ""
        if shown is not None and shown.question is not None:
            true = answer_to(shown.question, self._dataset, dialogue.target)
            answers = _from_a_random_one(frames["forgotten" if true is None else "yes" if true else "no"], dice)
            if not shown.items:
                return self._checked(answers, dialogue)
            answer = f"{answers[0]} "
        # What was told is counted, not noted: a turn tells something unless it only answered a question.
        told = sum(1 for before in dialogue.shown[: len(dialogue.said)] if before.items or before.question is None)
        order = self._order(dialogue)
        if told < len(order):
            dialogue.leaks += self._told(dialogue.target)[1] if told == 0 else 0
            words = order[told]
            first, _, rest = words.partition(" ")
            if turn == 0 and first in _SOMEBODY:  # nobody was spoken of before
                words = f"{_SOMEBODY[first]} {rest}"
            frame = "{s}" if answer else dice.pick(frames["opening" if turn == 0 else "more"])
            attempts = [_sentence(each.replace("{s}", words)) for each in (frame, "{s}")]
        else:
            choices = _from_a_random_one(frames["nothing_known" if turn == 0 else "nothing_left"], dice)
            attempts = [each for each in choices if each not in dialogue.said] or choices
        return self._checked([f"{answer}{attempt}" for attempt in attempts], dialogue)

    def _checked(self, attempts: Sequence[str], dialogue: Dialogue) -> str:
        """The first of `attempts` that does not give the target away."""
        title = self._titles[dialogue.target]
        found = next((attempt for attempt in attempts if not leaks(attempt, title)), NOTHING)
        dialogue.leaks += found != attempts[0]
        return found

    def _told_of(self, item: int) -> tuple[tuple[str, ...], int]:
        """The sentences about `item` that do not give it away, and how many do."""
        sentences = self._reader.told(item)
        kept = tuple(sentence for sentence in sentences if not leaks(sentence, self._titles[item]))
        return kept, len(sentences) - len(kept)

    def _order(self, dialogue: Dialogue) -> list[str]:
        """The sentences in the order in which this dialogue tells them: roughly from the beginning, as a story is
        remembered. One that can be understood alone comes first.
        """
        dice, rest = self._dice(dialogue, _ORDER, 0), list(self._told(dialogue.target)[0])
        alone = [sentence for sentence in rest if sentence.split()[0] not in _POINTING][:_FIRST]
        first = [dice.pick(alone)] if alone else []
        rest = [sentence for sentence in rest if sentence not in first]
        return first + [rest.pop(dice.below(min(len(rest), _FIRST))) for _ in range(len(rest))]

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
