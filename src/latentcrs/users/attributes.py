"""The `attributes` user: asks for its target by true conditions, refuses, and tells one more thing a turn."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.draws import Dice, mixed
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.nouns import Noun, guess_noun, nouns_of
from latentcrs.data.roles import Role
from latentcrs.users.conditions import Condition, ConditionTable, condition_table
from latentcrs.users.dialogue import Dialogue, Question, SystemTurn, answer_to
from latentcrs.users.leak import leaks, short_name
from latentcrs.users.personas import PERSONAS, Persona, persona_called
from latentcrs.users.phrases import column_name, fills_of, forms_of, noun_phrase, plural_of

_BATCH = 20_000  # rows at a time: bounds memory, and moves the progress bar
_MOST_DRAWN, _MOST_TOLD = 6, 24  # conditions drawn for a request, and put in order for a dialogue
_WITH_STORY, _WITHOUT_STORY, _ONE_CONDITION, _NO_CONDITION = 4, 8, 12, 60  # attempts before the next retreat
_WITH_CONDITIONS, _ATTEMPTS = 16, 40  # attempts before a turn tells nothing new, and before it says next to nothing
_REQUEST, _PERSONA, _ORDER, _TURN = 2, 6, 7, 8  # streams of random numbers
_SEEN, _KNOWN, _PLACE, _TITLE, _TAKEN_BACK, _AGAIN, _AFTER_NO = 0.1, 0.5, 0.2, 0.4, 0.06, 0.6, 0.35  # how often
_FAULT = 0.6  # this share of the shown items makes a fault of theirs
_FAULTS: frozenset[Role] = frozenset({"genre", "year", "kind", "certificate", "platform", "country", "language"})
_PLACES = ("the first one", "the second one", "the third one", "the fourth one", "the fifth one")
_LAST_RESORT = ("No.", "Hmm.", "Not that.", "Something else, please.", "Nope.", "")
_MANY = {"these": "these", "are": "are", "they_are": "they're", "none": "none of these"}
_ONE = {"these": "this one", "are": "is", "they_are": "it's", "none": "not this one"}


@dataclass(frozen=True)
class Request:
    """A request as it was typed and before, what it says, the pattern it was made from, and whether others leaked."""

    text: str
    said: str
    conditions: tuple[Condition, ...]
    pattern: str
    leaked: bool


@dataclass
class Notes:
    """What a dialogue's user remembers. order, told, taken_back: indices into `ConditionTable.conditions`."""

    order: list[int]
    told: list[int] = field(default_factory=list)
    taken_back: list[int] = field(default_factory=list)
    complaints: list[Condition] = field(default_factory=list)
    used: list[str] = field(default_factory=list)  # patterns: nobody says the same thing the same way twice


