"""Values of the catalogue's category columns in an utterance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from latentcrs.language.extract.capitals import beside_capital
from latentcrs.language.extract.certificates import is_upper_bound, speaks_of_rating, up_to
from latentcrs.language.extract.contexts import NOT_TO_BE_WITH, NOUN_BEHIND
from latentcrs.language.extract.english import FUNCTION, is_common
from latentcrs.language.extract.mentions import Mention
from latentcrs.language.extract.names import Names, meant
from latentcrs.language.extract.tokens import Line, key_of
from latentcrs.language.extract.vocabulary import CERTAINTY, LONGEST, Entry, Vocabulary

_SLIP = 0.6
_YOUNG = frozenset("kids kid children child family".split())


_BESIDE_TOPIC = re.compile(
    r" (?:(?<!how )(?<!what )(?<!mind )(?<!forget )(?<!care )(?<!thinking )about|involving|involves?|featuring|"
    rf"{NOT_TO_BE_WITH}with|that has|that have|which has|should have|must have|to do with|theres|there is|there are) "
    r"(?:(?P<article>a|an|the|his|her|two|their|my|its) |"
    r"(?P<some>some|lots of|plenty of|a lot of|a bit of|a touch of|elements of) )?$"
)
_INSIDE_TOPIC = re.compile(
    r" (?<!how )(?<!what )(?:about|set (?:in|during)) (?:a|an|the) (?!good |great |nice |funny |scary )\w+ $"
)

_ACTUAL = re.compile(r" (?:actual|real|proper|not the|just the|only the) $")
"""In front of the word for the items at large, where a column tells them from accessories: "actual games"."""


_NO_SUCH = re.compile(r" (?:no|no more|not|not a|not any|anything but|everything but|other than|except|but no) $")
_ENDS_THERE = re.compile(r"^ (?:$|[.,?]|please |thanks |but )")
"""Around the word for the items at large where it is denied altogether: "no games, please"."""
_OWNED = re.compile(
    r" (?:my|your|our|his|her|any|which|what|this|that|another|every|each) (?:own |old |new |favou?rite )?$"
)
_PLATFORM_BEHIND = re.compile(r"^ (?:or|and|,|/) (?:the |a |an )?(?:3ds|ds|ps\d|playstation|xbox|wii|pc|nintendo) ")
_JUDGED = re.compile(
    r" (?:(?:was|were|wasnt|werent|thought|found|sound|sounds|sounded|look|looks|looked|seem|seems|seemed|"
    r"felt|being|"
    r"very very|(?<!not )(?<!nothing )so)|is|are|isnt|its|thats|hes|shes|theyre|can be|could be|how)(?: (?:so|"
    r"really|very|pretty|"
    r"quite|just|more|all|both|also|actually|always|such|still|even|too|kind of|kinda|definitely|probably|it|"
    r"them|him|"
    r"that|super|extremely|incredibly|absolutely|a bit|a little))* $"
)
_BELONGS_TO = re.compile(r"^ (?:guy|man|woman|girl|dude|lady|person|actor|actress|comedian)s? ")
"""Behind a sort: a word for what else may be so, "a funny guy"."""
_PART_OF_IT = re.compile(r"^ (?:part|scene|bit|moment|sequence|number|ending|element|aspect)s? ")
_GIVEN_UP = re.compile(r" (?:drop|forget(?: about)?|never ?mind|scrap|ditch|ignore|lose|skip) the $")
"""In front of a part that is a condition: "forget the horror bit"."""
_THEN = re.compile(r"(?:^|\.) so $")
"""Where "so" draws a conclusion: "so scary movies, then"."""
_ASKED_TO_BE = re.compile(
    r" (?:(?:something|anything|nothing|movies?|films?|flicks?|ones?|games?|albums?|stuff|music|records?|books?|"
    r"shows?) "
    r"(?:that |which )?(?:is|are|isnt|thats|sounds?)|(?:long as|if|make sure|prefer|want|sure) "
    r"(?:it |they |that )?(?:is|are|its|theyre|isnt|sounds?))(?: \w+){0,2} $"
)
_GLUED_NUMBER = re.compile(r"^ (?:\d{1,3}|x|u|vita|series) ")


@dataclass
class Found:
    """Mentions in order, and phrases that mean something the catalogue does not have: (start, end, kind)."""

    mentions: list[Mention] = field(default_factory=list)
    foreign: list[tuple[int, int, str]] = field(default_factory=list)


class Values:
    """Finds the values of one catalogue."""

    def __init__(self, vocabulary: Vocabulary, has_text: bool) -> None:
        """`has_text`: whether the catalogue tells what its items are about, so that "with a war" may be a topic."""
        self.vocabulary = vocabulary
        self.has_text = has_text
        self._words = {word for key in vocabulary.phrases for word in key}
        self._names = Names(vocabulary)
        # A column whose own name is among its values ("platform") takes more than the bare word.
        self._column_words = {word for column in vocabulary.roles for word in key_of(column.replace("_", " "))}

    def find(self, line: Line, taken: Sequence[bool]) -> Found:
        """Every value said in `line` outside of the tokens `taken`, the longest first from the left."""
        line.known = self._known(line)
        found = Found()
        tokens, place = line.tokens, 0
        while place < len(tokens):
            if taken[place] or tokens[place].mark:
                place += 1
                continue
            mentions, end = self._at(line, place, taken, found)
            found.mentions += mentions
            place = max(end, place + 1)
        return found

    def _known(self, line: Line) -> list[bool]:
        """The tokens that are words of some value."""
        return [token.stem in self._words for token in line.tokens]

    def _at(self, line: Line, place: int, taken: Sequence[bool], found: Found) -> tuple[list[Mention], int]:
        tokens, vocabulary = line.tokens, self.vocabulary
        previous = found.mentions[-1] if found.mentions else None
        most = min(vocabulary.longest.get(tokens[place].stem, 0) + 1, LONGEST, len(tokens) - place)
        for length in range(most, 0, -1):
            end = place + length
            if any(taken[i] or tokens[i].mark for i in range(place, end)):
                key = self._broken(line, place, end, taken)
            else:
                key = tuple(token.stem for token in tokens[place:end])
            if not key:
                continue
            if key in vocabulary.foreign:
                found.foreign.append((place, end, vocabulary.foreign[key]))
                if length > 1:  # "Sega Genesis" is not Sega
                    return [], end
                continue
            entries = vocabulary.phrases.get(key)
            if entries and (longer := _numbered(line, end, entries)):
                found.foreign.append((place, longer, "platform"))
                return [], longer
            if entries and not self._is_two(key, entries):
                mentions = self._mentions(line, place, end, entries, previous)
                if mentions:
                    return mentions, end
        if name := self._names.misspelt(line, place, taken):
            key, end = name
            mentions = self._mentions(line, place, end, vocabulary.phrases[key], previous)
            for mention in mentions:
                mention.certainty = min(_SLIP, mention.certainty)
            return mentions, end
        if (entry := vocabulary.items_at_large.get(tokens[place].stem)) and _is_told_apart(line, place):
            return [Mention(place, place + 1, "category", entry.column, (entry.value,))], place + 1
        entries = vocabulary.surnames.get(tokens[place].word)
        if entries and tokens[place].word not in FUNCTION:
            return self._names.surname(line, place, taken, entries, previous), place + 1
        return [], place

    def _is_two(self, key: tuple[str, ...], entries: Sequence[Entry]) -> bool:
        """Whether a mere synonym is two values with "and" between them: "science fiction and fantasy"."""
        if "and" not in key or any(entry.how != "synonym" for entry in entries):
            return False
        middle = key.index("and")
        sides = [self.vocabulary.phrases.get(side, ()) for side in (key[:middle], key[middle + 1 :])]
        return all(any(entry.column == entries[0].column for entry in side) for side in sides)

    def _broken(self, line: Line, start: int, end: int, taken: Sequence[bool]) -> tuple[str, ...]:
        """The key of tokens with commas between them, if a value has such; else none."""
        part = line.tokens[start:end]
        if any(taken[start:end]) or any(token.mark and token.word != "," for token in part) or part[-1].mark:
            return ()
        key = tuple(token.stem for token in part if not token.mark)
        return key if key in self.vocabulary.broken else ()

    def _mentions(
        self, line: Line, start: int, end: int, entries: Sequence[Entry], previous: Mention | None
    ) -> list[Mention]:
        usable = [entry for entry in entries if self._admissible(line, start, end, entry)]
        if not usable:
            return []
        entry = meant(self.vocabulary, line, start, end, usable, previous)
        chosen = [entry]
        if entry.how == "synonym":  # "romcom" is two of one column
            chosen = [other for other in usable if other.how == "synonym" and other.column == entry.column]
        certainty = CERTAINTY[entry.how]
        if any(token.slip for token in line.tokens[start:end]):
            certainty = min(certainty, _SLIP)
        if entry.role == "certificate" and is_upper_bound(line.before(start), line.behind(end)):
            values = up_to(entry.value, self.vocabulary.certificates[entry.column])
            return [Mention(start, end, "category", entry.column, values, certainty=certainty, settled=True)]
        return [
            Mention(
                start, end, "category", one.column, (one.value, *one.also),
                certainty=certainty, named=one.named, opposite=one.how == "opposite",
            )
            for one in chosen
        ]  # fmt: skip

    def _admissible(self, line: Line, start: int, end: int, entry: Entry) -> bool:
        """Whether the words can mean this value where they stand."""
        tokens = line.tokens[start:end]
        word = tokens[0].word
        before, behind = line.before(start), line.behind(end)
        if entry.role == "certificate":
            shown = line.said(start, end)
            telling = (
                (len(entry.value) > 2 or (len(shown) > 1 and shown.isupper()))
                and entry.how == "value"
                and not is_common(word)
            )
            letter = len(shown) == 1 and shown.isupper()
            return telling or speaks_of_rating(before, behind, letter)
        if (
            len(tokens) == 1
            and len(word) <= 2
            and is_common(word, 2000)
            and not tokens[0].capital
            and not word.isdigit()
        ):
            return word == "pc" or (bool(NOUN_BEHIND.match(behind)) and not is_common(word, 1400))
        if len(tokens) == 1 and len(word) == 1 and not tokens[0].capital:
            return False
        if entry.role == "platform":
            if word.isdigit() and len(tokens) == 1:
                return bool(re.search(r" (?:for|on|my|the|xbox) (?:my |the )?$", before)) and entry.role == "platform"
            if word == "switch" and len(tokens) == 1:
                return bool(
                    tokens[0].capital
                    or re.search(r" (?:for|on|my|the|(?:have|own|got) a) (?:my |the )?$", before)
                    or NOUN_BEHIND.match(behind)
                    or _PLATFORM_BEHIND.match(behind)
                )
            return True
        if entry.named:
            return self._names.may_be(line, start, end, entry)
        if len(tokens) == 1 and word in self._column_words:
            return bool(NOUN_BEHIND.match(behind)) and not _OWNED.search(before)
        if entry.role == "kind" and entry.how == "value" and word in ("console", "system", "device"):
            return not re.search(
                r" (?:for|on|my|any|which|what|this|to|old|new|current) (?:my |the |a |an |your )?$", before
            ) and not NOUN_BEHIND.match(behind)
        if (
            word in _YOUNG
            and re.search(r" (?:my|our|your|his|her|their)(?: \w+)? $", before)
            and not re.search(r" for (?:my|our|your) (?:\w+ )?$", before)
        ):
            return False
        if beside_capital(line, start, end):
            return False
        part = before.endswith(" the ") and _PART_OF_IT.match(behind) and not _GIVEN_UP.search(before)
        if _BELONGS_TO.match(behind) or part:
            return False
        if entry.how == "synonym" and _is_judgement(before, behind):
            return False
        if word in ("action", "horror") and before.endswith(" live "):
            return False
        if not self.has_text:
            return True
        if _INSIDE_TOPIC.search(before) and not NOUN_BEHIND.match(behind):
            return False
        topical = _BESIDE_TOPIC.search(before)
        if topical and entry.role != "kind" and len(tokens) < 3 and not NOUN_BEHIND.match(behind):
            if topical["some"]:
                return True
            return not topical["article"] and _letters(line.said(start, end)) == _letters(entry.value)
        return not re.match(r" in (?:it|them) ", behind) or bool(topical)


def _numbered(line: Line, end: int, entries: Sequence[Entry]) -> int:
    """The end of a platform with a number the catalogue does not have ("PlayStation 9"); 0 where there is none."""
    if (
        entries[0].role != "platform"
        or end >= len(line.tokens)
        or not re.fullmatch(r"\d{1,2}", line.tokens[end].word)
    ):
        return 0
    return end + 1 if not line.text[line.tokens[end - 1].end : line.tokens[end].start].strip(" -") else 0


def _is_told_apart(line: Line, place: int) -> bool:
    """Whether the word for the items at large means them and not the accessories: "actual games", "no games"."""
    before = line.before(place)
    return bool(_ACTUAL.search(before) or (_NO_SUCH.search(before) and _ENDS_THERE.match(line.behind(place + 1))))


def _is_judgement(before: str, behind: str) -> bool:
    """Whether the words before a sort make it a judgement on something: "that was so funny", not "one that is"."""
    if _THEN.search(before) and NOUN_BEHIND.match(behind):
        return False
    if behind.startswith((" that you ", " you should ", " you ask ", " enough ")) or before.endswith(" youll "):
        return True  # "funny you should ask", "you'll laugh, but"
    return bool(_JUDGED.search(before)) and not _ASKED_TO_BE.search(before)


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
