"""Values of the catalogue's category columns in an utterance."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from latentcrs.data.roles import Role
from latentcrs.language.extract.certificates import is_upper_bound, speaks_of_rating, up_to
from latentcrs.language.extract.contexts import (
    ITEM_NOUNS,
    MAKERS,
    NOT_TO_BE_WITH,
    PEOPLE,
    roles_around,
)
from latentcrs.language.extract.english import FUNCTION, is_common
from latentcrs.language.extract.mentions import Mention
from latentcrs.language.extract.spelling import Spelling
from latentcrs.language.extract.tokens import Line, key_of, tokenise
from latentcrs.language.extract.vocabulary import CERTAINTY, LONGEST, Entry, Vocabulary, subjects_of

_SLIP = 0.6
_YOUNG = frozenset("kids kid children child family".split())
_WRITERS = 0.4
_PARTICLES = frozenset("de di del von van la le da mc".split())
_BESIDE_TOPIC = re.compile(
    r" (?:(?<!how )(?<!what )(?<!mind )(?<!forget )(?<!care )(?<!thinking )about|involving|involves?|featuring|"
    rf"{NOT_TO_BE_WITH}with|that has|that have|which has|should have|must have|to do with|theres|there is|there are) "
    r"(?:(?P<article>a|an|the|his|her|two|their|my|its) |"
    r"(?P<some>some|lots of|plenty of|a lot of|a bit of|a touch of|elements of) )?$"
)
_INSIDE_TOPIC = re.compile(
    r" (?<!how )(?<!what )(?:about|set (?:in|during)) (?:a|an|the) (?!good |great |nice |funny |scary )\w+ $"
)
_SUBJECTS = frozenset(key[0] for key in subjects_of("subject") if len(key) == 1)
_ACTUAL = re.compile(r" (?:actual|real|proper|not the|just the|only the) $")
"""In front of the word for the items at large, where a column tells them from accessories: "actual games"."""
_ENDS_NAME = re.compile(
    rf"^ (?:$|[.,/?+]|and |or |is |was |as |in |please |maybe |directed |fan |style |type |brothers? |bros |"
    rf"sisters? |"
    rf"(?:{'|'.join(sorted(ITEM_NOUNS))})(?:s|es)? |\d)"
)
"""What stands behind a surname that begins a sentence."""
_FAMILY = re.compile(r"^ (?:brothers?|bros|sisters?|siblings?|twins) ")
_BY = re.compile(r" (?:by|starring|director|actor|actress) (?:the |either |both )?$")
_PLACE = re.compile(r" (?:in|at|to|of|near|around|about|from) $")
_OWNED = re.compile(
    r" (?:my|your|our|his|her|any|which|what|this|that|another|every|each) (?:own |old |new |favou?rite )?$"
)
_NOUN_BEHIND = re.compile(rf"^ (?:(?:{'|'.join(sorted(ITEM_NOUNS))})(?:s|es)? |accessor|consoles? |controllers? )")
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
        self._names = Spelling(vocabulary.bearers)
        self._forenames = {key[0] for keys in vocabulary.bearers.values() for key in keys}
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
        if name := self._misspelt_name(line, place, taken):
            key, end = name
            mentions = self._mentions(line, place, end, vocabulary.phrases[key], previous)
            for mention in mentions:
                mention.certainty = min(_SLIP, mention.certainty)
            return mentions, end
        if (entry := vocabulary.items_at_large.get(tokens[place].stem)) and _ACTUAL.search(line.before(place)):
            return [Mention(place, place + 1, "category", entry.column, (entry.value,))], place + 1
        entries = vocabulary.surnames.get(tokens[place].word)
        if entries and tokens[place].word not in FUNCTION:
            return self._surname(line, place, taken, entries, previous), place + 1
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
        entry = self._chosen(line, start, end, usable, previous)
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

    def _chosen(self, line: Line, start: int, end: int, entries: Sequence[Entry], previous: Mention | None) -> Entry:
        """The column that the words around name, else that in which the value stands most often."""
        if len(entries) == 1:
            return entries[0]
        exact = [entry for entry in entries if entry.how == "value"] or list(entries)
        best = max(exact, key=_prominence)
        if not any(entry.named for entry in entries):
            before = set(line.before(start, 30).split()) | set(line.behind(end, 15).split())
            called = [entry for entry in entries if before & set(key_of(entry.column.replace("_", " ")))]
            return max(called, key=lambda entry: entry.count) if called else best
        roles, sure = roles_around(line.before(start), line.behind(end))
        if not roles and previous and previous.named:
            joined = re.fullmatch(r" (?:and|or|,|, and|, or|with|&) ", line.between(previous.end, start))
            if joined:
                roles, sure = (self.vocabulary.roles[previous.column],), False
        pool = list(entries) if sure else exact
        for role in roles:
            wanted: tuple[Role, ...] = MAKERS if role in MAKERS and not sure else (role,)
            of_role = [entry for entry in pool if entry.role in wanted]
            if of_role:
                return max(of_role, key=lambda entry: (entry.how == "value", entry.count))
        return best

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
            return word == "pc" or (bool(_NOUN_BEHIND.match(behind)) and not is_common(word, 1400))
        if len(tokens) == 1 and len(word) == 1 and not tokens[0].capital:
            return False
        if entry.role == "platform":
            if word.isdigit() and len(tokens) == 1:
                return bool(re.search(r" (?:for|on|my|the|xbox) (?:my |the )?$", before)) and entry.role == "platform"
            if word == "switch" and len(tokens) == 1:
                return bool(
                    tokens[0].capital
                    or re.search(r" (?:for|on|my|the|(?:have|own|got) a) (?:my |the )?$", before)
                    or _NOUN_BEHIND.match(behind)
                    or _PLATFORM_BEHIND.match(behind)
                )
            return True
        if entry.named:
            return self._may_be_name(line, start, end, entry)
        if len(tokens) == 1 and word in self._column_words:
            return bool(_NOUN_BEHIND.match(behind)) and not _OWNED.search(before)
        if entry.role == "kind" and entry.how == "value" and word in ("console", "system", "device"):
            return not re.search(
                r" (?:for|on|my|any|which|what|this|to|old|new|current) (?:my |the |a |an |your )?$", before
            ) and not _NOUN_BEHIND.match(behind)
        if (
            word in _YOUNG
            and re.search(r" (?:my|our|your|his|her|their)(?: \w+)? $", before)
            and not re.search(r" for (?:my|our|your) (?:\w+ )?$", before)
        ):
            return False
        if _beside_capital(line, start, end):
            return False
        if _BELONGS_TO.match(behind) or (before.endswith(" the ") and _PART_OF_IT.match(behind)):
            return False
        if entry.how == "synonym" and _is_judgement(before, behind):
            return False
        if word in ("action", "horror") and before.endswith(" live "):
            return False
        if not self.has_text:
            return True
        if _INSIDE_TOPIC.search(before) and not _NOUN_BEHIND.match(behind):
            return False
        topical = _BESIDE_TOPIC.search(before)
        if topical and entry.role != "kind" and len(tokens) < 3 and not _NOUN_BEHIND.match(behind):
            if topical["some"]:
                return True
            return not topical["article"] and _letters(line.said(start, end)) == _letters(entry.value)
        return not re.match(r" in (?:it|them) ", behind) or bool(topical)

    def _may_be_name(self, line: Line, start: int, end: int, entry: Entry) -> bool:
        """A name made of common words needs a capital, or words that say it is a name."""
        tokens = line.tokens[start:end]
        word = tokens[0].word
        if len(tokens) == 1 and not tokens[0].capital and tokens[0].stem in _SUBJECTS:
            return roles_around(line.before(start), line.behind(end))[1]
        limit = 7000 if entry.role in MAKERS else 9000
        if len(tokens) == 1 and (word in FUNCTION or not (entry.how == "synonym" or _as_written(entry.value, word))):
            return False
        if entry.how == "part" and len(tokens) == 1 and _inside_name(line, start, end, self._forenames):
            return False
        if not all(is_common(token.word, limit) for token in tokens):
            return True
        if len(tokens) > 1 and entry.role in PEOPLE and not is_common(tokens[-1].word, 2600):
            return True
        if any(token.capital and not token.begins for token in tokens) and (
            len(tokens) > 1 or entry.role in MAKERS or roles_around(line.before(start), line.behind(end))[0]
        ):
            return True
        roles, sure = roles_around(line.before(start), line.behind(end))
        if sure or (entry.role in MAKERS and roles[:1] and roles[0] in ("creator", "publisher")):
            return entry.how == "value" or (sure and any(token.capital for token in tokens))
        return entry.role in MAKERS and len(tokens) > 1 and bool(_NOUN_BEHIND.match(line.behind(end)))

    def _surname(
        self, line: Line, place: int, taken: Sequence[bool], entries: Sequence[Entry], previous: Mention | None
    ) -> list[Mention]:
        token = line.tokens[place]
        before, behind = line.before(place), line.behind(place + 1)
        common = is_common(token.word, 12000)
        capital = token.capital and (not token.begins or not common)
        leading = line.tokens[place - 1] if place else None
        start = place
        if leading and leading.word in _PARTICLES and not taken[place - 1]:
            start = place - 1
        if capital and _inside_name(line, start, place + 1, self._forenames):
            return []
        by = bool(_BY.search(before))
        if common:
            film = _NOUN_BEHIND.match(behind) and not is_common(token.word, 3500)
            if not capital or not (by or film):
                return []
        else:
            by = by or roles_around(before, behind)[1]
        if not (capital or by) or (token.begins and not by and not _ENDS_NAME.match(behind)):
            return []
        if not by and _PLACE.search(before) and entries[0].role not in MAKERS:
            return []
        entry = self._chosen(line, place, place + 1, list(entries), previous)
        family = self.vocabulary.family(token.word, entry.column) if _FAMILY.match(behind) else ()
        if entry.count < 2 and not (by or family):
            return []
        values = family or (entry.value,)
        return [Mention(start, place + 1, "category", entry.column, values, certainty=CERTAINTY["short"], named=True)]

    def _misspelt_name(self, line: Line, place: int, taken: Sequence[bool]) -> tuple[tuple[str, ...], int] | None:
        """A name of two words or more of which one is a slip of the fingers and the rest is right."""
        tokens, bearers = line.tokens, self.vocabulary.bearers
        for length in (2, 3):
            end = place + length
            if end > len(tokens) or any(taken[i] or tokens[i].mark for i in range(place, end)):
                return None
            words = [token.stem for token in tokens[place:end]]
            right = [word in bearers for word in words]
            for wrong in range(length):
                others = [i for i in range(length) if i != wrong]
                if not all(right[i] for i in others) or len(tokens[place + wrong].word) < 3:
                    continue
                # "Murray" is English to the vocabulary, "Muray" is not; a slip may make another name's word.
                raw = tokens[place + wrong]
                if not raw.capital and is_common(raw.word, 20000):
                    continue
                near = [
                    (*words[:wrong], meant, *words[wrong + 1 :])
                    for meant in self._names.near(raw.word) | self._names.near(raw.stem)
                ]
                known = [key for key in near if any(e.named for e in self.vocabulary.phrases.get(key, ()))]
                if len(known) == 1:
                    return known[0], end
        return None


def _as_written(value: str, word: str) -> bool:
    """Whether `word` stands so in a name, plural ending and all: "zombies" is not the studio Zombie."""
    return any(token.word == word for token in tokenise(value).tokens)


def _numbered(line: Line, end: int, entries: Sequence[Entry]) -> int:
    """The end of a platform with a number the catalogue does not have ("PlayStation 9"); 0 where there is none."""
    if (
        entries[0].role != "platform"
        or end >= len(line.tokens)
        or not re.fullmatch(r"\d{1,2}", line.tokens[end].word)
    ):
        return 0
    return end + 1 if not line.text[line.tokens[end - 1].end : line.tokens[end].start].strip(" -") else 0


def _inside_name(line: Line, start: int, end: int, forenames: Container[str]) -> bool:
    """Whether capitals go on at either side: a longer name, which the catalogue does not have."""
    first, last = line.tokens[start], line.tokens[end - 1]
    before = line.tokens[start - 1] if start else None
    behind = line.tokens[end] if end < len(line.tokens) else None
    goes_on = behind is not None and behind.capital and behind.start - last.end == 1 and behind.stem not in ITEM_NOUNS
    led = before is not None and before.capital and first.start - before.end == 1
    if led and before is not None and before.begins:  # where any word has a capital
        led = before.word in forenames and not is_common(before.word, 4000)
    return first.capital and (goes_on or led)


def _beside_capital(line: Line, start: int, end: int) -> bool:
    """Whether it is part of a title, by its capitals in the middle of a sentence: "Infinity War", "War Horse"."""
    first = line.tokens[start]
    if not first.capital or first.begins or sum(token.capital for token in line.tokens) > 0.6 * len(line.tokens):
        return False
    for place in (start - 1, end):
        if not 0 <= place < len(line.tokens):
            continue
        other = line.tokens[place]
        gap = first.start - other.end if place < start else other.start - line.tokens[end - 1].end
        if other.capital and not other.begins and gap == 1 and other.stem not in ITEM_NOUNS and len(other.word) > 2:
            return not line.known[place]
    return False


def _is_judgement(before: str, behind: str) -> bool:
    """Whether the words before a sort make it a judgement on something: "that was so funny", not "one that is"."""
    if _THEN.search(before) and _NOUN_BEHIND.match(behind):
        return False
    return bool(_JUDGED.search(before)) and not _ASKED_TO_BE.search(before)


def _prominence(entry: Entry) -> float:
    """How likely a name alone means this column: people think of those who wrote a film last."""
    return entry.count * (_WRITERS if entry.role == "writer" else 1)


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
