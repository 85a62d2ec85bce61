"""How things are said: denied, wished, insisted on, taken back, only spoken of; and which words that covers."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from latentcrs.language.extract.english import says_nothing
from latentcrs.language.extract.mentions import Mention
from latentcrs.language.extract.talk import Asides
from latentcrs.language.extract.tokens import Line
from latentcrs.language.extract.topics import EMPTY

_ADVERB = (
    r"(?:(?:really|very|too|so|just|particularly|actually|ever|even|necessarily|quite|truly|especially|all that|that|"
    r"exactly|super|also|always|usually|generally|currently|personally) )*"
)
_NOT_WANTED = (
    r"want|like|liked|enjoy|enjoyed|feel like|feel|give|show|recommend|suggest|include|fancy|care for|be|have|watch|"
    r"play|listen|love|go for|contain|get|involve|dig|appreciate|do|bring|offer|pick|wanna|feature|see|hear|read|buy|"
    r"crave|go|send|say|mean|come"
)
_HARDLY = (
    r"not (?:particularly|especially|overly|all that|that|so|too) (?:interested in|keen on|fond of|into|much|many)|"
    r"not (?:really )?(?:a |the )?(?:huge|biggest) fan of|not too|less(?! than)|fewer(?! than)"
)
"""Denials that are only wishes."""
_DENIED = re.compile(
    r"(?<= )(?!wouldnt say no )(?:"
    r"not (?:really |actually |exactly )?(?:looking for|after|in the mood for|asking for|searching for|here for)|"
    r"stop (?:showing|giving|recommending|suggesting)(?: me| us)?|"
    r"dont think (?:i|id|we|wed) (?:really |would |do )?(?:want|like|need|feel like|fancy|enjoy)|"
    r"(?<!say )no(?! (?:idea|ideas|problem|worries|preference|preferences|clue|thanks|thank|need|matter|one|"
    r"doubt|particular|"
    r"rush|wait|offence|offense|budget|more than|less than|longer|later|earlier|older|newer|i |it |that |not |"
    r"actually|"
    r", |\. |$))(?: more)?"
    rf"|not(?! (?:{_ADVERB})(?:sure|only|just|bad|simply|merely|certain|that i|yet|fussy|picky|bothered|limited|mind|"
    r"important|long|much preference)\b)"
    r"|without|w / o|minus|except(?: for| maybe)?|excluding|exclude|excludes|avoid|avoids|avoiding|sans|other than|"
    r"apart from|aside from|besides|instead of|rather than|(?:anything|everything|all|anyone|any|"
    r"everyone) but(?! (?:i|im|id|ive|we|my|it|if) )|"
    r"neither|"
    r"nor|none of|never|non|anti"
    rf"|(?:(?:do|does|did|would|could|should|must|shall|can|will|is|are|am|im)(?:nt| not)|cant|"
    rf"cannot) (?:{_ADVERB})(?:{_NOT_WANTED})"
    rf"|dont (?:{_ADVERB})(?:{_NOT_WANTED})|wont (?:{_ADVERB})(?:{_NOT_WANTED})"
    r"|hate|hates|hated|dislike|dislikes|disliked|despise|loathe|detest|abhor"
    r"|(?:cant|cannot|can not|couldnt)(?: really)? (?:stand|take|handle|bear|tolerate|deal with|do|stomach)"
    r"|(?:sick|tired|bored|weary|sick and tired) (?:of|with)|fed up (?:of|with)|(?:had |seen )?enough (?:of|with)|"
    r"allergic to|isnt|arent|wasnt|stay away from|keep away from|steer clear of|stay clear of|less(?! than)|skip|"
    r"hold the|nothing(?! (?:but|fancy|in particular|specific|special|else|older|newer|earlier|later|more|less|"
    r"against|"
    r"beats|like)\b)|not (?:interested|keen|fond) (?:in|on|of)|not into|no fan of|not (?:really )?(?:a |"
    r"much of a )?(?:big |huge )?fan of"
    rf"|{_HARDLY}"
    r")(?= )"
)
_TAKEN_BACK = re.compile(
    r"(?<= )(?:drop|forget(?: about)?|never ?mind(?: about)?|scrap|ditch|ignore|lose|remove|cancel|disregard|"
    r"leave (?:out|off)|take (?:back|away|off|out)|get rid of|strike|undo|screw|"
    r"(?:doesnt|does not|dont|do not|didnt|neednt|no longer)(?: (?:really|actually|necessarily|even|absolutely|"
    r"always))* "
    r"(?:(?:have|has|got) to|need|needs)(?: to)?(?: (?:be|have|star|come|feature|involve|include|say))?|"
    r"need not be|neednt be|(?:theres )?no need (?:for|to be)|"
    r"(?:dont|do not)(?: really| actually)? (?:care|mind) (?:about|if|whether|which|what)(?: it is| its| it)?|"
    r"(?:doesnt|does not|dont)(?: really)? matter (?:if|whether|which|what)(?: it is| its| it)?|"
    r"not necessarily|dont insist on|changed my mind about|no longer (?:want|need|care about)|any|whatever|which"
    r")(?= )"
)
_ALWAYS_BACK = re.compile(r"^(?:any|whatever|which)$")  # take back bare column words only: "any year"
_PASSED_OVER = re.compile(
    r"(?<= )(?:(?:not|dont)(?: (?:want|like|need|really|necessarily))*(?: (?:only|just|simply|merely))|"
    r"(?:dont|do not|wouldnt|would not) (?:really )?mind|cant decide (?:between|on)|"
    r"what (?:is|are) (?:a |an )?(?!(?:some|any|the|your|good|great|best|really)\b)"
    r")(?= )"
)
_NOT_ONLY = re.compile(r"(?:only|just|simply|merely)$")
_BUT_ALSO = re.compile(r"(?: [^ .]+){1,8} but ")
_WISHED = re.compile(
    rf"(?<= )(?:{_HARDLY}|wouldnt say no to|if you ask me|"
    r"ideally|preferably|preferrably|preferable|preferred|(?:maybe|perhaps|possibly)(?! (?:you|can|could) )|"
    r"hopefully|"
    r"optionally|"
    r"(?:might|may) (?:like|enjoy|want|love|be up for|be in the mood for|be interested in|go for|be into|"
    r"prefer)|"
    r"(?:tend|tends|tended) to (?:like|enjoy|prefer|go for|love|watch|play|listen to|be into|be drawn to|lean "
    r"toward|lean towards|pick|choose)|"
    r"(?:usually|normally|generally|typically|often|sometimes|mostly|mainly) (?:like|enjoy|prefer|go for|love|"
    r"watch|play|listen to|into|pick|choose|im into)|"
    r"(?:id |i would |would |i d |i |wed )?(?:rather )?prefer(?: it)?(?: to)?|(?:a |slight |my )?preference "
    r"(?:for|is|would be)|"
    r"bonus(?: points)?(?: if| for)?|(?:a )?plus if|extra points(?: if| for)?|wouldnt (?:\w+ )?mind|would not mind|"
    r"(?:would|itd|it d|itll)(?: \w+)? (?:nice|great|cool|good|lovely|ideal|better|awesome) if(?! you)|nice to have|"
    r"(?:even |much )?better if|nice if(?! you)|leaning(?: towards?| to)?|lean(?: towards?)|open to|"
    r"would love it if(?! you)|"
    r"possible if|id settle for)(?= )"
)
_INSISTED = re.compile(
    r"(?<= )(?:only(?! (?:have|own|got|if i))|(?<!there )(?:must|has to|have to|needs to|need to|gotta|got to)"
    r"(?: \w+ly)? (?:be|have|feature|star|contain|involve|include|come|come from|run on|work on|work with|cost)|"
    r"definitely|nothing but|nothing except|strictly|absolutely|exclusively|certainly|insist on|insist that|"
    r"purely|solely|no matter what|"
    r"non negotiable|(?:it )?better be|make sure (?:it|its|it is|theyre)|100 %|without exception|nothing else "
    r"than|nothing other than)(?= )"
)
_IF_POSSIBLE = re.compile(
    r"(?<= )(?:if (?:at all )?possible|if you (?:can|could)(?! (?:help|recommend|suggest|tell|find|give|show|"
    r"think|name|please))|(?:always |usually )?(?:makes?|cracks?) me (?:laugh|smile|up)|would be (?:really "
    r")?(?:nice|a plus|a bonus|ideal|cool|preferred|preferable|a nice touch)|"
    r"(?:is|are|be) (?:a )?(?:plus|bonus|preferred|optional|preferable)|by preference|for preference|maybe|"
    r"perhaps|possibly|"
    r"preferably|ideally|preferred|not required|but not required|but "
    r"not necessary|or whatever(?= (?:, )?(?:as|so) long as))(?= )"
)
_STOPS_THERE = re.compile(r" (?:[.,?]|$|but|please|thanks|and)")
_NOTHING_ELSE = re.compile(r" (?:\w+)?(?: ?\w+){0,3} ?(?:, )?")
_OF_COURSE = re.compile(
    r"^ (?:\w+ )?(?:only|or nothing|is a must|are a must|required|no exceptions|for sure|please nothing else|"
    r"and nothing else|"
    r"exclusively|definitely|is essential)(?= (?:[.,]|please|$))"
)
_OUT = re.compile(
    r"^ (?:\w+ )?(?:(?:is|are) (?:out|off the table|a no|a no go|no good|forbidden)|"
    r"(?:is|are) not (?:really |quite |exactly )?(?:my thing|for me|an option|allowed|welcome|my cup|it |"
    r"what (?:i|im|we|were))|(?:isnt|arent) (?:really |quite |exactly )?(?:my thing|for me|an option|my cup|it |"
    r"what (?:i|im|we|were))|(?:is|are) (?:so |just |way )?(?:boring|too [a-z]+)|(?:is|are) not(?= (?:[.,?]|$))|"
    r"excluded|free(?= (?:[.,]|please|$|movie|film|game|one)))"
)
_TASTE = re.compile(
    r"(?<= )(?:i|we|ill|i will)(?: (?:really|also|just|usually|do|always|mostly|generally|both|absolutely|mainly))* "
    r"(?:like|love|enjoy|adore|dig|watch|listen to|play)|(?<= )(?:im|i am|were|we are)(?: \w+)? (?:into|a fan of)"
    r"|(?<= )(?:big |huge )?fan of(?= )"
)
_AND_SO_ON = re.compile(
    r"^(?: ,| -)?(?: and| or)?(?: im in| in)? (?:(?:that|this) (?:sort|kind|type) of|(?:things|stuff|something|"
    r"anything) like (?:that|those)|"
    r"whatever|etc|etcetera|and so on|so on|such things|the likes?)(?= )"
)
_LIKES_TOO = re.compile(r"^ (?:, )?(?:and |but )?(?:i )?also (?!want|need|id|would|looking)(?:[^ .,?]+ ){1,6}$")
"""Between two tastes: "thrillers, but I also like westerns"."""
_MANY = re.compile(r"^ (?:movies|films|flicks|games|albums|records|books|shows|ones|songs)(?= )")
_PERMITTED = re.compile(
    r"^ (?:movies? |films? |games? |stuff |ones? )?(?:(?:is|are|can be) (?:also |totally |perfectly |all )*"
    r"(?:fine|ok|okay|alright|all right|acceptable|allowed)(?= )|or (?:fiction|not|otherwise)(?= ))"
)
_QUALIFIED = re.compile(
    r" (?:dirty|cheesy|corny|sappy|mushy|gory|bloody|stupid|dumb|silly|cheap|bad|boring|old|older|new|modern|"
    r"recent|sad|"
    r"dark|violent|raunchy|low budget|hardcore|generic|foreign|typical|heavy|slow|crude) $"
)
"""What makes a denial one of a part of a sort only: "no dirty comedies" is not against comedies."""
_THEM = re.compile(
    r"(?<= )(?:not (?P<hardly>particularly |all that |that )?(?:really )?(?:interested in|into|keen on|a fan of)|"
    r"dont (?:really )?(?:like|enjoy|want|watch)|hate|cant stand|dislike) (?:them|those)(?= (?!movie|film|kind|sort))"
)
_NOT_NEEDED = re.compile(
    r"^ (?:\w+ )?(?:(?:doesnt|does not|dont|do not)(?: really)? matter|(?:is|are) not (?:important|needed|necessary)|"
    r"isnt (?:important|needed|necessary|required)|arent (?:important|needed|necessary))"
)
_TURNS = re.compile(
    r" (?:\.|are there|is there|do you|can you|could you|have you|but|however|although|though|yet|except|give "
    r"me|i want|i need|id like|id love|id rather|i would like|show me|find me|"
    r"i am looking|im looking|looking for|what about|how about|lets|let us|otherwise|so give|just|make it|instead i) "
)
_DEMAND_ENDS = re.compile(r" (?:\.|,|but|although|with) ")
_NEW_DEMAND = re.compile(r" (?:\.|, (?:and )?more|but(?! not)|it must|i want|i need|give me|show me) ")
_FILL = (
    r"(?:(?:a|an|the|any|some|more|either|too|also|much|very|really|kind|kinds|sort|sorts|type|types|of|stuff|"
    r"things?|"
    r"movies?|films?|flicks?|games?|music|songs?|albums?|records?|cds?|books?|shows?|series|one|ones|something|"
    r"anything|"
    r"bit|lot|lots|little|heavy|elements?|genres?|even|then|maybe|perhaps|possibly|both|no|not|it|is|them|my|"
    r"that|thats|which|are|other|video|type|style|based|ish|else|probably|directors?|actors?|actress) )*"
)
_LINKS = (
    r"(?:from|in|with|by|starring|about|for|on|directed by|featuring|of|to|involving|made|released|rated|between)"
)
_CHAIN = re.compile(
    rf"^ {_FILL}(?P<link>, and|, or|, nor|and or|and / or|and|or|nor|/|,|\+|plus|as well as|n|, plus|, but|but) "
    rf"{_FILL}(?P<again>{_LINKS} (?:the |my |a |an )?)?$"
)


@dataclass(frozen=True)
class _Trigger:
    start: int
    end: int


def chain(line: Line, mentions: Sequence[Mention]) -> None:
    """Set `chained` of every mention: the word that joins it to the one before, if nothing else stands between."""
    for before, here in pairwise(mentions):
        gap = line.between(before.end, here.start)
        if gap == " ":
            here.chained = "beside"
        elif match := _CHAIN.match(gap):
            link = match["link"]
            word = "or" if "or" in link.split() or "nor" in link.split() else "," if link == "," else link
            word = "and" if word not in ("or", ",", "/") else word
            if match["again"] and word == "," and before.column != here.column:
                word = ""
            here.chained = "" if "but" in link else word
        elif re.fullmatch(rf" {_FILL}", gap):
            here.chained = "beside"
        elif before.column == here.column and _LIKES_TOO.match(gap):
            here.chained = "and"


def mark(line: Line, mentions: Sequence[Mention], asides: Asides) -> None:
    """Set the flags of `mentions` (in order of `start`, `chained` set) by the words around them."""
    text = line.line
    denied, back, passed = _found(_DENIED, text), _found(_TAKEN_BACK, text), _found(_PASSED_OVER, text)
    back = [t for t in back if not _ALWAYS_BACK.match(text[t.start : t.end])]
    denied = [t for t in denied if not any(o.start <= t.start < o.end for o in (*back, *passed))]
    back = [t for t in back if not any(o.start < t.start < o.end for o in passed)]
    passed = [t for t in passed if not (_NOT_ONLY.search(text[t.start : t.end]) and _BUT_ALSO.match(text[t.end :]))]
    wished, insisted = _found(_WISHED, text), _found(_INSISTED, text)
    tastes = _found(_TASTE, text)
    insisted = [t for t in insisted if not text[: t.start].endswith(("not ", "dont ", "there ", "nt "))]
    handed_on: set[int] = set()
    for place, here in enumerate(mentions):
        previous = mentions[place - 1] if place else None
        start, end = _position(line, here.start), _position(line, here.end)
        floor = _position(line, previous.end) if previous else 0
        aside = asides.cover(start)
        here.passed_over = aside or _reaches(text, passed, floor, start, 10)
        here.dropped = not here.passed_over and _reaches(text, back, floor, start, 7)
        here.negated = not here.passed_over and not here.dropped and _reaches(text, denied, floor, start, 8)
        here.negated ^= here.opposite and not here.dropped
        beside_aside = previous is not None and asides.cover(_position(line, previous.start))
        inherited = not (here.negated or beside_aside) and _inherit(mentions, place)
        if inherited and here.negated:
            handed_on.add(place)
        _ask(text, here, wished, insisted, start)
        behind = text[end - 1 : end + 60]
        if _OUT.match(behind):
            here.negated = True
        elif _NOT_NEEDED.match(behind):
            here.dropped = True
        elif _PERMITTED.match(behind) or (here.negated and _is_part_only(line, here, previous, denied)):
            here.passed_over = True
        if _OF_COURSE.match(behind):
            here.firm = True
        here.liked = _reaches(text, tastes, floor, start, 6)
        here.plural = _is_plural(line, here)
        here.listed = bool(_AND_SO_ON.match(behind))
    for before, here in pairwise([mention for mention in mentions if mention.sort == "year"]):
        # "80s or earlier. Even the 60s" says no more than was said
        here.passed_over |= before.op != "between" and line.before(here.start).endswith((" even ", " even the "))
    _if_possible(line, mentions)
    _denied_later(line, mentions)
    _complete_lists(mentions, handed_on)


def _is_part_only(line: Line, here: Mention, previous: Mention | None, denied: Sequence[_Trigger]) -> bool:
    """Whether only a part of a sort is denied, which the catalogue does not tell: "no dirty comedies"."""
    if _QUALIFIED.search(line.before(here.start)):
        return True
    if (
        here.sort != "category"
        or here.named
        or here.settled
        or not here.start
        or (previous and previous.end == here.start)
    ):
        return False
    token, trigger = line.tokens[here.start - 1], _last(denied, _position(line, here.start))
    inside = trigger is not None and trigger.end <= _position(line, here.start - 1)
    return inside and token.word.isalpha() and not (says_nothing(token.word) or token.word in EMPTY)


def _is_plural(line: Line, here: Mention) -> bool:
    """Whether it speaks of many: "westerns", "war movies"."""
    last = line.tokens[here.end - 1]
    many = (here.sort == "category" and not here.named and last.word == last.stem + "s") or last.word.endswith("ies")
    return many or bool(_MANY.match(line.behind(here.end, 12)))


def _found(pattern: re.Pattern[str], text: str) -> list[_Trigger]:
    return [_Trigger(*match.span()) for match in pattern.finditer(text)]


def _position(line: Line, token: int) -> int:
    return line.at[token] if token < len(line.at) else len(line.line)


def _reaches(text: str, triggers: Sequence[_Trigger], floor: int, start: int, most: int) -> bool:
    """Whether one of `triggers` behind `floor` covers what begins at `start`."""
    trigger = _last(triggers, start)
    if trigger is None or trigger.start < floor:
        return False
    gap = text[trigger.end : start]
    return not _TURNS.search(gap) and " , " not in gap and gap.count(" ") <= most + 1


def _last(triggers: Sequence[_Trigger], start: int) -> _Trigger | None:
    """The last of `triggers` that ends before `start`; they are in order."""
    place = bisect_right(triggers, start, key=lambda trigger: trigger.end)
    return triggers[place - 1] if place else None


def _inherit(mentions: Sequence[Mention], place: int) -> bool:
    """What is said of the first of a chain is said of the rest: whether this one took it over."""
    here = mentions[place]
    if not place or not here.chained or here.negated or here.dropped or here.passed_over:
        return False
    before = mentions[place - 1]
    same = before.column == here.column
    if same or here.chained in ("or", "beside") or (here.chained == "and" and before.dropped):
        here.negated, here.dropped, here.passed_over = before.negated, before.dropped, before.passed_over
        return True
    return False


def _complete_lists(mentions: Sequence[Mention], handed_on: set[int]) -> None:
    """A denial goes past a comma only in a list that ends with "or" or "and": "no horror, war or westerns"."""
    for place, here in enumerate(mentions):
        if here.chained != "," or place not in handed_on:
            continue
        rest = [place]
        while rest[-1] + 1 in handed_on:
            rest.append(rest[-1] + 1)
        if not any(mentions[other].chained in ("or", "and") for other in rest[1:]):
            for other in rest:
                mentions[other].negated = False


def _ask(text: str, here: Mention, wished: Sequence[_Trigger], insisted: Sequence[_Trigger], start: int) -> None:
    """Whether a wish or a demand was the last thing said before, in the same breath."""
    wish, demand = _last(wished, start), _last(insisted, start)
    if demand and (not wish or demand.start >= wish.start):
        if not _DEMAND_ENDS.search(text, demand.end, start):
            here.firm = True
            return
        wish = None if not wish or wish.start <= demand.start else wish
    if wish and not _NEW_DEMAND.search(text, wish.end, start):
        here.soft = True


def _denied_later(line: Line, mentions: Sequence[Mention]) -> None:
    """What "them" takes up again: "westerns? I hate them"."""
    for match in _THEM.finditer(line.line):
        before = [mention for mention in mentions if _position(line, mention.end) <= match.start() + 1]
        if before and line.line.count(" . ", _position(line, before[-1].end) - 1, match.start() + 1) < 2:
            before[-1].negated, before[-1].soft, before[-1].passed_over = True, bool(match["hardly"]), False


def _if_possible(line: Line, mentions: Sequence[Mention]) -> None:
    """Wishes that are known as such only behind them: "from the 90s if possible"."""
    text = line.line
    starts = [_position(line, mention.start) for mention in mentions]
    for match in _IF_POSSIBLE.finditer(text):
        floor = text.rfind(" . ", 0, match.start() + 1)
        last = bisect_left(starts, match.start()) - 1
        said = match.group()
        if last < 0 or starts[last] < floor:
            if said.startswith("if"):  # "If possible, from the 90s"
                stop = text.find(" . ", match.end())
                stop = stop if stop >= 0 else len(text)
                for place in range(last + 1, bisect_left(starts, stop)):
                    mentions[place].soft = True
            continue
        ends = _STOPS_THERE.match(text, match.end())
        gap = text[_position(line, mentions[last].end) - 1 : match.start()]
        if not (
            ends or said.startswith(("if", "or", "would", "is", "are", "be", "always", "usually", "make", "crack"))
        ) or not _NOTHING_ELSE.fullmatch(gap):
            continue
        mentions[last].soft = not mentions[last].firm
        while last and mentions[last].chained not in ("", ",") and mentions[last - 1].column == mentions[last].column:
            last -= 1
            mentions[last].soft = not mentions[last].firm
