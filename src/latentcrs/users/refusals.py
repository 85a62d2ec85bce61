"""How a simulated user says no to what it was shown: seen already, one of them, a fault, or just no."""

from __future__ import annotations

from functools import partial

from latentcrs.users.attributes import AttributesUser
from latentcrs.users.complaints import Faults
from latentcrs.users.dialogue import SystemTurn
from latentcrs.users.draws import Dice
from latentcrs.users.leak import short_name
from latentcrs.users.sentence import Fills, Sentence

_SEEN_SHARE, _PLACE_SHARE, _KNOWN_SHARE = 0.1, 0.2, 0.5
_TITLE_SHARE = 0.4
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_LONGEST_NAME = 32


class Refusals:
    """Refuses lists of items of one data set."""

    def __init__(self, speaker: AttributesUser, faults: Faults) -> None:
        self._nouns, self._titles, self._conditions = speaker.nouns, speaker.titles, speaker.table.conditions
        self._faults = faults

    def say(self, turn: Sentence, shown: SystemTurn) -> None:
        """Say that what was shown is not it: already seen, one of them by its place or name, a fault, or just no."""
        dice, several = turn.dice, len(shown.items) > 1
        fills: Fills = {name: partial(str, text) for name, text in _REFERRING[several].items()}
        if dice.chance(turn.persona.complains) and self._complain(turn, shown, fills):
            return
        alike = [place for place, item in enumerate(shown.items) if self._nouns[item] == turn.noun]
        known = [place for place in alike if shown.items[place] in turn.dialogue.history]
        if alike and dice.chance(_KNOWN_SHARE if known else _SEEN_SHARE):
            place = known[0] if known else alike[dice.below(len(alike))]
            turn.say("seen", {**fills, "this": lambda: self._referred(shown, dice, place)})
        elif dice.chance(_PLACE_SHARE):
            place = dice.below(len(shown.items))
            turn.say("place", {**fills, "this": lambda: self._referred(shown, dice, place)})
        else:
            turn.say("refusals", fills)

    def _complain(self, turn: Sentence, shown: SystemTurn, fills: Fills) -> bool:
        """Say what most of the shown are and the target is not, if there is such a thing not yet said."""
        said = {complaint.condition for complaint in turn.notes.complaints}
        left_open = {self._conditions[index].column for index in turn.notes.taken_back}
        found = [
            complaint
            for complaint in self._faults.of(shown.items, turn.dialogue.target, turn.noun, turn.dice)
            if complaint.condition not in said and complaint.condition.column not in left_open
        ]
        if not found:
            return False
        complaint = found[turn.dice.below(min(len(found), 3))]
        if complaint.too and (not complaint.things or turn.dice.chance(0.5)):
            quality = {"too": lambda: f"too {complaint.too}"}
            if complaint.too.startswith("much "):  # nothing is "too much shooting": it just is too much
                fills = {}
            else:
                quality["too_bare"] = lambda: complaint.too
            turn.say("too", {**fills, **quality})
        elif complaint.things:
            turn.say("no_more", {**fills, "things": lambda: complaint.things})
        else:
            return False
        turn.complaints.append(complaint)
        return True

    def _referred(self, shown: SystemTurn, dice: Dice, place: int) -> str:
        """One of the shown items, by its place or its name."""
        name = short_name(self._titles[shown.items[place]] or "").rstrip(".!? ")
        usable = 0 < len(name) <= _LONGEST_NAME and len(name.split()) <= 5
        if usable and (place >= len(_ORDINALS) or dice.chance(_TITLE_SHARE)):
            return f'"{name}"' if dice.chance(0.3) else name
        if len(shown.items) == 1:
            return "that one"
        last = place == len(shown.items) - 1
        return "the last one" if last else f"the {_ORDINALS[place]} one" if place < len(_ORDINALS) else "one of them"


_REFERRING: dict[bool, dict[str, str]] = {
    True: {"these": "these", "those": "those", "are": "are", "they_are": "they're", "them": "them"}
    | dict.fromkeys(("none", "none_of"), "none of these"),
    False: {"these": "this one", "those": "that one", "are": "is", "they_are": "it's", "them": "it"}
    | dict.fromkeys(("none", "none_of"), "not this one"),
}  # fmt: skip