class AttributesUser:
    """Speaks about the items of one data set, and never says a title.

    It opens with two or three conditions true of its target. What it is shown without the target it refuses: it may
    have seen one of them, or say what most of them are and the target is not; then it tells one condition more, of
    another column first. Now and then it takes one back, which is not told again. It answers questions truly. How it
    talks is its persona's, drawn for each dialogue. All is a function of (seed, user, cut), of the catalogue and of
    what was shown: rows and dialogues may be asked for in any order, in any number, on any machine.
    """

    def __init__(self, dataset: PreparedDataset, seed: int = 0, noun: str | None = None) -> None:
        """`noun`: what an item is called, where the data set's name and columns tell it wrong."""
        self.name = "attributes" if seed == 0 else f"attributes (seed {seed})"
        self.dataset, self.seed = dataset, seed
        self._wheel = [persona for persona in map(persona_called, PERSONAS) for _ in range(persona.share)]
        self._plain = persona_called("plain")
        self.table: ConditionTable = condition_table(dataset)
        self.titles: list[str | None] = dataset.items["title"].to_list()
        self.nouns: list[Noun] = nouns_of(dataset, guess_noun(dataset) if noun is None else noun)
        self._index = {condition: index for index, condition in enumerate(self.table.conditions)}
        self._words = [frozenset(c.shown.lower().split()) for c in self.table.conditions]

    def request(
        self, rows: pl.DataFrame, progress: Callable[[int], None] | None = None,
        personas: Sequence[Persona] | None = None, conditions: int | None = None,
    ) -> list[Request]:  # fmt: skip
        """One request per row (user, cut, target), in the words of its persona if there are any; `progress` is told
        how many rows were finished. conditions: how many each tells, two or three by default.

        A sentence that gives the title away is drawn again: first with other conditions and another pattern, then
        without words of free text, then with a single condition, last with none. None that leaks is ever returned.
        """
        targets, found = rows["target"].to_numpy().astype(np.int64), dict[int, Request]()
        keys = mixed(self.seed, _REQUEST, rows["user"], rows["cut"]).view(np.int64)
        for start in range(0, len(rows), _BATCH):
            waiting = np.arange(start, min(start + _BATCH, len(rows)))
            for attempt in range(_NO_CONDITION):
                now = mixed(keys[waiting], attempt)
                most = max(_MOST_DRAWN, 2 * (conditions or 0))
                drawn = self.table.draw(targets[waiting], now, most, story=attempt < _WITH_STORY)
                for row, indices, key in zip(waiting.tolist(), drawn.tolist(), now.tolist(), strict=True):
                    persona = personas[row] if personas else self._plain
                    made = self._request(int(targets[row]), indices, Dice(key), persona, attempt, conditions)
                    if made:
                        found[row] = made
                waiting = np.array([row for row in waiting.tolist() if row not in found], np.int64)
                if not len(waiting):
                    break
            else:
                raise AssertionError(f"every sentence gives away {self.titles[targets[waiting[0]]]!r}")
            if progress:
                progress(min(_BATCH, len(rows) - start))
        return [found[row] for row in range(len(rows))]

    def _request(
        self, item: int, drawn: Sequence[int], dice: Dice, persona: Persona, attempt: int, conditions: int | None
    ) -> Request | None:
        """A request for `item`; None if it leaks."""
        count = conditions or (3 if dice.chance(persona.three) else 2)
        count = 0 if attempt >= _ONE_CONDITION else min(count, 1) if attempt >= _WITHOUT_STORY else count
        chosen: list[int] = []
        for index in drawn:  # less those that say no more than one before
            if index >= 0 and len(chosen) < count and not self.repeats(index, chosen):
                chosen.append(index)
        told = [self.table.conditions[index] for index in chosen]
        pattern = persona.opening(len(told), dice)
        said = persona.sentence(pattern, fills_of(told, self.nouns[item], dice), dice, first=True)
        text = persona.typed(said, dice)
        return None if self.leaks(said, text, item) else Request(text, said, tuple(told), pattern, attempt > 0)

    def leaks(self, said: str, typed: str, item: int) -> bool:
        """Whether either gives `item` away: a slip of the finger must neither hide a leak nor make one."""
        return leaks(said, self.titles[item]) or (typed != said and leaks(typed, self.titles[item]))

    def repeats(self, index: int, told: Sequence[int]) -> bool:
        """Whether condition `index` says no more than one of `told`, or the reverse: "rock", "progressive rock"."""
        words, others = self._words[index], [self._words[other] for other in told]
        return bool(words) and any(other and (words <= other or other <= words) for other in others)

    def told(self, dialogue: Dialogue) -> list[Condition]:
        """What `dialogue` has told of its target so far, less what was taken back."""
        notes: Notes = dialogue.memory
        return [self.table.conditions[index] for index in notes.told]

    def speak(self, dialogues: Sequence[Dialogue]) -> None:
        """Say the next sentence of each dialogue; see `SimulatedUser`."""
        self._meet([dialogue for dialogue in dialogues if dialogue.memory is None])
        opening = [dialogue for dialogue in dialogues if not dialogue.said]
        going = [dialogue for dialogue in dialogues if dialogue.said]
        personas = [persona_called(dialogue.persona) for dialogue in opening]
        for dialogue, request in zip(opening, self.request(_rows(opening), personas=personas), strict=True):
            dialogue.said.append(request.text)
            dialogue.memory.told += [self._index[condition] for condition in request.conditions]
            dialogue.leaks += request.leaked
        rows, turns = _rows(going), [len(dialogue.said) for dialogue in going]
        keys = mixed(self.seed, _TURN, rows["user"], rows["cut"], np.array(turns, np.int64)).tolist()
        for dialogue, key in zip(going, keys, strict=True):
            self._go_on(dialogue, key)

    def _meet(self, dialogues: Sequence[Dialogue]) -> None:
        """Give each dialogue its persona, and the order in which it will tell what is true of its target."""
        rows = _rows(dialogues)
        who = mixed(self.seed, _PERSONA, rows["user"], rows["cut"]) % np.uint64(len(self._wheel))
        keys = mixed(self.seed, _ORDER, rows["user"], rows["cut"])
        orders = self.table.draw(rows["target"].to_numpy(), keys, _MOST_TOLD)
        for dialogue, persona, order in zip(dialogues, who.tolist(), orders.tolist(), strict=True):
            dialogue.persona = dialogue.persona or self._wheel[persona].name
            dialogue.memory = Notes([index for index in order if index >= 0])

    def _go_on(self, dialogue: Dialogue, key: int) -> None:
        """The answer to what was shown. What gives the target away is said otherwise, at last not at all."""
        persona = persona_called(dialogue.persona)
        if len(dialogue.shown) < len(dialogue.said):
            dialogue.shown.append(SystemTurn())  # nothing was answered: as good as an empty list
        question = dialogue.shown[-1].question
        dialogue.answer = None if question is None else answer_to(question, self.dataset, dialogue.target)
        for attempt in range(_ATTEMPTS):
            dice = Dice(key ^ (attempt * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF))
            turn = _Turn(self, dialogue, persona, dice, attempt)
            said = " ".join(turn.parts)
            text = persona.typed(said, dice)
            if not self.leaks(said, text, dialogue.target):
                dialogue.memory = turn.notes
                break
        else:
            text = next(text for text in _LAST_RESORT if not leaks(text, self.titles[dialogue.target]))
        dialogue.leaks += attempt > 0
        dialogue.said.append(text)


