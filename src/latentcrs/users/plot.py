"""The `plot` user: tells what its target is about in the words of its plot or description, and never names it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.dialogue import Dialogue, Question
from latentcrs.users.draws import Dice, mixed
from latentcrs.users.leak_check import LeakCheck
from latentcrs.users.plot_clauses import Clause, ClauseReader
from latentcrs.users.plot_words import plot_words
from latentcrs.users.questions import is_value

PARAPHRASED_SHARE = 0.6
NOTHING = "I don't know."  # where every word would give the target away
_STREAM = 5  # of random numbers
_ORDER, _WORDS = 0, 1
_FIRST = 3  # clauses of a text, any of which may open


class PlotUser:
    """Remembers what happens in an item, not what it is: no category value, no year, no names of people or makers.

    The hard case for rules, the fair case for embeddings. It opens with one clause of the item's free text and tells
    another after each refusal, until there is none left. Where an item has no text it says that it cannot tell.
    A sentence is a function of (seed, user, cut), of the target, and of what was shown before.
    """

    def __init__(self, dataset: PreparedDataset, seed: int = 0) -> None:
        self.name = f"plot (seed {seed})" if seed else "plot"
        self.seed = seed
        self._dataset = dataset
        self._check = LeakCheck(dataset)
        self._reader = ClauseReader(dataset)
        self._leaking: dict[int, tuple[bool, ...]] = {}

    def speak(self, dialogues: Sequence[Dialogue]) -> None:
        """See `SimulatedUser.speak`."""
        for dialogue in dialogues:
            dialogue.said.append(self._sentence(dialogue))

    def has_something_to_tell(self, item: int) -> bool:
        """Whether the text of `item` has a clause that may be said."""
        return not all(self._leaks(item))

    def _sentence(self, dialogue: Dialogue) -> str:
        turn = len(dialogue.said)
        dice = self._dice(dialogue, _WORDS, turn)
        shown = dialogue.shown[-1] if dialogue.shown else None
        answer = ""
        if shown is not None and shown.question is not None:
            answers = self._answers(shown.question, dialogue.target, dice)
            if not shown.items:
                return self._checked(answers, dialogue)
            answer = answers[0]
        # What was told is counted, not noted: a turn tells something unless it only answered a question.
        told = sum(1 for before in dialogue.shown[: len(dialogue.said)] if before.items or before.question is None)
        frames: dict[str, list[str]] = plot_words()["frames"]
        clauses = self._reader.clauses(dialogue.target)
        order, skipped = self._plan(dialogue, clauses)
        if told < len(order):
            dialogue.leaks += skipped[told]
            clause = clauses[order[told]]
            words = _paraphrased(clause.text, dice)
            if turn == 0:
                words = _introduced(words)
            kind = ("opening" if told == 0 and turn == 0 else "more") + ("_np" if clause.noun_phrase else "_sentence")
            frame = "{}" if answer else dice.pick(frames[kind]).replace("{np}", "{}").replace("{s}", "{}")
            attempts = [_framed(frame, words), _framed("{}", words), _framed("{}", clause.text)]
        else:
            dialogue.leaks += skipped[-1] if told == len(order) else 0
            choices = _from_a_random_one(frames["nothing_known" if turn == 0 else "nothing_left"], dice)
            attempts = [each for each in choices if each not in dialogue.said] or choices
        if answer:
            attempts = [f"{answer} {attempt}" for attempt in attempts] + [answer]
        return self._checked(attempts, dialogue)

    def _checked(self, attempts: list[str], dialogue: Dialogue) -> str:
        """The first of `attempts` that does not give the target away, the last of them masked if all do."""
        for count, attempt in enumerate(attempts):
            if not self._check.leaks(attempt, dialogue.target):
                dialogue.leaks += count > 0
                return attempt
        dialogue.leaks += 1
        return self._check.masked(attempts[-1], dialogue.target) or NOTHING

    def _plan(self, dialogue: Dialogue, clauses: tuple[Clause, ...]) -> tuple[list[int], list[int]]:
        """The clauses in the order in which this dialogue tells them, and how many leaking ones each passes over (one
        more at the end, for those after the last). One that can be understood alone comes first.
        """
        dice = self._dice(dialogue, _ORDER, 0)
        rest = list(range(len(clauses)))
        order: list[int] = []
        first = [at for at in rest if clauses[at].alone and not self._leaks(dialogue.target)[at]][:_FIRST]
        if first:
            order.append(first[dice.below(len(first))])
            rest.remove(order[0])
        while rest:  # people remember a story roughly from its beginning
            order.append(rest.pop(dice.below(min(len(rest), _FIRST))))
        leaking = self._leaks(dialogue.target)
        kept: list[int] = []
        skipped = [0]
        for at in order:
            if leaking[at]:
                skipped[-1] += 1
            else:
                kept.append(at)
                skipped.append(0)
        return kept, skipped

    def _leaks(self, item: int) -> tuple[bool, ...]:
        """Which clauses of `item` give it away."""
        if item not in self._leaking:
            clauses = self._reader.clauses(item)
            self._leaking[item] = tuple(self._check.leaks(clause.text, item) for clause in clauses)
        return self._leaking[item]

    def _answers(self, question: Question, item: int, dice: Dice) -> list[str]:
        frames: dict[str, list[str]] = plot_words()["frames"]
        true = self._true(question, item)
        key = "forgotten" if true is None else "yes" if true else "no"
        return _from_a_random_one(frames[key], dice)

    def _true(self, question: Question, item: int) -> bool | None:
        """Whether the catalogue says yes; None where it says nothing, or an open question wants a value."""
        kind = self._dataset.info.columns.get(question.column)
        if question.value is None or kind is None:
            return None
        return is_value(self._dataset.items.row(item, named=True), question.column, kind, question.value)

    def _dice(self, dialogue: Dialogue, use: int, turn: int) -> Dice:
        key = mixed(self.seed, _STREAM, dialogue.user, dialogue.cut, dialogue.target, use, turn)
        return Dice(int(key[0]))


def _from_a_random_one(sentences: list[str], dice: Dice) -> list[str]:
    """All `sentences` with their stops, from a random one on: the title "A Night to Remember" rules some out."""
    start = dice.below(len(sentences))
    return [f"{sentence}." for sentence in sentences[start:] + sentences[:start]]


def _framed(frame: str, words: str) -> str:
    """`words` in `frame` as a sentence: capitals where sentences begin, a stop at the end."""
    at = frame.index("{}")
    if at == 0 or frame[:at].rstrip().endswith((".", "?")):
        words = words[:1].upper() + words[1:]
    text = frame.replace("{}", words)
    return text if text.endswith(("?", "!", ".")) else text + "."


def _introduced(words: str) -> str:
    """`words` with somebody for a leading "he" or "she": nobody was spoken of before."""
    first, _, rest = words.partition(" ")
    somebody = {"he": "a man", "she": "a woman", "they": "some people"}.get(first.lower())
    return f"{somebody} {rest}" if somebody else words


@cache
def _bookish() -> re.Pattern[str]:
    words = sorted(plot_words()["words"], key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, words))})(?![\w-])")


def _paraphrased(text: str, dice: Dice) -> str:
    """`text` with everyday words for some bookish ones."""
    table: dict[str, list[str]] = plot_words()["words"]

    def said(match: re.Match[str]) -> str:
        return dice.pick(table[match.group()]) if dice.chance(PARAPHRASED_SHARE) else match.group()

    return _bookish().sub(said, text)
