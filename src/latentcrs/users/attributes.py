"""The `attributes` user: asks for its target by true conditions, refuses, and tells one more thing a turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.data.dataset import REQUESTS_SCHEMA, PreparedDataset
from latentcrs.data.roles import Role, roles_of
from latentcrs.users.conditions import Condition, ConditionTable, condition_table
from latentcrs.users.dialogue import Dialogue, Question, SystemTurn
from latentcrs.users.draws import Dice, UInts, mixed
from latentcrs.users.leak import leaks, short_name
from latentcrs.users.nouns import Noun, guess_noun, nouns_of
from latentcrs.users.personas import Persona, personas_called
from latentcrs.users.phrases import (
    Fills,
    column_name,
    condition_fills,
    keyword,
    noun_fills,
    noun_phrase,
    request_fills,
)
from latentcrs.users.questions import is_value
from latentcrs.users.rows import request_rows

_BATCH = 20_000  # rows at a time: bounds memory, and moves the progress bar
_MOST_DRAWN, _MOST_TOLD = 6, 24  # conditions drawn for a request, and put in order for a dialogue
_WITH_STORY, _WITHOUT_STORY, _ONE_CONDITION, _NO_CONDITION = 4, 8, 12, 60  # attempts before the next retreat
_WITH_CONDITIONS, _ATTEMPTS = 16, 40  # attempts before a turn tells nothing new, and before it says next to nothing
_REQUEST, _PERSONA, _ORDER, _TURN = 2, 6, 7, 8  # streams of random numbers
_SEEN, _KNOWN, _PLACE, _TITLE, _TAKEN_BACK, _AGAIN, _AFTER_NO = 0.1, 0.5, 0.2, 0.4, 0.06, 0.6, 0.35  # how often
_FAULT, _YEARS_APART = 0.6, 8  # this share of the shown items makes a fault of theirs
_FAULTS: frozenset[Role] = frozenset({"genre", "kind", "certificate", "platform", "country", "language"})
_PLACES = ("the first one", "the second one", "the third one", "the fourth one", "the fifth one")
_LAST_RESORT = ("No.", "Hmm.", "Not that.", "Something else, please.", "Nope.", "")
_MANY = {"these": "these", "are": "are", "they_are": "they're", "none": "none of these"}
_ONE = {"these": "this one", "are": "is", "they_are": "it's", "none": "not this one"}


@dataclass(frozen=True)
class Request:
    """A request before it was typed, what it says, and the pattern it was made from."""

    text: str = ""
    conditions: tuple[Condition, ...] = ()
    pattern: str = ""


@dataclass
class Utterances:
    """What was said for B rows: the texts, what each says, and how often a leak made it speak again."""

    texts: list[str]
    said: list[Request]
    leaked: list[int] = field(default_factory=list)  # rows whose first sentence leaked


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

    def __init__(
        self,
        dataset: PreparedDataset,
        seed: int = 0,
        noun: str | None = None,
        roles: Mapping[str, Role] | None = None,
        personas: Sequence[str] | None = None,
    ) -> None:
        """`noun` and `roles` override what is guessed from the data set's name and columns; `personas`: the names of
        those to be met (see `personas.PERSONAS`), all by default.

        Raises:
            UserError: there is no such persona, column or role.
        """
        self.name = "attributes" if seed == 0 else f"attributes (seed {seed})"
        self.seed = seed
        self._wheel = [persona for persona in personas_called(personas) for _ in range(persona.share)]
        self._plain = personas_called(["plain"])[0]
        self.table: ConditionTable = condition_table(dataset, roles)
        self.titles: list[str | None] = dataset.items["title"].to_list()
        self.nouns: list[Noun] = nouns_of(dataset, guess_noun(dataset) if noun is None else noun, roles)
        self._words = [frozenset(c.shown.lower().split()) for c in self.table.conditions]
        self._kinds, self._items = dataset.info.columns, dataset.items
        self._roles = roles_of(dataset.info.columns, roles)
        year = next((column for column, role in self._roles.items() if role == "year"), None)
        self._year = year or ""
        self._years = None if year is None else dataset.items[year].cast(pl.Float64).to_numpy()

    def request(
        self,
        users: NDArray[np.integer],
        cuts: NDArray[np.integer],
        targets: NDArray[np.integer],
        progress: Callable[[int], None] | None = None,
        personas: Sequence[Persona] | None = None,
        conditions: int | None = None,
    ) -> Utterances:
        """One request per row, in the words of its persona if there are any; `progress` is told how many rows were
        finished. conditions: how many each tells, where the catalogue says so many; two or three by default.

        A sentence that gives the title away is drawn again: first with other conditions and another pattern, then
        without words of free text, then with a single condition, last with none. None that leaks is ever returned.
        """
        keys, targets = mixed(self.seed, _REQUEST, users, cuts), targets.astype(np.int64)
        out = Utterances([""] * len(keys), [Request()] * len(keys))
        for start in range(0, len(keys), _BATCH):
            waiting = np.arange(start, min(start + _BATCH, len(keys)))
            for attempt in range(_NO_CONDITION):
                waiting = self._requested(waiting, targets, keys, attempt, out, personas, conditions)
                out.leaked += waiting.tolist() if attempt == 0 else []
                if not len(waiting):
                    break
            else:
                raise AssertionError(f"every sentence gives away {self.titles[targets[waiting[0]]]!r}")
            if progress:
                progress(min(_BATCH, len(keys) - start))
        return out

    def _requested(
        self,
        rows: NDArray[np.int64],
        targets: NDArray[np.int64],
        keys: UInts,
        attempt: int,
        out: Utterances,
        personas: Sequence[Persona] | None,
        conditions: int | None,
    ) -> NDArray[np.int64]:
        """Speak for `rows`; returns those whose sentence leaked."""
        now = mixed(keys[rows].view(np.int64), attempt)
        most_drawn = max(_MOST_DRAWN, 2 * (conditions or 0))
        drawn = self.table.draw(targets[rows], now, most_drawn, story=attempt < _WITH_STORY)
        leaking = []
        for row, indices, key in zip(rows.tolist(), drawn.tolist(), now.tolist(), strict=True):
            dice, item = Dice(key), int(targets[row])
            persona = personas[row] if personas else self._plain
            count = conditions or (3 if dice.chance(persona.three) else 2)
            count = 0 if attempt >= _ONE_CONDITION else min(count, 1) if attempt >= _WITHOUT_STORY else count
            chosen = self._chosen(indices, count)
            pattern = persona.opening(len(chosen), dice)
            said = persona.sentence(pattern, request_fills(chosen, self.nouns[item], dice), dice, first=True)
            text = persona.typed(said, dice)
            if self.leaks(said, text, item):
                leaking.append(row)
            else:
                out.texts[row], out.said[row] = text, Request(said, tuple(chosen), pattern)
        return np.array(leaking, np.int64)

    def leaks(self, said: str, typed: str, item: int) -> bool:
        """Whether either gives `item` away: a slip of the finger must neither hide a leak nor make one."""
        return leaks(said, self.titles[item]) or (typed != said and leaks(typed, self.titles[item]))

    def _chosen(self, drawn: Sequence[int], count: int) -> list[Condition]:
        """The first `count` drawn conditions, less those that say no more than one before: "rock" beside "progressive
        rock", a publisher that is its own developer.
        """
        chosen: list[int] = []
        for index in drawn:
            if index >= 0 and len(chosen) < count and not self._repeats(index, chosen):
                chosen.append(index)
        return [self.table.conditions[index] for index in chosen]

    def _repeats(self, index: int, told: Sequence[int]) -> bool:
        """Whether the words of condition `index` are among those of one `told`, or the other way round."""
        words = self._words[index]
        return bool(words) and any(
            words <= self._words[other] or self._words[other] <= words for other in told if self._words[other]
        )

    def told(self, dialogue: Dialogue) -> list[Condition]:
        """What `dialogue` has told of its target so far, less what was taken back."""
        notes: Notes = dialogue.memory
        return [self.table.conditions[index] for index in notes.told]

    def answers(self, target: int, question: Question) -> bool | None:
        """Whether `target` has the value asked for; None: the catalogue does not say, or no value was asked."""
        if question.value is None or question.column not in self._kinds:
            return None
        row = self._items.row(target, named=True)
        return is_value(row, question.column, self._kinds[question.column], question.value)

    def speak(self, dialogues: Sequence[Dialogue]) -> None:
        """Say the next sentence of each dialogue; see `SimulatedUser`."""
        if new := [dialogue for dialogue in dialogues if dialogue.memory is None]:
            self._meet(new)
        opening = [dialogue for dialogue in dialogues if not dialogue.said]
        going = [dialogue for dialogue in dialogues if dialogue.said]
        if opening:
            personas = personas_called([dialogue.persona for dialogue in opening])
            users, cuts, targets = (_array(opening, name) for name in ("user", "cut", "target"))
            spoken = self.request(users, cuts, targets, personas=personas)
            index = {condition: number for number, condition in enumerate(self.table.conditions)}
            for dialogue, text, said in zip(opening, spoken.texts, spoken.said, strict=True):
                dialogue.said.append(text)
                dialogue.memory.told += [index[condition] for condition in said.conditions]
            for row in spoken.leaked:
                opening[row].leaks += 1
        if going:
            turns = np.array([len(dialogue.said) for dialogue in going])
            for dialogue, key in zip(going, self._keys(going, _TURN, turns).tolist(), strict=True):
                self._go_on(dialogue, key)

    def _keys(self, dialogues: Sequence[Dialogue], stream: int, *more: NDArray[np.int64]) -> UInts:
        return mixed(self.seed, stream, _array(dialogues, "user"), _array(dialogues, "cut"), *more)

    def _meet(self, dialogues: Sequence[Dialogue]) -> None:
        """Give each dialogue its persona, and the order in which it will tell what is true of its target."""
        who = self._keys(dialogues, _PERSONA) % np.uint64(len(self._wheel))
        orders = self.table.draw(_array(dialogues, "target"), self._keys(dialogues, _ORDER), _MOST_TOLD)
        for dialogue, persona, order in zip(dialogues, who.tolist(), orders.tolist(), strict=True):
            dialogue.persona = dialogue.persona or self._wheel[persona].name
            dialogue.memory = Notes([index for index in order if index >= 0])

    def _go_on(self, dialogue: Dialogue, key: int) -> None:
        """The answer to what was shown last. One that gives the target away is said otherwise, with other conditions
        and words, at last with none.
        """
        persona = personas_called([dialogue.persona])[0]
        if len(dialogue.shown) < len(dialogue.said):
            dialogue.shown.append(SystemTurn())  # nothing was answered: as good as an empty list
        question = dialogue.shown[-1].question
        dialogue.answer = None if question is None else self.answers(dialogue.target, question)
        for attempt in range(_ATTEMPTS):
            dice = Dice(key ^ (attempt * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF))
            turn = _Turn(self, dialogue, persona, dice, attempt)
            text = persona.typed(turn.text, dice)
            if not self.leaks(turn.text, text, dialogue.target):
                turn.note()
                break
        else:
            text = next(text for text in _LAST_RESORT if not leaks(text, self.titles[dialogue.target]))
        dialogue.leaks += attempt > 0
        dialogue.said.append(text)

    def fault_of(self, shown: Sequence[int], target: int, said: Sequence[Condition], dice: Dice) -> Condition | None:
        """What most of `shown` are and `target` is not, one of the commonest such things that was not `said`."""
        least = max(_FAULT * len(shown), min(2, len(shown)))
        counts = Counter(index for item in shown for index in self.table.of(item))
        row = self._items.row(target, named=True)
        found = [
            condition
            for condition, count in ((self.table.conditions[index], count) for index, count in counts.most_common())
            if count >= least and condition.operator == "has" and condition.role in _FAULTS and row[condition.column]
            and not condition.holds(row)
        ]  # fmt: skip
        if self._years is not None and not np.isnan(self._years[target]):
            years, wanted = self._years[list(shown)], float(self._years[target])
            if (years <= wanted - _YEARS_APART).sum() >= least:
                found.append(Condition(self._year, "year", "below", high=wanted - _YEARS_APART + 1))
            if (years >= wanted + _YEARS_APART).sum() >= least:
                found.append(Condition(self._year, "year", "above", low=wanted + _YEARS_APART - 1))
        found = [condition for condition in found if condition not in said]
        return found[dice.below(min(len(found), 3))] if found else None


def _array(dialogues: Sequence[Dialogue], name: str) -> NDArray[np.int64]:
    return np.array([getattr(dialogue, name) for dialogue in dialogues], np.int64)


class _Turn:
    """One answer of a user to what was shown or asked, as it is being made: its sentences, and what they say."""

    def __init__(self, user: AttributesUser, dialogue: Dialogue, persona: Persona, dice: Dice, attempt: int) -> None:
        self._user, self._dialogue, self._persona, self._dice, self._attempt = user, dialogue, persona, dice, attempt
        self._notes: Notes = dialogue.memory
        self._noun = user.nouns[dialogue.target]
        self._parts: list[str] = []
        self._new = Notes([])
        shown = dialogue.shown[-1]
        fresh = self._untold()[attempt // 2 :] if attempt < _WITH_CONDITIONS else []
        if shown.items and (shown.question or not fresh or not dice.chance(persona.bare)):
            self._refuse(shown)
        if shown.question is not None:
            self._answer(shown.question)
        elif fresh:
            if len(self._notes.told) > 1 and dice.chance(_TAKEN_BACK):
                column = self._take_back()
                fresh = [index for index in fresh if user.table.conditions[index].column != column]
            if fresh:
                self._tell(fresh[0], "add")
        elif self._notes.told and attempt < _WITH_CONDITIONS and dice.chance(_AGAIN):
            self._say("again", self._fills(self._notes.told[dice.below(len(self._notes.told))]))
        if not self._parts:
            self._say("more", {})

    @property
    def text(self) -> str:
        """All that is said."""
        return " ".join(self._parts)

    def note(self) -> None:
        """Remember what was said."""
        notes, new = self._notes, self._new
        notes.told = [index for index in notes.told + new.told if index not in new.taken_back]
        notes.taken_back += new.taken_back
        notes.complaints += new.complaints
        notes.used += new.used

    def _say(self, part: str, fills: Fills) -> None:
        fills = {**noun_fills(self._noun), **fills}
        pattern = self._persona.pattern(part, fills, self._dice, self._notes.used)
        self._new.used.append(pattern)
        self._parts.append(self._persona.sentence(pattern, fills, self._dice))

    def _fills(self, index: int) -> Fills:
        return condition_fills(self._user.table.conditions[index], self._noun, self._dice)

    def _untold(self) -> list[int]:
        """What may be told next, in order: other columns first; nothing in other words, nor about what was taken back
        or has but one value.
        """
        notes, table = self._notes, self._user.table
        mentioned = [*notes.told, *notes.taken_back]
        groups = {int(table.groups[index]) for index in notes.told}
        closed = {int(table.groups[index]) for index in mentioned if table.single[index]}
        fresh = [
            index
            for index in notes.order
            if index not in mentioned and table.groups[index] not in closed
            and not self._user._repeats(index, mentioned)
        ]  # fmt: skip
        return sorted(fresh, key=lambda index: int(table.groups[index]) in groups)

    def _tell(self, index: int, part: str) -> None:
        if index not in self._notes.told:
            self._new.told.append(index)
        self._say(part, self._fills(index))

    def _take_back(self) -> str:
        """Take back something told; returns its column."""
        index = self._notes.told[self._dice.below(len(self._notes.told))]
        condition = self._user.table.conditions[index]
        self._new.taken_back.append(index)
        thing = keyword(condition, self._dice)
        left_open = (
            "anything may happen in it"
            if condition.role == "story"
            else f"any {column_name(condition.column)} is fine"
        )
        self._say("take_back", {"thing": lambda: thing, "any": lambda: left_open})
        return condition.column

    def _refuse(self, shown: SystemTurn) -> None:
        """Say that what was shown is not it: a fault, already seen, one of them by its place or name, or just no."""
        dice, user, items = self._dice, self._user, shown.items
        fills: Fills = {name: partial(str, text) for name, text in (_MANY if len(items) > 1 else _ONE).items()}
        if dice.chance(self._persona.complains) and self._complain(items, fills):
            return
        alike = [place for place, item in enumerate(items) if user.nouns[item] == self._noun]
        known = [place for place in alike if items[place] in self._dialogue.history]
        if alike and dice.chance(_KNOWN if known else _SEEN):
            place = known[0] if known else alike[dice.below(len(alike))]
            self._say("seen", {**fills, "this": lambda: self._referred(items, place)})
        elif dice.chance(_PLACE):
            place = dice.below(len(items))
            self._say("place", {**fills, "this": lambda: self._referred(items, place)})
        else:
            self._say("refuse", fills)

    def _complain(self, items: Sequence[int], fills: Fills) -> bool:
        fault = self._user.fault_of(items, self._dialogue.target, self._notes.complaints, self._dice)
        left_open = {self._user.table.conditions[index].column for index in self._notes.taken_back}
        if fault is None or fault.column in left_open or not self._noun.words:
            return False
        if fault.role == "year":
            self._say("too", {**fills, "fault": lambda: "old" if fault.operator == "below" else "new"})
        else:
            self._say(
                "no_more", {**fills, "things": lambda: noun_phrase([fault], self._noun, self._dice, plural=True)}
            )
        self._new.complaints.append(fault)
        return True

    def _referred(self, items: Sequence[int], place: int) -> str:
        """One of the shown items, by its place or its name."""
        name = short_name(self._user.titles[items[place]] or "").rstrip(".!? ")
        if 0 < len(name) <= 32 and (place >= len(_PLACES) or self._dice.chance(_TITLE)):
            return f'"{name}"' if self._dice.chance(0.3) else name
        return "that one" if len(items) == 1 else _PLACES[place] if place < len(_PLACES) else "one of them"

    def _answer(self, question: Question) -> None:
        user, table, notes = self._user, self._user.table, self._notes
        of_column = [i for i in table.of(self._dialogue.target) if table.conditions[i].column == question.column]
        closed = any(table.conditions[i].column == question.column for i in notes.taken_back)
        if question.value is not None:
            answer, same = user.answers(self._dialogue.target, question), question.value.strip().lower()
            meant = next((i for i in of_column if table.conditions[i].value.strip().lower() == same), None)
            if answer is None:
                self._say("indifferent", {})
            elif answer:
                self._say("yes", {} if meant is None else {"key": self._fills(meant)["key"]})
                self._new.told += [meant] if meant is not None and meant not in notes.told + notes.taken_back else []
            else:
                self._say("no", {"asked": lambda: self._asked(question)})
                if of_column and not closed and self._attempt < 2 and self._dice.chance(_AFTER_NO):
                    self._tell(self._best(of_column), "value")
        elif not of_column or closed or self._attempt >= _WITH_CONDITIONS:
            self._say("indifferent", {})
        else:
            self._tell(self._best(of_column), "value")

    def _asked(self, question: Question) -> str:
        """The value that a question asks about, as one repeats it in the answer."""
        role, value = self._user._roles[question.column], question.value or ""
        if role not in ("genre", "platform", "kind", "certificate"):
            return value
        return keyword(Condition(question.column, role, "has", value, shown=value), self._dice)

    def _best(self, of_column: Sequence[int]) -> int:
        """Which of a column's conditions to answer with: what is still to be told, in its order, before the rest."""
        notes = self._notes
        fresh = [i for i in [*notes.order, *of_column] if i in of_column and i not in notes.told + notes.taken_back]
        ranked = list(dict.fromkeys(fresh)) or [i for i in of_column if i in notes.told] or of_column
        return ranked[(self._attempt // 2) % len(ranked)]


def simulate(
    dataset: PreparedDataset,
    seed: int = 0,
    augmentations: int = 5,
    noun: str | None = None,
    roles: Mapping[str, Role] | None = None,
    progress: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    """Requests of the `attributes` user for all training, validation and test rows of `dataset` (`REQUESTS_SCHEMA`,
    source "attributes", ordered by split, user, cut); which rows: `rows.request_rows`.

    Raises:
        UserError: `roles` names an unknown column or role.
    """
    rows = request_rows(dataset, seed, augmentations)
    return requests_for(AttributesUser(dataset, seed, noun, roles), rows, progress)[0]


def requests_for(
    user: AttributesUser, rows: pl.DataFrame, progress: Callable[[int], None] | None = None
) -> tuple[pl.DataFrame, Utterances]:
    """Let `user` speak for `rows` (user, cut, target, split): the requests, and the utterances behind them."""
    spoken = user.request(*(rows[name].to_numpy() for name in ("user", "cut", "target")), progress)
    return as_requests(rows, spoken.texts, "attributes"), spoken


def as_requests(rows: pl.DataFrame, texts: Sequence[str], source: str) -> pl.DataFrame:
    """`rows` (user, cut, target, split) with what was said for each, as `REQUESTS_SCHEMA`."""
    history, text = pl.lit(None, pl.List(pl.Int32)), pl.Series(texts, dtype=pl.String)
    requests = rows.with_columns(history=history, text=text, source=pl.lit(source))
    return requests.select([pl.col(name).cast(kind) for name, kind in REQUESTS_SCHEMA.items()])