def _rows(dialogues: Sequence[Dialogue]) -> pl.DataFrame:
    rows = [(dialogue.user, dialogue.cut, dialogue.target) for dialogue in dialogues]
    return pl.DataFrame(rows, dict.fromkeys(("user", "cut", "target"), pl.Int64), orient="row")


class _Turn:
    """One answer of a user to what was shown or asked: its sentences, and the user's notes after it."""

    def __init__(self, user: AttributesUser, dialogue: Dialogue, persona: Persona, dice: Dice, attempt: int) -> None:
        self._user, self._dialogue, self._persona, self._dice = user, dialogue, persona, dice
        self.notes: Notes = Notes(**{name: [*values] for name, values in vars(dialogue.memory).items()})
        self.parts: list[str] = []
        self._noun = user.nouns[dialogue.target]
        shown = dialogue.shown[-1]
        fresh = self._untold()[attempt // 2 :] if attempt < _WITH_CONDITIONS else []
        if shown.items and (shown.question or not fresh or not dice.chance(persona.bare)):
            self._refuse(shown.items, dialogue.history)
        if shown.question is not None:
            self._answer(shown.question, attempt)
        elif fresh:
            if len(self.notes.told) > 1 and dice.chance(_TAKEN_BACK):
                column = self._take_back()
                fresh = [index for index in fresh if user.table.conditions[index].column != column]
            if fresh:
                self._tell(fresh[0], "add")
        elif self.notes.told and attempt < _WITH_CONDITIONS and dice.chance(_AGAIN):
            self._say("again", self._fills(self.notes.told[dice.below(len(self.notes.told))]))
        if not self.parts:
            self._say("more", {})

    def _say(self, part: str, fills: Mapping[str, Callable[[], str]]) -> None:
        fills = {**fills_of([], self._noun, self._dice), **fills}
        pattern = self._persona.pattern(part, fills, self._dice, self.notes.used)
        self.notes.used.append(pattern)
        self.parts.append(self._persona.sentence(pattern, fills, self._dice))

    def _fills(self, index: int) -> Mapping[str, Callable[[], str]]:
        return fills_of([self._user.table.conditions[index]], self._noun, self._dice)

    def _untold(self) -> list[int]:
        """What may be told next, in order: other columns first; nothing twice, no second value of what has one."""
        table, mentioned = self._user.table, [*self.notes.told, *self.notes.taken_back]
        groups = {int(table.groups[index]) for index in mentioned}
        fresh = [
            index for index in self.notes.order
            if not (table.single[index] and table.groups[index] in groups)
            and index not in mentioned and not self._user.repeats(index, mentioned)
        ]  # fmt: skip
        return sorted(fresh, key=lambda index: int(table.groups[index]) in groups)

    def _tell(self, index: int, part: str) -> None:
        self._say(part, self._fills(index))
        self.notes.told += [] if index in self.notes.told else [index]

    def _take_back(self) -> str:
        """Take back something told; returns its column."""
        index = self.notes.told.pop(self._dice.below(len(self.notes.told)))
        condition = self._user.table.conditions[index]
        self.notes.taken_back.append(index)
        left_open = f"any {column_name(condition.column)} is fine"
        left_open = "anything may happen in it" if condition.role == "story" else left_open
        self._say("take_back", {"thing": self._fills(index)["key"], "any": lambda: left_open})
        return condition.column

    def _refuse(self, items: Sequence[int], history: NDArray[np.int32]) -> None:
        """Say that what was shown is not it: a fault, already seen, one of them by its place or name, or just no."""
        dice, user = self._dice, self._user
        if dice.chance(self._persona.complains) and self._complain(items):
            return
        alike = [place for place, item in enumerate(items) if user.nouns[item] == self._noun]
        known = [place for place in alike if items[place] in history]
        part, place = "refuse", dice.below(len(items))
        if alike and dice.chance(_KNOWN if known else _SEEN):
            part, place = "seen", known[0] if known else alike[place % len(alike)]
        elif dice.chance(_PLACE):
            part = "place"
        words = {name: partial(str, text) for name, text in (_MANY if len(items) > 1 else _ONE).items()}
        self._say(part, {**words, "this": lambda: self._referred(items, place)})

    def _complain(self, items: Sequence[int]) -> bool:
        """Say what most of the items are and the target is not, if there is such: one of the commonest, new."""
        user, noun, dice, table = self._user, self._noun, self._dice, self._user.table
        counts = Counter(index for item in items for index in table.of(item))
        row = user.dataset.items.row(self._dialogue.target, named=True)
        left_open = {table.conditions[index].column for index in self.notes.taken_back}
        least, faults = max(_FAULT * len(items), min(2, len(items))), list[Condition]()
        for index, count in counts.most_common():
            fault = table.conditions[index]
            whole = fault.operator == "has" or fault.high - fault.low == 9  # a decade
            about = fault.role in _FAULTS and row[fault.column] and fault.column not in left_open
            if count >= least and whole and about and fault not in self.notes.complaints and not fault.holds(row):
                faults.append(fault)
        if not faults or not noun.words:
            return False
        fault = faults[dice.below(min(len(faults), 3))]
        named = forms_of(fault).nouns  # "comedies" rather than "funny films"
        things = plural_of(dice.pick(named)) if named else noun_phrase([fault], noun, dice, plural=True)
        self._say("no_more", {"things": lambda: things})
        self.notes.complaints.append(fault)
        return True

    def _referred(self, items: Sequence[int], place: int) -> str:
        """One of the shown items, by its place or its name."""
        name = short_name(self._user.titles[items[place]] or "").rstrip(".!? ")
        if 0 < len(name) <= 32 and (place >= len(_PLACES) or self._dice.chance(_TITLE)):
            return f'"{name}"' if self._dice.chance(0.3) else name
        return "that one" if len(items) == 1 else _PLACES[place] if place < len(_PLACES) else "one of them"

    def _answer(self, question: Question, attempt: int) -> None:
        """Answer truly; what the catalogue does not say, or was taken back, does not matter to the user."""
        table, notes = self._user.table, self.notes
        of_column = [i for i in table.of(self._dialogue.target) if table.conditions[i].column == question.column]
        closed = not of_column or any(i in notes.taken_back for i in of_column)
        untold = [i for i in [*notes.order, *of_column] if i in of_column and i not in notes.told]
        best = (untold or of_column or [-1])[0]
        if answer := self._dialogue.answer:
            same = (question.value or "").strip().lower()
            meant = [i for i in of_column if table.conditions[i].value.strip().lower() == same]
            self._say("yes", {"key": self._fills(meant[0])["key"]} if meant else {})
            notes.told += [i for i in meant if i not in notes.told + notes.taken_back]
        elif answer is False:
            self._say("no", {"asked": lambda: question.value or ""})
            if not closed and attempt < 2 and self._dice.chance(_AFTER_NO):
                self._tell(best, "value")
        elif question.value is not None or closed or attempt >= _WITH_CONDITIONS:
            self._say("indifferent", {})
        else:
            self._tell(best, "value")
