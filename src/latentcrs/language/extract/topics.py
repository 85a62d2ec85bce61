"""What a plot is to be about: words behind "about", "with", "involving", that some item's text says."""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Sequence

from latentcrs.language.extract.capitals import inside_capitals, is_forename
from latentcrs.language.extract.contexts import ITEM_NOUNS, NOT_TO_BE_WITH
from latentcrs.language.extract.english import FUNCTION, is_english, is_listed, says_nothing
from latentcrs.language.extract.tokens import Line, Token, stem
from latentcrs.language.extract.vocabulary import subjects_of
from latentcrs.language.extract.what_texts_say import Texts
from latentcrs.words import word_list

Span = tuple[int, int, tuple[str, ...]]
MOST = 8
"""Topics heard in one utterance."""
_TRIGGER = re.compile(
    r"(?<= )(?:(?<!what )(?<!how )(?<!think )(?<!know )(?<!sure )(?<!talk )(?<!forget )(?<!mind )(?<!care )"
    r"(?<!thinking )(?<!excited )(?<!picky )(?<!wondering )(?<!talking )(?<!way )(?<!feel )about|"
    rf"{NOT_TO_BE_WITH}with|involving|involves?|featuring|features?|revolving around|revolves? around|"
    r"cent(?:red|ered) (?:on|around)|focus(?:es|ed|ing)? on|deals? with|dealing with|"
    r"(?:has|have|had|having) to do with|"
    r"set (?:in|on|during|at|around)|(?:takes?|taking) place (?:in|on|during|at)|story of|tale of|concerning|"
    r"based on|"
    r"(?:where|in which) (?:i|you|we) (?:can|get to|could|have to|may) \w+(?: up)?(?= (?:a|an|the|my|your|our) )|"
    r"documentar(?:y|ies) on|there is|there are|theres|where there is|where there are|where|in which|"
    r"(?:that|which|should|must|(?:has|needs|want it|want them) to) have|(?:that|which|it) has|including|contains?|"
    r"containing|"
    r"(?<!i )(?<!we )(?:dont|doesnt|do not|does not|without|not|shouldnt|cant) (?:have|having|contain|involve|"
    r"include|show)|"
    r"(?:id like|love|want|to see|need|prefer|would like|includes?|without)(?= (?:\S+ ){1,5}in (?:it|them) )"
    r")(?= )"
)
_DETERMINER = re.compile(
    r"^(?: (?:a|an|the|some|any|too much|too many|so much|that much|much|many|all the|lots of|lot of|plenty of|"
    r"loads of|of|two|three|four|several|many|his|her|their|"
    r"my|its|kind of|sort of|bit of|lot|bunch of|group of|pair of|couple of|theme|themes|topic|topics|"
    r"elements?|subject|story|stories))*(?= )"
)
_HERE = "latentcrs.language.extract"
_PEOPLE_AROUND = word_list(_HERE, "topics", "people_around")
EMPTY = (ITEM_NOUNS - {"music"}) | word_list(_HERE, "topics", "empty")
"""Words that say how good or how something is, or nothing: no topics."""
_NO_NOUNS = word_list(_HERE, "topics", "no_nouns")
_TALK = word_list(_HERE, "topics", "talk")
_ARTS = frozenset("music book song game band".split())
"""Words for items that a plot may be about, behind "about"."""
_STOPS = re.compile(
    r" (?:[.,\"/+<>=-]|and|or|but|in it|in them|in the title|in|on|from|by|starring|featuring|that|which|who|"
    r"whose|where|when|"
    r"while|with|for|of|directed|written|made|released|set|please|thanks|if|is|are|was|were|to|at|involving|"
    r"about|as|because|so|"
    r"you|i|id|im|any|would|should|could|can|what|rated|ideally|preferably|maybe|perhaps|not|no|without|into|"
    r"than|play|plays|"
    r"worth|it|does|do|will|must|has|have|out|before|after|during|against|trying|being|going|fighting|looking|"
    r"would|got|under|over) "
)


_IN_FRONT = frozenset("time video game movie film music book".split())


