"""Names of people and firms in an utterance: whole, by surname alone, and with a slip of the fingers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from latentcrs.data.roles import Role
from latentcrs.language.extract.capitals import inside_name
from latentcrs.language.extract.contexts import ITEM_NOUNS, MAKERS, NOUN_BEHIND, PEOPLE, roles_around
from latentcrs.language.extract.english import FUNCTION, is_common
from latentcrs.language.extract.mentions import Mention
from latentcrs.language.extract.spelling import Spelling
from latentcrs.language.extract.tokens import Line, key_of, tokenise
from latentcrs.language.extract.vocabulary import CERTAINTY, Entry, Vocabulary, subjects_of

_WRITERS = 0.4
_PARTICLES = frozenset("de di del von van la le da mc".split())
_SUBJECTS = frozenset(key[0] for key in subjects_of("subject") if len(key) == 1)
_ENDS_NAME = re.compile(
    rf"^ (?:$|[.,/?+]|and |or |is |was |as |in |please |maybe |directed |fan |style |type |brothers? |bros |"
    rf"sisters? |"
    rf"(?:{'|'.join(sorted(ITEM_NOUNS))})(?:s|es)? |\d)"
)
"""What stands behind a surname that begins a sentence."""
_FAMILY = re.compile(r"^ (?:brothers?|bros|sisters?|siblings?|twins) ")
_BY = re.compile(r" (?:by|starring|director|actor|actress) (?:the |either |both )?$")
_PLACE = re.compile(r" (?:in|at|to|of|near|around|about|from) $")


class Names:
    """Finds the names of one catalogue."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._names = Spelling(vocabulary.bearers)
        self._forenames = {key[0] for keys in vocabulary.bearers.values() for key in keys}

    def may_be(self, line: Line, start: int, end: int, entry: Entry) -> bool:
        """A name made of common words needs a capital, or words that say it is a name."""
        tokens = line.tokens[start:end]
        word = tokens[0].word
        if len(tokens) == 1 and not tokens[0].capital and tokens[0].stem in _SUBJECTS:
            return roles_around(line.before(start), line.behind(end))[1]
        limit = 7000 if entry.role in MAKERS else 9000
        if len(tokens) == 1 and (word in FUNCTION or not (entry.how == "synonym" or _as_written(entry.value, word))):
            return False
        if entry.how == "part" and len(tokens) == 1 and inside_name(line, start, end, self._forenames):
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
        return entry.role in MAKERS and len(tokens) > 1 and bool(NOUN_BEHIND.match(line.behind(end)))

    def surname(
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
        if capital and inside_name(line, start, place + 1, self._forenames):
            return []
        by = bool(_BY.search(before))
        if common:
            film = NOUN_BEHIND.match(behind) and not is_common(token.word, 3500)
            if not capital or not (by or film):
                return []
        else:
            by = by or roles_around(before, behind)[1]
        if not (capital or by) or (token.begins and not by and not _ENDS_NAME.match(behind)):
            return []
        if not by and _PLACE.search(before) and entries[0].role not in MAKERS:
            return []
        entry = meant(self.vocabulary, line, place, place + 1, list(entries), previous)
        family = self.vocabulary.family(token.word, entry.column) if _FAMILY.match(behind) else ()
        if entry.count < 2 and not (by or family):
            return []
        values = family or (entry.value,)
        return [Mention(start, place + 1, "category", entry.column, values, certainty=CERTAINTY["short"], named=True)]

    def misspelt(self, line: Line, place: int, taken: Sequence[bool]) -> tuple[tuple[str, ...], int] | None:
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


def meant(
    vocabulary: Vocabulary, line: Line, start: int, end: int, entries: Sequence[Entry], previous: Mention | None
) -> Entry:
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
            roles, sure = (vocabulary.roles[previous.column],), False
    pool = list(entries) if sure else exact
    for role in roles:
        wanted: tuple[Role, ...] = MAKERS if role in MAKERS and not sure else (role,)
        of_role = [entry for entry in pool if entry.role in wanted]
        if of_role:
            return max(of_role, key=lambda entry: (entry.how == "value", entry.count))
    return best


def _as_written(value: str, word: str) -> bool:
    """Whether `word` stands so in a name, plural ending and all: "zombies" is not the studio Zombie."""
    return any(token.word == word for token in tokenise(value).tokens)


def _prominence(entry: Entry) -> float:
    """How likely a name alone means this column: people think of those who wrote a film last."""
    return entry.count * (_WRITERS if entry.role == "writer" else 1)
