"""The `attributes` user over several turns: refuses what is not its target, and tells one more true thing a turn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.roles import Role, roles_of
from latentcrs.users.attributes import AttributesUser
from latentcrs.users.complaints import Faults
from latentcrs.users.conditions import Condition
from latentcrs.users.dialogue import Dialogue, Question, SystemTurn
from latentcrs.users.draws import Dice, mixed
from latentcrs.users.personas import persona_book, personas_called
from latentcrs.users.phrases import condition_fills, keyword
from latentcrs.users.questions import is_value
from latentcrs.users.refusals import Refusals
from latentcrs.users.sentence import Fills, Notes, Sentence

TAKEN_BACK_SHARE = 0.06
_MOST_TOLD = 24  # conditions put in order for one dialogue: more than anyone has the patience for
_PERSONA, _ORDER, _TURN = 6, 7, 8  # streams of random numbers; those below are the one-turn user's
_WITH_CONDITIONS, _ATTEMPTS = 16, 40  # attempts before a turn tells nothing new, and before it says next to nothing
_AFTER_NO_SHARE = 0.35
_AGAIN_SHARE = 0.6
_LAST_RESORT = ("No.", "Hmm.", "Not that.", "Something else, please.", "Nope.", "")


class AttributesDialogues:
    """Speaks about the items of one data set, turn by turn, and never says a title.

    It opens as the one-turn `attributes` user does, with two or three conditions true of its target. What it is shown
    without the target it refuses: it may have seen one of them, or say what most of them are and the target is not;
    then it tells one condition more, of another column first. Now and then it takes back one it told, which is not
    told again. It answers questions truly. How it talks is its persona's, drawn for each dialogue.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        seed: int = 0,
        noun: str | None = None,
        roles: Mapping[str, Role] | None = None,
        personas: Sequence[str] | None = None,
    ) -> None:
        """`personas`: the names of those to be met (see `personas.PERSONAS`), all by default.

        Raises:
            UserError: there is no such persona, column or role.
        """
        self.name = "attributes" if seed == 0 else f"attributes (seed {seed})"
        self._personas = personas_called(personas)
        self._wheel = [persona for persona in self._personas for _ in range(persona.share)]
        self.seed = seed
        self.one_turn = AttributesUser(dataset, seed, noun, roles)
        self.table, self.check = self.one_turn.table, self.one_turn.check
        self._index = {condition: index for index, condition in enumerate(self.table.conditions)}
        self._refusals = Refusals(self.one_turn, Faults(dataset, roles))
        self._kinds = dataset.info.columns
        self._roles = roles_of(dataset.info.columns, roles)
        self._columns = dataset.items.select(list(self._kinds))

    def told(self, dialogue: Dialogue) -> list[Condition]:
        """What `dialogue` has told of its target so far, less what was taken back."""
        notes: Notes = dialogue.memory
        return [self.table.conditions[index] for index in notes.told]

    def answers(self, target: int, question: Question) -> bool | None:
        """Whether `target` has the value asked for; None: the catalogue does not say, or no value was asked."""
        if question.value is None or question.column not in self._kinds:
            return None
        row = self._columns.row(target, named=True)
        return is_value(row, question.column, self._kinds[question.column], question.value)

    def speak(self, dialogues: Sequence[Dialogue]) -> None:
        """Say the next sentence of each dialogue; see `SimulatedUser`."""
        new = [dialogue for dialogue in dialogues if dialogue.memory is None]
        if new:
            self._meet(new)
        opening = [dialogue for dialogue in dialogues if not dialogue.said]
        if opening:
            self._open(opening)
        opened = {id(dialogue) for dialogue in opening}
        going = [dialogue for dialogue in dialogues if id(dialogue) not in opened]
        if not going:
            return
        keys = self._keys(going, _TURN, np.array([len(dialogue.said) for dialogue in going]))
        for dialogue, key in zip(going, keys.tolist(), strict=True):
            self._go_on(dialogue, key)

    def _keys(self, dialogues: Sequence[Dialogue], *stream: int | np.ndarray) -> np.ndarray:
        users, cuts = (np.array([getattr(dialogue, name) for dialogue in dialogues]) for name in ("user", "cut"))
        return mixed(self.seed, stream[0], users, cuts, *stream[1:])

    def _meet(self, dialogues: Sequence[Dialogue]) -> None:
        """Give each dialogue its persona, and the order in which it will tell what is true of its target."""
        who = self._keys(dialogues, _PERSONA) % np.uint64(len(self._wheel))
        targets = np.array([dialogue.target for dialogue in dialogues])
        orders = self.table.draw(targets, self._keys(dialogues, _ORDER), _MOST_TOLD)
        for dialogue, persona, order in zip(dialogues, who.tolist(), orders.tolist(), strict=True):
            dialogue.persona = dialogue.persona or self._wheel[persona].name
            dialogue.memory = Notes([index for index in order if index >= 0])

    def _open(self, dialogues: Sequence[Dialogue]) -> None:
        users, cuts, targets = (
            np.array([getattr(dialogue, name) for dialogue in dialogues]) for name in ("user", "cut", "target")
        )
        personas = personas_called([dialogue.persona for dialogue in dialogues])
        spoken = self.one_turn.speak(users, cuts, targets, personas=personas)
        for dialogue, text, said in zip(dialogues, spoken.texts, spoken.said, strict=True):
            dialogue.said.append(text)
            dialogue.memory.told += [self._index[condition] for condition in said.conditions]
        for row in spoken.leaked:
            dialogues[row].leaks += 1

    def _go_on(self, dialogue: Dialogue, key: int) -> None:
        """The answer to what was shown last. One that gives the target away is said otherwise, with other conditions
        and words, at last with none.
        """
        persona = personas_called([dialogue.persona])[0]
        if len(dialogue.shown) < len(dialogue.said):
            dialogue.shown.append(SystemTurn())  # nothing was answered: as good as an empty list
        question = dialogue.shown[-1].question
        dialogue.answer = None if question is None else self.answers(dialogue.target, question)
        noun, leaked = self.one_turn.nouns[dialogue.target], False
        for attempt in range(_ATTEMPTS):
            dice = Dice(key ^ (attempt * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF))
            turn = Sentence(dialogue, dialogue.memory, persona, noun, dice, attempt)
            self._answer(turn)
            text = persona.typed(turn.text, dice, dialogue.said)
            if not self._leaks(turn.text, text, dialogue.target):
                dialogue.memory.told += turn.told
                dialogue.memory.taken_back += turn.taken_back
                dialogue.memory.complaints += turn.complaints
                dialogue.memory.used += turn.used
                for index in turn.taken_back:
                    dialogue.memory.told.remove(index)
                break
            leaked = True
        else:
            text = next(text for text in _LAST_RESORT if not self.check.leaks(text, dialogue.target))
        dialogue.leaks += leaked
        dialogue.said.append(text)

    def _leaks(self, said: str, typed: str, target: int) -> bool:
        """Whether either gives the target away: a slip of the finger must neither hide a leak nor make one."""
        return self.check.leaks(said, target) or (typed != said and self.check.leaks(typed, target))

    def _answer(self, turn: Sentence) -> None:
        shown = turn.dialogue.shown[-1]
        fresh = self._untold(turn) if turn.attempt < _WITH_CONDITIONS else []
        fresh = fresh[turn.attempt // 2 :]
        if shown.items and (shown.question or not fresh or not turn.dice.chance(turn.persona.bare)):
            self._refusals.say(turn, shown)
        if shown.question is not None:
            self._answer_question(turn, shown.question)
        elif fresh:
            if len(turn.notes.told) > 1 and turn.dice.chance(TAKEN_BACK_SHARE):
                self._take_back(turn)
                # Nothing new about what it no longer wants.
                fresh = [index for index in fresh if not self._about_same(index, turn.taken_back[0])] or fresh[:0]
            if fresh:
                self._tell(turn, fresh[0], "additions")
        elif turn.notes.told and turn.dice.chance(_AGAIN_SHARE):
            index = turn.notes.told[turn.dice.below(len(turn.notes.told))]
            turn.say("again", self._fills(turn, index))
        if not turn.parts or (shown.question is None and not fresh and turn.dice.chance(0.5)):
            turn.say("ask_more", {})

    def _untold(self, turn: Sentence) -> list[int]:
        """What may be told next, in order: other columns first, nothing told or taken back in other words."""
        notes, conditions = turn.notes, self.table.conditions
        groups = {int(self.table.groups[index]) for index in notes.told}
        mentioned = [*notes.told, *notes.taken_back]
        fresh = [
            index
            for index in notes.order
            if index not in mentioned
            and not self.one_turn.repeats(index, mentioned)
            and not any(conditions[other].implies(conditions[index]) for other in notes.told)
            and not any(self._about_same(index, other) for other in notes.taken_back)
        ]
        return sorted(fresh, key=lambda index: int(self.table.groups[index]) in groups)

    def _about_same(self, index: int, taken_back: int) -> bool:
        """Whether condition `index` would say again what was taken back: "1995" after "forget the 90s"."""
        same = bool(self.table.groups[index] == self.table.groups[taken_back])
        return same and (index == taken_back or bool(self.table.single[index]))

    def _fills(self, turn: Sentence, index: int) -> Fills:
        return condition_fills(self.table.conditions[index], turn.noun, turn.dice)

    def _tell(self, turn: Sentence, index: int, part: str) -> None:
        if index not in turn.notes.told:
            turn.told.append(index)
        turn.say(part, self._fills(turn, index))

    def _take_back(self, turn: Sentence) -> None:
        index = turn.notes.told[turn.dice.below(len(turn.notes.told))]
        condition, dice, book = self.table.conditions[index], turn.dice, persona_book()
        role: str = condition.role
        if role == "publisher" and not re.search(r"publish|label", condition.column.lower()):
            role = "maker"
        decade = role == "year" and condition.operator == "between" and condition.low != condition.high
        column = condition.column.replace("_", " ").lower()
        thing = dice.pick(book["thing"]["decade" if decade else role]).replace("{column}", column)
        named = f"{condition.low:.0f}" if role == "year" and condition.low == condition.high else condition.shown
        named = named if role in ("year", "story") and named else keyword(condition, dice)
        thing = thing.replace("{v}", named).replace("the the ", "the ")
        left_open = dice.pick(book["any"][role]).replace("{column}", column)
        turn.taken_back.append(index)
        turn.say("take_back", {"thing": lambda: thing, "any": lambda: left_open})

    def _answer_question(self, turn: Sentence, question: Question) -> None:
        target = turn.dialogue.target
        of_column = [index for index in self._of(target) if self.table.conditions[index].column == question.column]
        closed = any(self.table.conditions[i].column == question.column for i in turn.notes.taken_back)
        if question.value is not None:
            answer = self.answers(target, question)
            if answer is None:
                turn.say("open", {})
            elif answer:
                same = question.value.strip().lower()
                meant = next((i for i in of_column if self.table.conditions[i].value.strip().lower() == same), None)
                turn.say("yes", {} if meant is None else {"key": self._fills(turn, meant)["key"]})
                if meant is not None and meant not in turn.notes.told + turn.notes.taken_back:
                    turn.told.append(meant)
            else:
                turn.say("no", {"asked": lambda: self._asked(question.column, question.value or "", turn.dice)})
                if of_column and not closed and turn.attempt < 2 and turn.dice.chance(_AFTER_NO_SHARE):
                    self._tell(turn, self._best(turn, of_column), "value")
            return
        if not of_column or closed or turn.attempt >= _WITH_CONDITIONS:
            turn.say("open", {})
        else:
            self._tell(turn, self._best(turn, of_column), "value")

    def _asked(self, column: str, value: str, dice: Dice) -> str:
        """The value that a question asks about, as one repeats it in the answer."""
        role = self._roles[column]
        if role == "certificate":
            return f"rated {value}"
        if role not in ("genre", "platform", "kind"):
            return value
        return keyword(Condition(column, role, "has", value, shown=value), dice)

    def _of(self, target: int) -> list[int]:
        table = self.table
        found: list[int] = table.ids[table.offsets[target] : table.offsets[target + 1]].tolist()
        return found

    def _best(self, turn: Sentence, of_column: list[int]) -> int:
        """Which of a column's conditions to answer with: what is still to be told, in its order, before the rest."""
        mentioned = turn.notes.told + turn.notes.taken_back
        ranked = [index for index in turn.notes.order if index in of_column and index not in mentioned]
        ranked += [index for index in of_column if index not in ranked and index not in mentioned]
        ranked = ranked or [index for index in of_column if index in turn.notes.told] or of_column
        return ranked[(turn.attempt // 2) % len(ranked)]