class Topics:
    """Hears what the items of a catalogue are to be about: words that some of its `texts` say."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def spans(self, line: Line, taken: Sequence[bool]) -> list[Span]:
        """Topics of `line` as (start, end, words), in order; `taken` are tokens that mean something else."""
        out: list[Span] = []
        for match in _TRIGGER.finditer(line.line):
            if len(out) >= MOST:
                break
            lead = match.group()
            end = match.end()
            while True:
                behind = line.line[end : end + 120]
                skipped = _DETERMINER.match(behind)
                first = line.first_token(end + (skipped.end() if skipped else 0) + 1)
                determiner = skipped.group().split() if skipped else []
                alone = lead == "with" and not {"a", "an", "two", "three", "his", "her"} & set(determiner)
                found = self._topic(line, first, taken, lead, alone)
                if not found:
                    break
                out.append(found)
                joined = re.match(
                    r"^ (?:,|and|or|, and|, or)(?= )",
                    line.line[line.at[found[1] - 1] + len(line.tokens[found[1] - 1].word) :][:8],
                )
                if not joined or len(out) >= MOST:
                    break
                end = line.at[found[1] - 1] + len(line.tokens[found[1] - 1].word) + joined.end()
        return _apart(out)

    def _topic(self, line: Line, first: int, taken: Sequence[bool], lead: str, alone: bool) -> Span | None:
        tokens = line.tokens
        if first >= len(tokens) or taken[first] or (tokens[first].word in _PEOPLE_AROUND and alone):
            return None
        if lead in ("with", "without", "where", "in which") and tokens[first].word in FUNCTION:
            return None
        last = first
        most = 1 if lead in ("where", "in which") else 4
        while last < len(tokens) and last - first < most and not taken[last] and not _stops(tokens[last].word):
            last += 1
        words = [token.word for token in tokens[first:last]]
        name = tokens[first].capital and not tokens[first].begins
        art = lead == "about" and len(words) == 1 and stem(words[0]) in _ARTS
        while words and words[0] in EMPTY and not art and not (len(words) > 1 and (name or words[0] in _IN_FRONT)):
            words, first = words[1:], first + 1
        if not words:
            return None
        words = [self._texts.put_right(word) or word for word in words]
        least = max(0, len(words) - 2)
        if name and len(words) == 1 and inside_capitals(line, first):
            return None
        if name:  # "about June Carter" is not about June
            capitals = next((i for i, token in enumerate(tokens[first:last]) if not token.capital), last - first)
            least = max(least, capitals - 1)
        for end in range(len(words), least, -1):
            for start in range(1 if name else end):
                part = words[start:end]
                art = lead == "about" and stem(part[-1]) in _ARTS
                empty = not art and (part[-1] in EMPTY or stem(part[-1]) in EMPTY)
                if empty or says_nothing(part[-1]) or len("".join(part)) < 3:
                    continue
                cut = end < len(words)  # "a catchy name" is not about anything
                if cut and not (is_english(part[-1]) and self._is_noun(tokens[first + end - 1])):
                    continue
                if said := self._texts.said(part):
                    return first + start, first + end, said
        return None

    def is_series(self, line: Line, start: int, end: int) -> bool:
        """Whether a title stands for all that has its characters: "a James Bond movie", "Star Wars games"."""
        words = line.words(start, end)
        behind = end < len(line.tokens) and line.tokens[end].stem in _THINGS
        named = behind and not _ONE_OF_SERIES.search(line.before(start)) and not _WERE.match(line.behind(end))
        return bool(named and words and self._texts.said(words))

    def subjects(self, line: Line, taken: Sequence[bool], sorts: Container[int]) -> list[Span]:
        """What plots are known to be about ("zombies", "a heist"), and settings in front of a word for the items or
        of one of `sorts`, tokens at which a sort of item begins: "a space documentary".
        """
        out: list[Span] = []
        place = 0
        while place < len(line.tokens) and len(out) < MOST:
            end = next((e for e in range(place + 3, place, -1) if self._subject(line, place, e, taken, sorts)), 0)
            if end:
                longer = self._goes_on(line, end, taken) and self._texts.said(line.words(place, end + 1))
                said = longer or self._texts.said(self._subject(line, place, end, taken, sorts))
                out.append((place, end + bool(longer), said))
            place = end or place + 1
        return out

    def _goes_on(self, line: Line, end: int, taken: Sequence[bool]) -> bool:
        """Whether the word behind a subject belongs to it: "a dragon ball game"."""
        if end + 1 >= len(line.tokens) or taken[end] or line.tokens[end + 1].stem not in _THINGS:
            return False
        return not (line.tokens[end].mark or {line.tokens[end].word} & (FUNCTION | EMPTY))

    def _subject(
        self, line: Line, start: int, end: int, taken: Sequence[bool], sorts: Container[int]
    ) -> tuple[str, ...]:
        """The words for what tokens start..end are about, if they are a subject and some text says it."""
        if end > len(line.tokens) or any(taken[start:end]):
            return ()
        key = tuple(token.stem for token in line.tokens[start:end])
        words = subjects_of("subject").get(key) or subjects_of("setting").get(key) or ()
        if not words or not self._texts.said(words):
            return ()
        if start and is_forename(line.tokens[start - 1], line.tokens[start]):  # "Infinity War"
            return ()
        if key == ("school",) and line.before(start).endswith(" old "):
            return ()
        in_front = end in sorts or (end < len(line.tokens) and line.tokens[end].stem in _THINGS)
        return words if in_front or key in subjects_of("subject") else ()

    def before_nouns(self, line: Line, taken: Sequence[bool], titles: Container[tuple[str, ...]]) -> list[Span]:
        """Topics in front of the word for the items at large: a noun, which texts show by using it in the plural ("a
        submarine movie"), or a name, which is no English word or (a part of) a title ("a star wars game").
        """
        out: list[Span] = []
        for place, (token, noun) in enumerate(itertools.pairwise(line.tokens)):
            if taken[place] or token.mark or noun.stem not in _THINGS or len(out) == MOST:
                continue
            named = [line.tokens[i] for i in range(max(0, place - 1), place + 1)]
            if len(named) == 2 and not taken[place - 1] and tuple(part.stem for part in named) in titles:
                words = [part.word for part in named]
                if not {*words} & (EMPTY | FUNCTION) and (said := self._texts.said(words)):
                    out.append((place - 1, place + 1, said))
                    continue
            if not self._is_noun(token) or (place and line.tokens[place - 1].word in _SPEAKERS):
                continue
            first = (
                place - 1
                if place and self._goes_with(line.tokens[place - 1], token.word, taken[place - 1])
                else place
            )
            if token.capital and not token.begins and _ONE_OF_SERIES.search(line.before(first)):
                continue
            if first == place and place and is_forename(line.tokens[place - 1], token):
                continue
            out.append((first, place + 1, self._texts.said([part.word for part in line.tokens[first : place + 1]])))
        return out

    def _is_noun(self, token: Token) -> bool:
        """Whether texts say it, seldom enough to tell items apart, and it is a noun or a name."""
        word = token.word
        if says_nothing(word) or {word, token.stem} & (EMPTY | _TALK | _NO_NOUNS) or len(word) < 4:
            return False
        plurals = (word[:-1] + "ies", word + "s", word + "es")
        count = sum(map(self._texts.count, (word, *plurals)))
        if not 0 < count <= max(10, len(self._texts) // 20):
            return False
        if (not is_english(word) and count > 1) or (token.capital and not token.begins):
            return True
        noun_like = any(self._texts.count(plural) or is_listed(plural) for plural in plurals)
        return noun_like and not word.endswith(
            ("ly", "ing", "ed", "y", "er", "est", "ic", "al", "ive", "ful", "less", "ous")
        )

    def _goes_with(self, token: Token, word: str, taken: bool) -> bool:
        """Whether `token` and the noun behind it are one thing: "prison escape"."""
        free = not (taken or token.mark or token.word in FUNCTION or token.word in EMPTY)
        return free and bool(self._texts.said([token.word, word]))

    def bare(self, line: Line, taken: Sequence[bool]) -> list[Span]:
        """Topics among keywords ("Donald Sutherland horror captain", "a captain, 1980s"): what is left over in a part
        between marks that is no sentence.
        """
        parts: list[list[int]] = [[]]
        for i, token in enumerate(line.tokens):
            if token.mark:
                parts.append([])
            elif not taken[i] and token.word in FUNCTION and token.word not in _AMONG_KEYWORDS:
                return []
            else:
                parts[-1].append(i)
        parts = [part for part in parts if part]
        if not any(taken) or any(token.word == "." for token in line.tokens[:-1]):
            return []
        out: list[Span] = []
        for part in parts:
            left = [i for i in part if not taken[i]]
            leading = _LEADING if len(parts) > 1 else _ASKING
            while left and line.tokens[left[0]].word in leading:
                left = left[1:]
            words = [line.tokens[i].word for i in left]
            telling = [i for i in left if line.tokens[i].stem not in ITEM_NOUNS]
            if telling and len(telling) <= 3 and not any(word in FUNCTION for word in words):
                out += self._keywords(line, telling)
        return _apart(out[:MOST])

    def _keywords(self, line: Line, telling: Sequence[int]) -> list[Span]:
        out: list[Span] = []
        place = 0
        while place < len(telling):
            first = telling[place]
            pair = place + 1 < len(telling) and telling[place + 1] == first + 1
            for length in (2, 1) if pair else (1,):
                part = [line.tokens[first + k].word for k in range(length)]
                usable = not any(
                    word in EMPTY or stem(word) in EMPTY or word in _TALK or says_nothing(word) for word in part
                )
                if length == 1 and inside_capitals(line, first):
                    continue
                if usable and len(part[-1]) > 2 and (said := self._texts.said(part)):
                    out.append((first, first + length, said))
                    place += length - 1
                    break
            place += 1
        return out


_AMONG_KEYWORDS = frozenset(
    "a an the some from with by in of on for and or about to until before after since".split()
)
_THINGS = frozenset("movie film flick game book novel show series".split())
_ONE_OF_SERIES = re.compile(
    r" (?:the|that|this|these|those|first|last|second|all|(?<!i )(?<!we )(?<!really )(?<!also )like|called|named|"
    r"seen|saw|watched|similar to)(?: the)? $"
)
_WERE = re.compile(r" \w+ (?:was|were) ")
_SPEAKERS = frozenset("i we you they to id ill lets dont really please not never would could can will".split())
"""In front of verbs: "I prefer movies"."""
_ASKING = frozenset("please need looking for search add plus also".split())
_LEADING = _ASKING | {"a", "an", "the", "some"}


def _stops(word: str) -> bool:
    return bool(_STOPS.fullmatch(f" {word} "))


def _apart(spans: Sequence[Span]) -> list[Span]:
    out: list[Span] = []
    for span in sorted(set(spans)):
        if not out or span[0] >= out[-1][1]:
            out.append(span)
    return out
